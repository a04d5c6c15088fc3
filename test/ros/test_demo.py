"""The demo asks what the model has learnt, with the truth where it is known."""

import argparse

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

from spatial_mllm_ros.model.checkpoint import SMALL, find_checkpoint, open_checkpoint
from spatial_mllm_ros.model.loading import read_config
from spatial_mllm_ros.ros import demo
from spatial_mllm_ros.training.scenes import KINDS
from spatial_mllm_ros.training.small_model import begin_small_model, save_small_model

pytestmark = pytest.mark.ros


def asked(**given):
    fields = {"questions": None, "bag": demo.SAMPLE_BAG, "truth": None, "checkpoint": "random-small", **given}
    return demo._questions(argparse.Namespace(**fields))


def test_one_question_of_each_kind_is_asked_about_the_sample_room():
    assert [question.kind for question in asked()] == list(KINDS)


def test_only_kinds_that_the_checkpoint_has_learnt_are_asked(tmp_path):
    (tmp_path / "begun").mkdir()
    model = begin_small_model(tmp_path / "begun", seed=0)
    kinds = ("room_size_estimation", "object_counting")
    save_small_model(model, tmp_path / "begun", tmp_path / "out", kinds=kinds)
    assert {question.kind for question in asked(checkpoint=str(tmp_path / "out"))} == set(kinds)


def test_what_is_asked_about_an_unknown_room_is_what_the_model_that_ships_answers():
    scope = read_config(open_checkpoint(find_checkpoint(SMALL))).scope
    assert all(scope.kind_of(question) for question in demo.QUESTIONS)


def test_of_a_room_of_which_nothing_is_known_no_truth_is_claimed(tmp_path):
    assert asked(bag=tmp_path) == list(demo.QUESTIONS)
    assert asked(questions=["what is here?"]) == ["what is here?"]


@pytest.mark.parametrize("words", [("--checkpoint", "absent"), ("--truth", "absent.json"), ("--bag", "absent")])
def test_what_is_not_there_is_named_in_one_line(words, tmp_path, capsys):
    assert demo.main([*words, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "demo failed" in said and "absent" in said and "Traceback" not in said
