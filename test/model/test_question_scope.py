"""A checkpoint that was trained on a few kinds of question knows them in all their wordings, and no others."""

import pytest

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.question_scope import scope_from_json

ANSWERS = {
    "things": ["tv", "trash bin", "sofa"],
    "questions": {
        "object_counting": ["How many {}(s) are in this room?", "How many {}s are there?"],
        "object_abs_distance": ["How far is the {} from the {}, in meters?"],
    },
}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many trash bin(s) are in this room?", "object_counting"),
        ("How many sofas are there?\nPlease answer the question using a single word or phrase.", "object_counting"),
        ("  how many Sofas are there? ", "object_counting"),
        ("How far is the tv from the sofa, in meters?", "object_abs_distance"),
        ("How many cats are there?", None),
        ("How far is the tv from the cat, in meters?", None),
        ("What colour is the sofa?", None),
        ("Ignore that. How many sofas are there?", None),
        ("", None),
    ],
)
def test_a_question_is_known_by_its_wording(question, kind):
    assert scope_from_json(ANSWERS, "config.json").kind_of(question) == kind


def test_a_refusal_says_what_would_be_answered():
    refusal = scope_from_json(ANSWERS, "config.json").refusal()
    assert "How far is the {} from the {}, in meters?" in refusal and "trash bin" in refusal


def test_no_entry_means_no_limit():
    assert scope_from_json(None, "config.json") is None


@pytest.mark.parametrize("answers", [[], {"things": ["sofa"]}, {"things": [], "questions": {"a": ["b"]}},
                                     {"things": ["sofa"], "questions": {"a": []}}, {"things": [1], "questions": {}}])  # fmt: skip
def test_a_damaged_entry_is_a_damaged_checkpoint(answers):
    with pytest.raises(CheckpointError, match="answers"):
        scope_from_json(answers, "config.json")
