"""Questions have VSI-Bench's words, and their answers are those worked out by hand on a hand-made room."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes import KINDS, Furniture, Room, make_questions, make_room
from spatial_mllm_ros.training.scenes.questions import bearing_deg
from spatial_mllm_ros.training.scenes.room import Light


def _piece(category, x, y, size=(0.4, 0.4, 0.5), yaw=0.0):
    return Furniture(category=category, look=0, centre=(x, y, size[2] / 2), size=size, yaw=yaw, parts=())


# Seen from above, a room of 6 x 5 m without the upper right 2 x 1 m; x to the right, y up:
#
#     lamp(-2, 2)     sofa(0, 2)
#
#     chair(-2, 0)    table(0, 0)     tv(2, 0)
#                     stool(0,-2), stool(1.5,-2)
PIECES = (
    _piece("table", 0, 0, (1.0, 1.2, 0.7)),
    _piece("sofa", 0, 2, (0.8, 1.6, 0.8), yaw=-np.pi / 2),
    _piece("lamp", -2, 2, (0.3, 0.3, 1.5)),
    _piece("chair", -2, 0, (0.5, 0.5, 0.9)),
    _piece("tv", 2, 0, (0.4, 1.2, 1.1)),
    _piece("stool", 0, -2),
    _piece("stool", 1.5, -2),
)
ROOM = Room(
    seed=0,
    split="train",
    outline=np.array([(-3, -2.5), (3, -2.5), (3, 1.5), (1, 1.5), (1, 2.5), (-3, 2.5)]),
    height=2.6,
    openings=(),
    furniture=PIECES,
    structure=(),
    light=Light(ambient=(1, 1, 1), daylight=(0, 0, 0), lamp=(0, 0, 0), direction=(0, 0, -1)),
)
#                  table sofa lamp chair tv   stool stool
SEEN = np.array([[0.10, 0.0, 0.00, 0.0, 0.0, 0.00, 0.00],
                 [0.10, 0.1, 0.00, 0.0, 0.0, 0.00, 0.00],
                 [0.00, 0.1, 0.02, 0.0, 0.0, 0.00, 0.00],
                 [0.00, 0.0, 0.02, 0.1, 0.1, 0.05, 0.05]])  # fmt: skip


def _asked(kind, **change):
    """Return what is asked, as text -> chosen answer, over many seeds."""
    found = {}
    for seed in range(30):
        for question in make_questions(ROOM, SEEN, seed=seed, per_kind=8, kinds=[kind], **change):
            assert found.setdefault(question.text, question.chosen) == question.chosen
    return found


def test_counting_counts_every_category_that_was_wholly_seen():
    asked = _asked("object_counting")
    assert asked == {f"How many {name}(s) are in this room?": count for name, count in
                     {"table": "1", "sofa": "1", "lamp": "1", "chair": "1", "tv": "1", "stool": "2"}.items()}  # fmt: skip


def test_category_with_an_unseen_piece_is_not_asked_about():
    seen = SEEN.copy()
    seen[:, 6] = 0.002  # the second stool is a speck
    questions = make_questions(ROOM, seen, per_kind=20)
    counted = {question.categories for question in questions if question.kind == "object_counting"}
    assert ("stool",) not in counted and ("table",) in counted


def test_absolute_distance_is_that_of_the_closest_points():
    asked = _asked("object_abs_distance")
    text = "Measuring from the closest point of each object, what is the direct distance between the {} and the {} (in meters)?"
    assert asked[text.format("table", "tv")] == "1.3"  # 2 - 0.5 - 0.2
    assert (
        asked[text.format("chair", "table")] == asked[text.format("table", "chair")] == "1.2"
    )  # 2 - 0.25 - 0.5 = 1.25
    assert asked[text.format("sofa", "table")] == "1.0"  # the sofa is turned: 2 - 0.4 - 0.6
    assert not any("stool" in line for line in asked)  # there are two


def test_size_is_the_longest_edge_in_centimetres():
    asked = _asked("object_size_estimation")
    text = "What is the length of the longest dimension (length, width, or height) of the {}, measured in centimeters?"
    assert asked[text.format("lamp")] == "150" and asked[text.format("table")] == "120"


def test_room_size_is_the_area_of_its_outline():
    assert set(_asked("room_size_estimation").values()) == {"28.0"}  # 6 * 5 - 2 * 1


def test_closest_object_is_chosen_among_four():
    questions = [
        question
        for seed in range(20)
        for question in make_questions(ROOM, SEEN, seed=seed, per_kind=4, kinds=["object_rel_distance"])
    ]
    about_lamp = [question for question in questions if question.categories[0] == "lamp" and "sofa" in question.options]
    about_chair = [
        question for question in questions if question.categories[0] == "chair" and "table" in question.options
    ]
    assert about_lamp and about_chair
    hint = " If there are multiple instances of an object category, measure to the closest."
    for question in about_lamp:
        assert question.chosen == "sofa"  # 2 - 0.15 - 0.8 = 1.05, before the chair: 2 - 0.15 - 0.25 = 1.6
        start = "Measuring from the closest point of each object, which of these objects ("
        end = ") is the closest to the lamp?" + (hint if "stool" in question.options else "")
        assert question.text == start + ", ".join(question.options) + end
    for question in about_chair:
        assert question.chosen == "table"  # 2 - 0.25 - 0.5 = 1.25, before the lamp: 2 - 0.25 - 0.15 = 1.6
    assert {question.answer for question in questions} == set("ABCD")


def test_bearing_is_positive_to_the_left():
    assert bearing_deg((0, 0), (1, 0), (0, 1)) == pytest.approx(90)
    assert bearing_deg((0, 0), (0, 1), (1, 1)) == pytest.approx(-45)
    assert abs(bearing_deg((1, 1), (2, 1), (0, 1))) == pytest.approx(180)


def test_directions_by_hand():
    easy = _asked("object_rel_direction_easy")
    text = "If I am standing by the {0} and facing the {1}, is the {2} to the left or the right of the {1}?"
    assert easy[text.format("chair", "table", "sofa")] == "left"
    assert easy[text.format("tv", "table", "sofa")] == "right"
    medium = _asked("object_rel_direction_medium")
    start = "If I am standing by the {} and facing the {}, is the {} to my left, right, or back?"
    answers = {line.split(" An object")[0]: answer for line, answer in medium.items()}
    assert answers[start.format("table", "chair", "tv")] == "back"
    assert answers[start.format("table", "sofa", "chair")] == "left"
    hard = {line.split(" The directions")[0]: answer for line, answer in _asked("object_rel_direction_hard").items()}
    start = "If I am standing by the {} and facing the {}, is the {} to my front-left, front-right, back-left, or back-right?"
    assert hard[start.format("chair", "table", "sofa")] == "front-left"  # 45 degrees
    assert hard[start.format("table", "tv", "lamp")] == "back-left"  # 135 degrees
    assert start.format("table", "tv", "sofa") not in hard  # 90 degrees: between two quadrants


def test_order_of_appearance_is_that_of_the_first_frame_seen():
    questions = make_questions(ROOM, SEEN, per_kind=10, kinds=["obj_appearance_order"])
    assert questions
    for question in questions:
        order = question.chosen.split(", ")
        assert sorted(order) == sorted(question.categories) and len(set(question.options)) == 4
        assert order[:3] == ["table", "sofa", "lamp"]  # the other three appear together, so only one of them is named
    assert make_questions(ROOM, None, kinds=["obj_appearance_order"]) == []


def test_prompt_lists_the_options_and_says_how_to_answer():
    question = make_questions(ROOM, SEEN, kinds=["object_rel_direction_easy"])[0]
    lines = question.prompt.split("\n")
    assert lines[1:] == [
        "Options:", f"A. {question.options[0]}", f"B. {question.options[1]}",
        "Answer with the option's letter from the given choices directly.",
    ]  # fmt: skip
    number = make_questions(ROOM, SEEN, kinds=["room_size_estimation"])[0]
    assert number.prompt.endswith("\nPlease answer the question using a single word or phrase.")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_questions_are_repeatable_unique_and_well_formed(seed):
    room = make_room(seed)
    questions = make_questions(room, seed=seed, per_kind=3)
    assert questions == make_questions(room, seed=seed, per_kind=3)
    assert len(set(questions)) == len(questions)
    for question in questions:
        assert question.kind in KINDS
        assert (question.answer in "ABCD"[: len(question.options)]) if question.options else float(question.answer) >= 0
        assert len(set(question.options)) == len(question.options)


def test_unknown_kind_and_foreign_visibility_are_refused():
    with pytest.raises(InputError, match="unknown kind of question: route_planning"):
        make_questions(ROOM, kinds=["route_planning"])
    with pytest.raises(InputError, match=r"visible_share must be \[T,7\]"):
        make_questions(ROOM, SEEN[:, :3])
