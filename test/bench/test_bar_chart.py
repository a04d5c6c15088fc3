"""A chart is well-formed SVG whose bars are as long as their values say."""

from xml.etree import ElementTree

from spatial_mllm_ros.bench.bar_chart import Bar, Group, draw_bar_chart

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_in_proportion_within_a_group():
    groups = [Group("a", [Bar("x", 4.0, "4 s"), Bar("y", 1.0, "1 s")]), Group("b", [Bar("z", 100.0, "100 s")])]
    tree = ElementTree.fromstring(draw_bar_chart("title", groups))
    widths = [float(rect.get("width")) for rect in tree.iter(f"{SVG}rect")][1:]  # the first is the background
    assert widths[0] == 4 * widths[1] == widths[2]


def test_every_label_and_value_is_written_and_escaped():
    text = draw_bar_chart("a < b", [Group("heading", [Bar("me & you", 1.0, "1 s")])])
    words = [node.text for node in ElementTree.fromstring(text).iter(f"{SVG}text")]
    assert words == ["a < b", "heading", "me & you", "1 s"]


def test_group_without_length_can_be_drawn():
    ElementTree.fromstring(draw_bar_chart("t", [Group("none", []), Group("zero", [Bar("x", 0.0, "0 s")])]))
