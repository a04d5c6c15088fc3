import logging
from collections import Counter

from spatial_mllm_ros.frames.tally import Tally

logger = logging.getLogger("test_tally")


def test_each_reason_is_counted_always_and_said_once(caplog):
    tally = Tally(logger)
    for value in (1, 2, 3):
        tally.add("late", "%d is late", value)
        tally.add("fine")
    tally.add("early", "%s is early", "it")
    assert tally.counts == {"late": 3, "fine": 3, "early": 1}
    assert [record.getMessage() for record in caplog.records] == [
        "1 is late (said once; counted as late)",
        "it is early (said once; counted as early)",
    ]


def test_a_missing_reading_is_said_with_its_distance_in_seconds(caplog):
    tally = Tally(logger)
    tally.add_distance("depth", 1_500_000_000)
    tally.add_distance("pose", None)
    assert tally.counts == {"depth_missing": 1, "pose_missing": 1}
    assert "nearest to an image is +1.500 s away" in caplog.text and "no pose has come" in caplog.text


def test_the_counts_are_a_copy():
    tally = Tally(logger)
    tally.counts["x"] += 1
    assert tally.counts == Counter()
