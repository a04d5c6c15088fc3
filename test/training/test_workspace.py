"""A training's folder: examples come in as they are drawn, and a stage takes over what the stages before have learnt."""

import dataclasses

import numpy as np
import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.examples import write_shard
from spatial_mllm_ros.training.workspace import SAMPLE_SEED, Workspace, groups, load_stages


def draw(folder, name, seeds):
    (folder / "examples").mkdir(exist_ok=True)
    write_shard(folder / "examples" / name, [dataclasses.replace(made_up(0), seed=seed) for seed in seeds])


def seeds_of(examples):
    return [example.seed for example in examples]


def test_the_first_examples_are_kept_for_checking_and_later_ones_are_trained_on(tmp_path):
    draw(tmp_path, "train_000000.npz", [1, 2, 3])
    draw(tmp_path, "train_000050.npz", [50])
    work = Workspace(tmp_path, num_validation=2)
    work.refresh()
    assert (seeds_of(work.validation), seeds_of(work.examples)) == ([1, 2], [3, 50])
    draw(tmp_path, "train_000100.npz", [100, 101])
    draw(tmp_path, "heldout_000000.npz", [7])
    work.refresh()
    assert (seeds_of(work.validation), seeds_of(work.examples)) == ([1, 2], [3, 50, 100, 101])


def test_the_room_of_the_sample_bag_is_never_trained_on(tmp_path):
    draw(tmp_path, "train_000250.npz", [SAMPLE_SEED - 1, SAMPLE_SEED, SAMPLE_SEED + 1, SAMPLE_SEED + 2])
    work = Workspace(tmp_path, num_validation=1)
    work.refresh()
    assert SAMPLE_SEED not in seeds_of([*work.validation, *work.examples]) and len(work.examples) == 2


@pytest.mark.parametrize("seeds", [[], [1, 2, 3]])
def test_too_few_examples_say_how_to_draw_more(tmp_path, seeds):
    if seeds:
        draw(tmp_path, "train_000000.npz", seeds)
    with pytest.raises(InputError, match=rf"holds {len(seeds)} examples.*train-small --stage scenes"):
        Workspace(tmp_path, num_validation=2).refresh()


def test_a_damaged_shard_is_named(tmp_path):
    draw(tmp_path, "train_000000.npz", [1, 2, 3, 4])
    path = tmp_path / "examples" / "train_000050.npz"
    path.write_bytes((tmp_path / "examples" / "train_000000.npz").read_bytes()[:-100])
    with pytest.raises(InputError, match="train_000050.npz holds no examples that can be read"):
        Workspace(tmp_path, num_validation=2).refresh()


def test_about_every_other_example_is_drawn_as_a_mirror_shows_it(tmp_path):
    draw(tmp_path, "train_000000.npz", range(8))
    work = Workspace(tmp_path, num_validation=2)
    work.refresh()
    drawn = work.draw(200, np.random.default_rng(0))
    assert 60 < sum(example.is_mirrored for example in drawn) < 140
    assert set(seeds_of(drawn)) == {2, 3, 4, 5, 6, 7}


def test_every_stage_begins_with_the_same_weights(tmp_path):
    first, again, other = (Workspace(tmp_path / name, seed).begin() for name, seed in (("a", 3), ("a", 3), ("b", 4)))
    states = [torch.cat([p.detach().flatten() for p in model.network.parameters()]) for model in (first, again, other)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    assert all(parameter.requires_grad for parameter in first.network.parameters())


def test_groups_keep_the_order_and_leave_nothing_out():
    assert groups([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("loaded")).begin()


def save(folder, stage, modules):
    (folder / stage).mkdir()
    torch.save({"modules": modules}, folder / stage / "state.pt")


def changed(module):
    """Give a module's state with every number moved."""
    return {name: tensor + 0.125 for name, tensor in module.state_dict().items()}


def test_what_stages_have_learnt_is_taken_over_and_their_probes_are_not(tmp_path, model):
    network = model.network
    expected = {"visual": changed(network.visual), "connector": changed(network.connector)}
    save(tmp_path, "recognition", {"visual": expected["visual"], "probe": {"weight": torch.zeros(3)}})
    save(tmp_path, "answers", {"connector": expected["connector"]})
    untouched = {name: tensor.clone() for name, tensor in network.vggt.state_dict().items()}
    load_stages(model, tmp_path, ("recognition", "answers"))
    for name, state in expected.items():
        for key, tensor in getattr(network, name).state_dict().items():
            torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in network.vggt.state_dict().items())


def test_a_stage_that_was_not_run_is_asked_for(tmp_path, model):
    with pytest.raises(InputError, match=r"geometry/state\.pt is missing; run spatial-mllm train-small --stage geometry"):
        load_stages(model, tmp_path, ("geometry",))


def test_the_state_of_another_network_is_named(tmp_path, model):
    save(tmp_path, "geometry", {"camera": {"weight": torch.zeros(3)}})
    with pytest.raises(InputError, match=r"geometry/state\.pt is the state of another run"):
        load_stages(model, tmp_path, ("geometry",))
