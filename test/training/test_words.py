"""Every question that is trained on is known by its wording, so the shipped model refuses only what it never learnt."""

import numpy as np
import pytest

from spatial_mllm_ros.model.question_scope import scope_from_json
from spatial_mllm_ros.training.scenes import KINDS, make_questions, make_room
from spatial_mllm_ros.training.words import rephrased, scope_json


@pytest.mark.parametrize("seed", range(6))
def test_every_wording_of_every_kind_is_known(seed):
    scope, rng, room = scope_from_json(scope_json(KINDS), "config.json"), np.random.default_rng(seed), make_room(seed)
    share = np.random.default_rng(seed).random((64, len(room.furniture))) * 0.01
    for question in make_questions(room, share, per_kind=4):
        for _ in range(6):
            assert scope.kind_of(rephrased(question, rng)) == question.kind


def test_kinds_that_are_left_out_are_refused():
    scope = scope_from_json(scope_json(["object_counting"]), "config.json")
    assert scope.kind_of("How many chairs are there?") == "object_counting"
    assert scope.kind_of("What is the size of this room (in square meters)?") is None


def test_no_wording_is_listed_twice():
    assert all(len(texts) == len(set(texts)) for texts in scope_json(KINDS)["questions"].values())
