"""`spatial-mllm train-small`: from drawn rooms to a checkpoint that is scored, and clear words for bad input."""

import functools
import json

import pytest
import torch
from support.clock import put_clock
from support.made_up import made_up
from support.small_training import small_workspace, take_small_steps

from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.training import workspace
from spatial_mllm_ros.training.examples import read_shard, write_shard
from spatial_mllm_ros.training.run import read_state
from spatial_mllm_ros.training.scenes import RoomRenderer

HOURS = 6 / 3600  # looks at the clock of these tests: one to three steps


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Steps of few frames, counted on a clock of the test's own; two examples for checking."""
    take_small_steps(monkeypatch)
    put_clock(monkeypatch, per_look=1.0)
    monkeypatch.setattr(workspace, "Workspace", functools.partial(workspace.Workspace, num_validation=2))
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


def train(stage, work, *words):
    return main(["train-small", "--stage", stage, "--work", str(work), *map(str, words)])


def error_of(capsys):
    """Give the line that a bad input ends with, perhaps behind a progress bar."""
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("spatial-mllm train-small: ")
    return line


@pytest.fixture
def work(tmp_path):
    return small_workspace(tmp_path / "work").folder


@pytest.mark.slow
def test_from_drawn_rooms_to_a_checkpoint_that_is_scored(tmp_path, capsys):
    try:
        RoomRenderer(16, 16).close()
    except DependencyError as error:
        pytest.skip(str(error))
    work, out, heldout = tmp_path / "work", tmp_path / "checkpoint", tmp_path / "heldout"
    assert train("scenes", work, "--count", 5, "--json") == 0
    assert [example.seed for example in read_shard(work / "examples" / "train_000000.npz")] == [0, 1, 2, 3, 4]
    for stage in ("recognition", "geometry", "heads", "reading", "answers"):
        assert train(stage, work, "--hours", HOURS, "--json") == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["step"] >= 1
        assert (work / stage / "curves.svg").read_text().count("<polyline") > 1
    assert train("write", work, "--out", out, "--answers", "object_counting", "room_size_estimation") == 0
    assert "trained: recognition, geometry, heads, reading, answers" in capsys.readouterr().out
    model = load_spatial_mllm(out, geometry=True)
    assert model.is_trained and model.config.scope.kind_of("How many chairs are there?") == "object_counting"
    learnt = read_state(work / "heads" / "state.pt")["modules"]["depth_head"]
    for name, tensor in model.network.vggt.depth_head.state_dict().items():
        torch.testing.assert_close(tensor, learnt[name], atol=1e-3, rtol=1e-3)  # stored in half precision
    heldout.mkdir()
    write_shard(heldout / "heldout_000000.npz", [made_up(seed, frames=32, keyframes=16) for seed in range(3)])
    evaluate = ["--checkpoint", str(out), "--scenes", "2", "--examples", str(heldout), "--json"]
    assert main(["eval", "generated", *evaluate]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rooms"] == 2 and found["questions"]["room_size_estimation"] == 2
    only_2d = tmp_path / "only_2d"
    assert train("answers", work, "--hours", HOURS, "--shown", "2D", "--json") == 0
    assert (work / "answers-2D-0" / "curves.svg").is_file()
    assert train("write", work, "--shown", "2D", "--out", only_2d) == 0
    assert "reading, answers-2D-0" in capsys.readouterr().out
    assert main(["eval", "encoders", *evaluate, "--only-2d", str(only_2d)]) == 0
    assert json.loads(capsys.readouterr().out)["scores"].keys() == {"video", "2D only", "video - 2D only"}
    assert main(["eval", "geometry", *evaluate]) == 0
    assert {score["what"] for score in json.loads(capsys.readouterr().out)} >= {"log depth, uniform"}


def test_a_stage_that_was_begun_is_gone_on_with_only_if_asked(work, capsys):
    assert train("recognition", work, "--hours", HOURS) == 0
    state = (work / "recognition" / "state.pt").read_bytes()
    capsys.readouterr()
    assert train("recognition", work, "--hours", HOURS) == 2
    assert "was begun already; give --resume to go on, or remove it" in error_of(capsys)
    assert (work / "recognition" / "state.pt").read_bytes() == state
    step = read_state(work / "recognition" / "state.pt")["step"]
    assert train("recognition", work, "--hours", 9 * HOURS, "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["step"] > step
    assert len((work / "recognition" / "log.jsonl").read_text().splitlines()) == 2


def test_without_examples_it_says_how_to_draw_them(tmp_path, capsys):
    assert train("geometry", tmp_path / "work") == 2
    assert "holds 0 examples, too few to train on" in error_of(capsys)
    assert train("answers", tmp_path / "work") == 2
    assert "run spatial-mllm train-small --stage recognition first" in error_of(capsys)


def test_damaged_files_are_named(work, capsys):
    (work / "examples" / "train_000050.npz").write_bytes(b"")
    assert train("geometry", work) == 2
    assert "train_000050.npz holds no examples that can be read" in error_of(capsys)
    (work / "geometry" / "state.pt").write_bytes(b"half a sta")
    assert train("geometry", work, "--resume") == 2
    assert "geometry/state.pt cannot be read; remove it, and begin the stage anew" in error_of(capsys)
    assert train("write", work, "--out", work / "checkpoint") == 2
    assert "geometry/state.pt cannot be read" in error_of(capsys) and not (work / "checkpoint").exists()


def test_weights_of_another_vocabulary_are_not_taken_over(work, capsys):
    (work / "answers").mkdir()
    language = {"embed_tokens.weight": torch.zeros(7, 192)}
    torch.save({"modules": {"language": language}}, work / "answers" / "state.pt")
    assert train("write", work, "--out", work / "checkpoint") == 2
    assert "answers/state.pt is the state of another run" in error_of(capsys) and not (work / "checkpoint").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--hours", "0"),
        ("--hours", "-1"),
        ("--hours", "nan"),
        ("--hours", "inf"),
        ("--count", "0"),
        ("--threads", "0"),
        ("--first", "-50"),
        ("--first", "30"),
        ("--first", "1000000"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
    ],
)
def test_bad_numbers_are_one_line_and_status_2(tmp_path, capsys, words):
    stage = "recognition" if words[0] in ("--hours", "--seed") else "scenes"
    assert train(stage, tmp_path / "work", "--count", 1, *words) == 2
    assert words[0] in error_of(capsys) and not (tmp_path / "work").exists()


@pytest.mark.parametrize("words", [["--hours", "many"], ["--answers", "anything"], ["--stage", "rest"]])
def test_words_that_are_none_of_the_choices_are_wrong_use(tmp_path, capsys, words):
    with pytest.raises(SystemExit) as ended:
        train("write", tmp_path / "work", *words)
    assert ended.value.code == 2 and f"argument {words[0]}" in capsys.readouterr().err


def test_a_working_folder_that_is_a_file_is_bad_input(tmp_path, capsys):
    (tmp_path / "work").write_text("mine")
    for stage in ("scenes", "recognition", "write"):
        assert train(stage, tmp_path / "work", "--count", 1, "--out", tmp_path / "out") == 2
        assert "is no folder" in error_of(capsys)
    assert (tmp_path / "work").read_text() == "mine"


def test_writing_needs_a_folder_that_is_not_there(tmp_path, capsys):
    assert train("write", tmp_path / "work") == 2
    assert "needs --out" in error_of(capsys)
    (tmp_path / "mine.txt").write_text("mine")
    assert train("write", tmp_path / "work", "--out", tmp_path) == 2
    assert "exists already" in error_of(capsys) and (tmp_path / "mine.txt").read_text() == "mine"


def test_a_checkpoint_of_nothing_learnt_says_so_of_itself(tmp_path, capsys):
    assert train("write", tmp_path / "work", "--out", tmp_path / "checkpoint") == 0
    printed = capsys.readouterr().out
    assert "trained: nothing" in printed and "its answers mean nothing" in printed
    assert not load_spatial_mllm(tmp_path / "checkpoint").is_trained
