"""A run that is stopped goes on as if it had not been; its rates, log and checkpoints are what they say they are."""

import json

import pytest
import torch
from support.clock import put_clock
from torch import nn

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.training.run import Run, read_state

RATE = 1e-2


@pytest.fixture
def clock(monkeypatch):
    return put_clock(monkeypatch)


def network(seed):
    """Make a network whose first matrix is large enough for Muon, and whose other parameters are not."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.Linear(32, 2))


def begin(folder, seed=0, **options):
    return Run(folder, {"net": network(seed)}, learning_rate=RATE, hours=1.0, **options)


def go(run, steps, seconds=0.0, clock=None):
    for index in range(steps):
        x = torch.linspace(-1, 1, 8 * 32).sin().reshape(8, 32) * (index + 1)
        run.update(run.modules["net"](x).square().mean())
        if clock:
            clock.now += seconds


def weights(run):
    return torch.cat([parameter.detach().flatten() for parameter in run.modules["net"].parameters()])


def rates(run):
    return {group["lr"] for optimizer in run.optimizers for group in optimizer.param_groups}


def test_a_run_that_was_stopped_goes_on_at_its_step_and_its_time(tmp_path, clock):
    run = begin(tmp_path, seed=1)
    go(run, 5, 100.0, clock)
    run.save()
    clock.now += 5000.0  # nothing runs
    again = begin(tmp_path, seed=2)
    assert (again.step, again.progress) == (5, pytest.approx(500 / 3600))
    assert torch.equal(weights(again), weights(run)) and again.steps_since_log == 0
    clock.now += 100.0
    assert again.progress == pytest.approx(600 / 3600)


def test_a_run_that_was_stopped_goes_on_with_its_momentum(tmp_path, clock):
    run = begin(tmp_path, seed=1)
    go(run, 5)
    run.save()
    again, forgetful = begin(tmp_path, seed=2), begin(tmp_path / "other", seed=2)
    forgetful.modules["net"].load_state_dict(run.modules["net"].state_dict())
    forgetful.step = run.step
    for one in (run, again, forgetful):
        go(one, 3)
    assert torch.equal(weights(again), weights(run))
    assert not torch.allclose(weights(forgetful), weights(run))


def test_rates_rise_then_fall_with_the_time_spent(tmp_path, clock):
    run = begin(tmp_path, save_every_s=1e9)
    go(run, 1)
    assert max(rates(run)) < 0.1 * RATE
    go(run, 100)
    half_way = min(rates(run))
    go(run, 150)
    assert 0.4 * RATE < half_way < 0.6 * RATE and min(rates(run)) == pytest.approx(RATE)
    expected = {1800.0: 0.5, 2700.0: 0.1464, 3600.0: 0.01, 9000.0: 0.01}  # (1 + cos(pi * progress)) / 2, not below 1 %
    for seconds, share in expected.items():
        clock.now = seconds
        go(run, 1)
        assert min(rates(run)) == pytest.approx(share * RATE, rel=1e-3)


def test_every_parameter_that_is_not_frozen_is_trained_once(tmp_path, clock):
    net = network(0)
    net[1].requires_grad_(False)
    run = Run(tmp_path, {"net": net}, learning_rate=RATE, hours=1.0)
    trained = [id(p) for optimizer in run.optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for layer in (net[0], net[2]) for p in layer.parameters())
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    go(run, 2)
    changed = {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_log_gives_the_mean_of_each_figure_over_the_steps_that_told_it(tmp_path, clock):
    run = begin(tmp_path)
    for figures in ({"near": 1.0}, {"near": 3.0, "far": 5.0}, {}):
        run.update((run.modules["net"].get_parameter("0.weight") * 0).sum() + 2, **figures)
    assert run.steps_since_log == 3
    clock.now = 360.0
    assert run.log(examples=7) == {
        "step": 3, "progress": 0.1, "loss": 2.0, "near": 2.0, "far": 5.0, "examples": 7
    }  # fmt: skip
    run.update((run.modules["net"].get_parameter("0.weight") * 0).sum() + 4)
    assert run.log() == {"step": 4, "progress": 0.1, "loss": 4.0}  # the first line's figures are gone
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 4] and run.steps_since_log == 0


def test_a_checkpoint_is_written_as_often_as_asked_for(tmp_path, clock):
    run, saved = begin(tmp_path, save_every_s=60.0), []
    for _ in range(5):
        go(run, 1, 25.0, clock)
        saved.append(read_state(tmp_path / "state.pt")["step"] if (tmp_path / "state.pt").is_file() else 0)
    assert saved == [0, 0, 0, 4, 4]  # 75 s had passed when the fourth step was taken


def test_a_save_that_is_killed_leaves_the_checkpoint_before_whole(tmp_path, clock, monkeypatch):
    run = begin(tmp_path)
    go(run, 2)
    run.save()
    kept, save = weights(run).clone(), torch.save

    def killed(state, path):
        save(state, path)
        path.write_bytes(path.read_bytes()[:1000])
        raise KeyboardInterrupt

    go(run, 1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", killed)
        run.save()
    again = begin(tmp_path, seed=5)
    assert again.step == 2 and torch.equal(weights(again), kept)
    again.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.pt"]


def damaged_states(folder):
    run = begin(folder)
    go(run, 1)
    run.save()
    whole, state = (folder / "state.pt").read_bytes(), read_state(folder / "state.pt")
    yield "cut short", whole[: len(whole) // 2]
    yield "empty", b""
    yield "not a state", b"a letter to somebody"
    for name, changed in {
        "without its step": {key: value for key, value in state.items() if key != "step"},
        "without its optimizers": {key: value for key, value in state.items() if key != "optimizers"},
        "with other modules": {**state, "modules": {"other": state["modules"]["net"]}},
        "of another size": {**state, "modules": {"net": nn.Linear(3, 3).state_dict()}},
        "with one optimizer": {**state, "optimizers": state["optimizers"][:1]},
        "a list": [1, 2, 3],
    }.items():
        torch.save(changed, folder / "changed")
        yield name, (folder / "changed").read_bytes()


def test_a_damaged_state_is_bad_input_that_names_the_file(tmp_path, clock):
    (tmp_path / "whole").mkdir()
    for name, content in damaged_states(tmp_path / "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.pt").write_bytes(content)
        with pytest.raises(InputError) as raised:
            begin(tmp_path / name)
        assert str(tmp_path / name / "state.pt") in str(raised.value) and "remove it" in str(raised.value), name


def test_a_torch_without_muon_is_said(tmp_path, clock, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(DependencyError, match=r"pip install 'torch>=2\.9'"):
        begin(tmp_path)
