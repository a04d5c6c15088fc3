"""`spatial-mllm eval`: tables and JSON of made-up rooms, and clear words for bad input."""

import json
import shutil

import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.evaluation import ARMS
from spatial_mllm_ros.model.config import OWN_ENTRY
from spatial_mllm_ros.training import examples
from spatial_mllm_ros.training.examples import write_shard
from spatial_mllm_ros.training.small_model import begin_small_model, save_small_model
from spatial_mllm_ros.training.words import scope_json


@pytest.fixture(autouse=True)
def _as_many_threads_as_before():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "begun").mkdir()
    with torch.random.fork_rng():
        save_small_model(begin_small_model(folder / "begun", seed=1), folder / "begun", folder / "written")
    return folder / "written"


@pytest.fixture
def heldout(tmp_path):
    write_shard(tmp_path / "heldout_000000.npz", [made_up(seed, frames=32, keyframes=16) for seed in range(3)])
    return tmp_path


def evaluate(what, checkpoint, heldout, *words):
    return main(["eval", what, "--checkpoint", str(checkpoint), "--examples", str(heldout), "--scenes", "3", *words])


def test_scores_by_kind_are_a_table_with_what_knowing_nothing_scores(checkpoint, heldout, capsys):
    assert evaluate("generated", checkpoint, heldout) == 0
    printed = capsys.readouterr().out
    for word in ("3 held-out rooms", "object_counting", "room_size_estimation", "mean of kinds", "wrong video", "100.0"):
        assert word in printed


def test_rooms_with_looks_that_training_had_are_others_than_those_with_new_ones(checkpoint, heldout, capsys):
    write_shard(heldout / "train_1000000.npz", [made_up(seed, frames=32, keyframes=16) for seed in range(2)])
    assert evaluate("generated", checkpoint, heldout, "--looks", "known") == 0
    assert "2 held-out rooms, known looks" in capsys.readouterr().out


def test_scores_as_json_hold_every_arm_and_every_comparison(checkpoint, heldout, capsys):
    assert evaluate("generated", checkpoint, heldout, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rooms"] == 3 and found["scores"].keys() == {str(arm) for arm in ARMS}
    assert found["questions"].keys() == found["floors"].keys() and found["floors"]["room_size_estimation"] == 100.0
    for intervals in (*found["scores"].values(), *found["differences"].values()):
        assert intervals.keys() == {*found["questions"], "mean"}
        assert all(low <= mean <= high for mean, low, high in intervals.values())
    assert {"video - nothing", "space-aware - uniform, 16"} <= found["differences"].keys()


def test_questions_that_the_checkpoint_refuses_are_not_scored(checkpoint, heldout, tmp_path, capsys):
    shutil.copytree(checkpoint, tmp_path / "narrow")
    config = json.loads((checkpoint / "config.json").read_text())
    config[OWN_ENTRY]["answers"] = scope_json(["room_size_estimation"])
    (tmp_path / "narrow" / "config.json").write_text(json.dumps(config))
    assert evaluate("generated", tmp_path / "narrow", heldout, "--json") == 0
    assert json.loads(capsys.readouterr().out)["questions"].keys() == {"room_size_estimation"}


def test_geometry_is_a_table_beside_guesses_that_know_nothing(checkpoint, heldout, capsys):
    assert evaluate("geometry", checkpoint, heldout) == 0
    printed = capsys.readouterr().out
    assert "translation, uniform" in printed and "log depth, space-aware" in printed and "knowing nothing" in printed


def drawn_in_vain(*args):
    raise AssertionError("no room should be drawn before the checkpoint is known to be of use")


@pytest.fixture
def nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(examples.ExampleMaker, "make", drawn_in_vain)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenes", "1"], "--scenes must be at least 2, not 1"),
        (["--checkpoint", "no/such/folder"], "no/such/folder"),
        (["--checkpoint", "random-small"], "does not have every answer as one token"),
    ],
)
def test_bad_input_is_one_line_and_status_2_before_anything_is_drawn(
    checkpoint, tmp_path, nothing_is_drawn, capsys, words, message
):
    assert evaluate("generated", checkpoint, tmp_path, *words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("spatial-mllm eval: ") and message in line


def test_damaged_tours_are_named(checkpoint, heldout, capsys):
    path = heldout / "heldout_000000.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert evaluate("generated", checkpoint, heldout, "--json") == 2
    assert "heldout_000000.npz holds no examples that can be read" in capsys.readouterr().err
