"""The small model at its beginning."""

import pytest
import torch

from spatial_mllm_ros.training.small_model import begin_small_model


@pytest.fixture(scope="session")
def begun(tmp_path_factory):
    """The untrained small model, and its folder; tests must leave its weights alone."""
    folder = tmp_path_factory.mktemp("begun")
    with torch.random.fork_rng():
        model = begin_small_model(folder, seed=1)
    return model, folder
