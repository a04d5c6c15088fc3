"""A log becomes a picture, whatever a killed run has left of it."""

from xml.etree import ElementTree

import pytest

from spatial_mllm_ros.training.curves import draw_curves, read_log

SVG = "{http://www.w3.org/2000/svg}"
LINES = [
    {"step": 100, "progress": 0.5, "examples": 7, "loss": 4.0},
    {"step": 200, "progress": 1.0, "examples": 9, "loss": 2.0, "counting": {"n": 4, "right": 40.0, "blind": 20.0}},
]


def drawn(lines, title="a run"):
    return ElementTree.fromstring(draw_curves(title, lines))


def words(picture):
    return [text.text for text in picture.iter(f"{SVG}text")]


def points(picture):
    """Give every curve: [(x, y), ...]."""
    curves = (line.get("points").split() for line in picture.iter(f"{SVG}polyline"))
    return [[tuple(map(float, point.split(","))) for point in curve] for curve in curves]


def test_every_figure_is_a_curve_and_grouped_ones_share_a_chart():
    picture = drawn(LINES, "heads & tails")
    loss, right, blind = points(picture)
    assert (len(loss), len(right), len(blind)) == (2, 1, 1)
    assert {"heads & tails", "loss", "counting", "right", "blind"} <= set(words(picture))
    assert not {"n", "step", "progress", "examples"} & set(words(picture))


def test_a_curve_falls_as_its_figure_does_and_stays_within_the_picture():
    picture = drawn(LINES)
    (x_early, y_high), (x_late, y_low) = points(picture)[0]
    assert x_early < x_late and y_high < y_low  # pixels count downwards
    width, height = float(picture.get("width")), float(picture.get("height"))
    assert all(0 <= x <= width and 0 <= y <= height for curve in points(picture) for x, y in curve)
    assert {"4", "2"} <= set(words(picture))  # the ends of its axis


@pytest.mark.parametrize("lines", [[], [{"step": 0, "progress": 1.2, "examples": 3}], [{"step": 0, "loss": 3.0}]])
def test_a_log_of_hardly_anything_is_a_picture_too(lines):
    assert "a run" in words(drawn(lines))


def test_figures_that_are_not_numbers_are_left_out():
    """A check may find nothing to measure: the median of no frames is NaN."""
    lines = [
        {"step": 1, "loss": 3.0, "val": {"rotation_deg": float("nan")}},
        {"step": 2, "loss": float("inf"), "val": {"rotation_deg": float("nan")}},
        {"step": 3, "loss": 1.0},
    ]
    picture = drawn(lines)
    assert [len(curve) for curve in points(picture)] == [2] and "val" not in words(picture)


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    """A run that is killed while it writes; the next line of the run that goes on is then behind it."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 100, "loss": 2.0}\n\n{"step": 200, "lo{"step": 200, "loss": 1.5}\n{"step": 300}\n{"st')
    assert read_log(path) == [{"step": 100, "loss": 2.0}, {"step": 300}]
    path.write_text("")
    assert read_log(path) == []
