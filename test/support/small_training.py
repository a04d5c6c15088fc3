"""A training's folder that is ready for its last stage, without any training: made-up examples, weights of the start."""

import torch
from support.made_up import made_up

from spatial_mllm_ros.training.encoders import RecognitionProbe
from spatial_mllm_ros.training.examples import write_shard
from spatial_mllm_ros.training.facts import FactProbe
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.telling import Teller
from spatial_mllm_ros.training.workspace import Workspace


def small_workspace(folder, num_examples=5):
    """Draw made-up examples, of which two are for checking."""
    (folder / "examples").mkdir(parents=True)
    examples = [made_up(seed) for seed in range(num_examples)]
    write_shard(folder / "examples" / "train_000000.npz", examples)
    return Workspace(folder, num_validation=2)


class RememberingWorkspace(Workspace):
    """Tells which model a stage works on."""

    def begin(self):
        self.model = super().begin()
        return self.model


def state_of(network):
    """Copy all weights."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def pretend_stages_were_trained(work):
    """Write the states of the stages before the last, with the weights that they begin with; give the model."""
    model = work.begin()
    network = model.network
    states = {
        "recognition": {"visual": network.visual, "probe": RecognitionProbe(SIZES.hidden)},
        "geometry": {"aggregator": network.vggt.aggregator, "camera": network.vggt.camera_head},
        "reading": {"language": network.model, "teller": Teller(SIZES.hidden), "probe": FactProbe(SIZES.hidden)},
    }
    for stage, modules in states.items():
        (work.folder / stage).mkdir()
        state = {"modules": {name: module.state_dict() for name, module in modules.items()}}
        torch.save(state, work.folder / stage / "state.pt")
    return model


def take_small_steps(monkeypatch):
    """Let a step of every stage look at few frames."""
    monkeypatch.setattr("spatial_mllm_ros.training.stages._FRAMES_PER_STEP", {"recognition": 16, "geometry": 16})
    monkeypatch.setattr("spatial_mllm_ros.training.reading_stage._SCENES", 2)
    monkeypatch.setattr("spatial_mllm_ros.training.answer_stage._SCENES", 2)
    monkeypatch.setattr("spatial_mllm_ros.training.answer_stage._FIRST_SCENES", 16)
