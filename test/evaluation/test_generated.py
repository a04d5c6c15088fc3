"""Scores are paired, their intervals come from rooms, and what is shown is what the arm says."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.evaluation import Arm, Scores, evaluate, evaluate_encoders, score_geometry
from spatial_mllm_ros.evaluation.generated import _keyframes
from spatial_mllm_ros.model.question_scope import scope_from_json
from spatial_mllm_ros.training.small_model import begin_small_model
from spatial_mllm_ros.training.words import scope_json

VIDEO, NOTHING = Arm("video", "space-aware", 4), Arm("nothing", "space-aware", 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with torch.random.fork_rng():
        return begin_small_model(tmp_path_factory.mktemp("begun"), seed=2)


def test_every_question_is_scored_in_every_arm(model):
    examples = [made_up(seed, frames=32, keyframes=16) for seed in range(9)]  # a batch, and one more
    scores = evaluate(model, examples, (VIDEO, NOTHING, Arm("wrong video", "uniform", 8)))
    assert {len(values) for values in scores.by_arm.values()} == {len(scores.kinds)} == {len(scores.rooms)}
    assert set(scores.rooms) == set(range(9)) and len(scores.by_arm) == 3
    assert len(set(scores.by_arm[NOTHING][scores.kinds == "room_size_estimation"])) == 1  # it sees no difference
    assert scores.floors["room_size_estimation"] == 100.0  # all made-up rooms are of one size


def limited(model, *kinds):
    """Give a model that refuses every kind of question but these."""
    config = dataclasses.replace(model.config, scope=scope_from_json(scope_json(kinds), "config.json"))
    limited = copy.copy(model)
    limited.config = config
    return limited


def test_models_are_compared_on_what_none_of_them_refuses(model):
    examples = [made_up(seed, frames=32, keyframes=16) for seed in range(2)]
    two = limited(model, "room_size_estimation", "object_counting")
    scores = evaluate_encoders({"video": [two, model], "2D only": [limited(model, "room_size_estimation")]}, examples)
    assert set(scores.kinds) == {"room_size_estimation"}
    with pytest.raises(InputError, match="no kind of question"):
        evaluate_encoders({"video": [two], "3D only": [limited(model, "object_abs_distance")]}, examples)


def test_too_few_examples_or_keyframes_are_refused(model):
    with pytest.raises(InputError, match="two examples"):
        evaluate(model, [made_up(0, frames=32, keyframes=16)])
    with pytest.raises(InputError, match="16 keyframes"):
        evaluate(model, [made_up(0), made_up(1)])


def test_keyframe_sets_are_those_of_their_names(model):
    example = made_up(0, frames=32, keyframes=16)
    assert _keyframes(model, example, "recent", 4).tolist() == [28, 29, 30, 31]
    assert _keyframes(model, example, "uniform", 4).tolist() == [4, 12, 20, 28]
    assert _keyframes(model, example, "space-aware", 4).tolist() == sorted(example.space_aware[:4].tolist())
    for keyframes in ("by depth", "by VGGT"):
        chosen = _keyframes(model, example, keyframes, 4)
        assert len(set(chosen)) == 4 and set(chosen) <= set(example.uniform)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(40):
        right = rng.random(60) < 0.6
        scores = Scores(
            kinds=np.array(["a"] * 60),
            rooms=np.arange(60) // 2,
            by_arm={VIDEO: right.astype(float), NOTHING: np.zeros(60)},
            floors={"a": 0.0},
        )
        interval = scores.difference(VIDEO, NOTHING, "a")
        assert interval.low <= interval.mean <= interval.high
        hits += interval.low <= 60 <= interval.high
    assert hits >= 32


def test_geometry_is_scored_beside_a_camera_that_stands_still(model):
    scores = {score.what: score for score in score_geometry(model, [made_up(0, 32, 16), made_up(1, 32, 16)])}
    assert scores["translation, uniform"].trivial > 0.3
    assert "translation, last" not in scores  # 7 frames of 32, over a metre
    assert scores["log depth, uniform"].trivial == scores["log depth, last"].trivial == 0.0  # the made-up wall is at one distance
    assert "rotation, uniform" not in scores  # nor does the made-up camera turn
