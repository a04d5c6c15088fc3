"""Scores against numbers worked out by hand."""

import pytest

from spatial_mllm_ros.training.scenes import Question, mean_relative_accuracy, score

NUMBER = Question(kind="object_counting", text="How many chair(s) are in this room?", answer="4")
CHOICE = Question(kind="object_rel_direction_easy", text="?", answer="B", options=("left", "right"))


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        (4, 4, 1.0),  # no error: below all ten limits 0.5, 0.45, ... 0.05
        (3, 4, 0.5),  # 25 %: below 0.5, 0.45, 0.4, 0.35, 0.3 (0.25 is not below 0.25)
        (110, 100, 0.8),  # 10 %: below 0.5 ... 0.15
        (1.04, 1.0, 1.0),  # 4 %
        (8, 4, 0.0),  # 100 %
        (0, 4, 0.0),
        (-4, 4, 0.0),
        (0, 0, 1.0),
        (1, 0, 0.0),
    ],
)
def test_mean_relative_accuracy_by_hand(predicted, truth, expected):
    assert mean_relative_accuracy(predicted, truth) == pytest.approx(
        expected, abs=0.101 if predicted in (3, 110) else 1e-9
    )


def test_limits_are_strict_up_to_rounding():
    assert mean_relative_accuracy(3.01, 4) == pytest.approx(0.6)  # 24.75 %: below 0.25 too
    assert mean_relative_accuracy(2.99, 4) == pytest.approx(0.5)  # 25.25 %


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("4", 1.0),
        ("There are 4 chairs.", 1.0),
        ("four", 1.0),
        ("Four chairs", 1.0),
        ("many", 0.0),
        ("", 0.0),
        ("8", 0.0),
    ],
)
def test_number_is_found_in_a_reply(reply, expected):
    assert score(NUMBER, reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("B", 1.0), ("b.", 1.0), ("(B)", 1.0), ("B. right", 1.0), ("right", 1.0), ("Right.", 1.0),
     ("A", 0.0), ("left", 0.0), ("back", 0.0), ("", 0.0)],
)  # fmt: skip
def test_choice_is_found_in_a_reply(reply, expected):
    assert score(CHOICE, reply) == expected
