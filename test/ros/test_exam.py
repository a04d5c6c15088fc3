"""An exam drives a real node through rooms and scores what it answers over the service."""

import json

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

from support.made_up import made_up

from spatial_mllm_ros.ros import exam
from spatial_mllm_ros.training.examples import write_shard
from spatial_mllm_ros.training.small_model import begin_small_model, save_small_model

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_every_question_is_answered_from_its_own_room_and_from_another(tmp_path, capsys):
    for name in ("begun", "heldout"):
        (tmp_path / name).mkdir()
    model = begin_small_model(tmp_path / "begun", seed=0)
    save_small_model(model, tmp_path / "begun", tmp_path / "checkpoint", is_trained=False)
    write_shard(tmp_path / "heldout" / "heldout_000000.npz", [made_up(seed, 32, 16) for seed in (0, 1)])
    words = {"--checkpoint": "checkpoint", "--examples": "heldout", "--out": "out"}
    paths = [word for name, folder in words.items() for word in (name, str(tmp_path / folder))]
    assert exam.main([*paths, "--rooms", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    total = report["scores"][-1]
    assert total["n"] > 0 and report["replies"] == {"OK": 2 * total["n"]}
    assert set(total) >= {"nothing", "wrong video", "video", "video - wrong video"}


def test_bad_input_is_named_in_one_line(tmp_path, capsys):
    words = ["--examples", str(tmp_path / "heldout"), "--out", str(tmp_path / "out")]
    assert exam.main(["--checkpoint", str(tmp_path / "absent"), *words]) == 1
    assert exam.main(["--checkpoint", "random-small", "--rooms", "1", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "absent" in said[0] and "--rooms" in said[1]
