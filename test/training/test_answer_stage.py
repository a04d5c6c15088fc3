"""The last stage: what the encoders see is fitted to what is told, and the language model learns to answer from it."""

import numpy as np
import pytest
import torch
from support.clock import put_clock
from support.made_up import made_up
from support.small_training import (
    RememberingWorkspace,
    pretend_stages_were_trained,
    small_workspace,
    state_of,
    take_small_steps,
)

from spatial_mllm_ros.training.answer_stage import AnswerStage, SceneMemory, _Scene, fit_linear


@pytest.fixture
def folder(tmp_path):
    pretend_stages_were_trained(small_workspace(tmp_path / "work"))
    return tmp_path / "work"


def test_only_the_language_model_learns(folder, monkeypatch):
    take_small_steps(monkeypatch)
    clock = put_clock(monkeypatch)
    work = RememberingWorkspace(folder, num_validation=2)
    stage = AnswerStage(work, hours=1.0)
    network, rng = work.model.network, np.random.default_rng(0)
    before = state_of(network)
    stage.step(rng)
    clock.now = 1800.0  # nothing is told any more
    stage.step(rng)
    line = stage.run.log()
    assert line["step"] == 2 and {"misfit", "loss_object_counting"} <= line.keys()
    changed = changed_since(before, network)
    assert all(name.startswith(("model.", "lm_head.")) for name in changed)
    assert {name for name in before if name.startswith("model.layers.") and before[name].ndim == 2} <= changed
    trained = {id(p) for optimizer in stage.run.optimizers for group in optimizer.param_groups for p in group["params"]}
    for part in (network.visual, network.spatial_encoder, network.connector):  # nor would they, if gradients came there
        assert not trained & {id(parameter) for parameter in part.parameters()}


def test_less_and_less_is_told_until_nothing_is(folder, monkeypatch):
    take_small_steps(monkeypatch)
    clock = put_clock(monkeypatch)
    stage = AnswerStage(RememberingWorkspace(folder, num_validation=2), hours=1.0)
    most = []
    for clock.now in (0.0, 720.0, 1440.0, 3000.0):
        shares = stage._share_told(1000, np.random.default_rng(0))
        assert shares.shape == (1000, 1, 1) and shares.min() >= 0
        most.append(float(shares.max()))
    assert most == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=0.01)


def changed_since(before, network):
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_a_stage_that_goes_on_has_what_it_had_learnt(folder, monkeypatch):
    take_small_steps(monkeypatch)
    put_clock(monkeypatch)
    work = RememberingWorkspace(folder, num_validation=2)
    stage = AnswerStage(work, hours=1.0)
    stage.step(np.random.default_rng(0))
    stage.run.save()
    expected = state_of(work.model.network)
    again = AnswerStage(work, hours=1.0)
    assert again.run.step == 1
    assert all(torch.equal(tensor, expected[name]) for name, tensor in work.model.network.state_dict().items())


def scene(number):
    """Make a scene of four frames of which every number is the same."""
    return _Scene(made_up(0), np.arange(4), (torch.full((24, 5), float(number)),) * 3, (2, 6, 8))


def test_only_the_last_scenes_are_kept_and_none_is_drawn_twice():
    memory = SceneMemory(3)
    for number in range(5):
        memory.add(scene(number))
        assert len(memory) == min(number + 1, 3)
    rng = np.random.default_rng(0)
    assert sorted(float(one.tokens[0][0, 0]) for one in memory.draw(3, rng)) == [2.0, 3.0, 4.0]
    assert len(memory.draw(2, rng)) == 2 and len(memory.draw(9, rng)) == 3


def test_fitted_layers_give_together_what_they_are_fitted_to():
    generator = torch.Generator().manual_seed(0)
    xs = [torch.randn(300, channels, generator=generator) for channels in (5, 4)]
    true, layers = ([torch.nn.Linear(channels, 3) for channels in (5, 4)] for _ in range(2))
    told = true[0](xs[0]) + true[1](xs[1])
    fit_linear(layers, ([part[start : start + 100] for part in (*xs, told)] for start in (0, 100, 200)))
    torch.testing.assert_close(layers[0](xs[0]) + layers[1](xs[1]), told, atol=0.05, rtol=0.05)


def test_a_layer_that_is_shown_nothing_stays_silent():
    x, silent = torch.randn(300, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(300, 4)
    layers = [torch.nn.Linear(5, 3), torch.nn.Linear(4, 3)]
    fit_linear(layers, [(x, silent, x[:, :3])])
    assert not layers[1].weight.any() and not layers[1].bias.any()


def test_it_begins_nearer_to_what_is_told_than_untrained_layers_would(folder, monkeypatch):
    take_small_steps(monkeypatch)
    put_clock(monkeypatch)
    fitted = first_line(folder)
    monkeypatch.setattr(AnswerStage, "_fit_last_layers", lambda stage: None)
    untrained = first_line(folder)
    assert 5 * fitted["misfit"] < untrained["misfit"]


def first_line(folder):
    stage = AnswerStage(RememberingWorkspace(folder, num_validation=2), hours=1.0)
    stage.step(np.random.default_rng(0))
    return stage.run.log()
