"""Every stage learns, keeps what it has learnt, checks itself, and goes on from where it was stopped."""

import json

import pytest
import torch
from support.clock import put_clock
from support.small_training import small_workspace, take_small_steps

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training import stages
from spatial_mllm_ros.training.run import read_state
from spatial_mllm_ros.training.workspace import Workspace, load_stages

STAGES = ("recognition", "geometry", "heads", "reading", "answers")
BUDGET_H = 6 / 3600  # looks at the clock: one to three steps


@pytest.fixture(scope="module", autouse=True)
def _as_many_threads_as_before():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which every stage was run for a few steps, and what each reported."""
    folder, reported = tmp_path_factory.mktemp("small") / "work", {}
    small_workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        take_small_steps(patch)
        for stage in STAGES:
            put_clock(patch, per_look=1.0)
            reported[stage] = []
            work = Workspace(folder, num_validation=2)
            getattr(stages, f"train_{stage}")(work, BUDGET_H, reported[stage].append)
    return folder, reported


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_leaves_its_state_and_a_log_of_what_it_reported(trained, stage):
    folder, reported = trained
    state = read_state(folder / stage / "state.pt")
    lines = [json.loads(line) for line in (folder / stage / "log.jsonl").read_text().splitlines()]
    assert str(lines) == str(reported[stage])  # as text, since a check of rooms where nothing turns gives NaN
    assert lines[-1]["step"] == state["step"] >= 1 and lines[-1]["progress"] >= 1
    assert lines[-1]["examples"] == 3 and 0 < lines[-1]["loss"] < 1000


def test_every_stage_checks_itself_on_examples_that_it_does_not_train_on(trained):
    last = {stage: lines[-1] for stage, lines in trained[1].items()}
    assert 0 <= last["recognition"]["val_category"] <= 1 and last["recognition"]["val_loss"] > 0
    for sets in ("val_run", "val_uniform"):
        found = last["geometry"][sets]
        assert found["translation_m"] > 0 and found["still_translation_m"] > 0.3  # the made-up camera drives 1 m
        assert found["log_depth"] > found["flat_log_depth"] == 0  # the made-up wall is at one distance
    assert last["heads"]["val_depth"] > 0 and last["heads"]["val_points"] > 0
    for stage in ("reading", "answers"):
        assert last[stage]["room_size_estimation"].keys() == {"n", "right", "wrong", "2D", "3D", "blind"}
        assert last[stage]["room_size_estimation"]["n"] == 2  # one for each of the two


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("recognition", ("visual",)),
        ("geometry", ("aggregator", "camera")),
        ("heads", ("depth_head", "point_head")),
        ("reading", ("language",)),
        ("answers", ("connector", "merger")),
    ],
)
def test_a_stage_changes_what_it_trains(trained, tmp_path, stage, names):
    network = Workspace(tmp_path).begin().network
    parts = {"visual": network.visual, "language": network.model, "connector": network.connector}
    parts |= {"merger": network.visual.merger}
    parts |= {"aggregator": network.vggt.aggregator, "camera": network.vggt.camera_head}
    parts |= {"depth_head": network.vggt.depth_head, "point_head": network.vggt.point_head}
    learnt = read_state(trained[0] / stage / "state.pt")["modules"]
    for name in names:
        assert all(bool(tensor.isfinite().all()) for tensor in learnt[name].values()), name
        weights = [key for key, parameter in parts[name].named_parameters() if parameter.ndim > 1]
        assert any(not torch.equal(learnt[name][key], parts[name].get_parameter(key)) for key in weights), name


def test_the_model_of_all_stages_answers_with_what_was_learnt(trained, tmp_path):
    model = Workspace(tmp_path).begin()
    load_stages(model, trained[0], STAGES)
    answers = read_state(trained[0] / "answers" / "state.pt")["modules"]
    assert torch.equal(model.network.visual.merger.mlp[-1].weight, answers["merger"]["mlp.2.weight"])  # not as recognition
    assert torch.equal(model.network.model.norm.weight, answers["language"]["norm.weight"])  # nor as reading left them


def test_a_stage_goes_on_from_where_it_was_stopped(trained, tmp_path, monkeypatch):
    folder, reported = tmp_path / "work", []
    work = small_workspace(folder)
    take_small_steps(monkeypatch)
    put_clock(monkeypatch, per_look=1.0)
    stages.train_recognition(work, BUDGET_H, reported.append)
    put_clock(monkeypatch, per_look=1.0)
    stages.train_recognition(Workspace(folder, num_validation=2), BUDGET_H, reported.append)
    put_clock(monkeypatch, per_look=1.0)
    stages.train_recognition(Workspace(folder, num_validation=2), 9 * BUDGET_H, reported.append)
    first, spent, further = (line["step"] for line in reported)
    assert first == spent < further  # the budget is that of all runs of a stage together


@pytest.mark.parametrize(("stage", "missing"), [("heads", "geometry"), ("answers", "recognition")])
def test_a_stage_asks_for_the_one_before(tmp_path, stage, missing):
    with pytest.raises(InputError, match=f"run spatial-mllm train-small --stage {missing} first"):
        getattr(stages, f"train_{stage}")(small_workspace(tmp_path / "work"), BUDGET_H, print)
