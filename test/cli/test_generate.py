"""`spatial-mllm generate`: bags and arrays from the command line, and clear words for bad input."""

import json

import numpy as np
import pytest

from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.frames import open_source
from spatial_mllm_ros.training.scenes import RoomRenderer, opengl
from spatial_mllm_ros.training.scenes.furniture import looks_of


@pytest.fixture(scope="module", autouse=True)
def _needs_opengl():
    try:
        RoomRenderer(16, 16).close()
    except DependencyError as error:
        pytest.skip(str(error))


def test_bag_with_truth_and_preview(tmp_path, capsys):
    command = ["generate", "--seed", "4", "--out", str(tmp_path / "bag"), "--frames", "30", "--seconds", "5"]
    command += ["--size", "64x48", "--truth", str(tmp_path / "room.json"), "--preview", str(tmp_path / "views.jpg")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "30 images of 64x48" in printed
    assert len(list(open_source(tmp_path / "bag"))) == 30
    truth = json.loads((tmp_path / "room.json").read_text())
    assert truth["objects"] and truth["questions"] and (tmp_path / "views.jpg").stat().st_size > 1000


def test_arrays_and_json(tmp_path, capsys):
    command = [
        "generate",
        "--format",
        "arrays",
        "--split",
        "heldout",
        "--style",
        "balanced",
        "--out",
        str(tmp_path / "a"),
    ]
    assert main([*command, "--frames", "12", "--size", "56x42", "--json"]) == 0
    truth = json.loads(capsys.readouterr().out)
    assert truth["split"] == "heldout" and {entry["look"] for entry in truth["objects"]} == {*looks_of("chair", "heldout")}
    with np.load(tmp_path / "a" / "frames.npz") as arrays:
        assert arrays["images"].shape == (12, 42, 56, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "big"], "--size must look like 320x240"),
        (["--seed", "-3"], "must be at least 0, not -3"),
        (["--dwell", "0.99"], "dwell_share must lie in"),
        (["--size", "30x30"], "cannot be divided by 4"),
    ],
)
def test_bad_input_is_one_line_and_status_two(tmp_path, capsys, words, message):
    assert main(["generate", "--out", str(tmp_path / "bag"), "--frames", "2", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "bag").exists()


def test_existing_folder_is_never_touched(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["generate", "--out", str(tmp_path), "--frames", "2"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_missing_opengl_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(opengl, "_is_loadable", lambda library: False)
    assert main(["generate", "--out", str(tmp_path / "bag"), "--frames", "2"]) == 2
    assert "libegl1" in capsys.readouterr().err
