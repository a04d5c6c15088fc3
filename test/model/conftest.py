"""Golden fixtures and a loaded model, shared by the tests of this folder."""

from pathlib import Path

import pytest
import torch

from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.golden import open_fixture

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "test" / "data" / "golden"
SHARED = ROOT.parent / "shared" / "fixtures"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


def _fixture_folder(name: str) -> Path:
    folder = GOLDEN if name == "golden" else SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the golden fixture {name} is not beside this checkout")
    return folder


@pytest.fixture(scope="session", params=["golden", "official_tiny", "official_sharded"])
def fixture(request):
    """Each golden fixture: the small one in this repository, and the large ones where they are."""
    return open_fixture(_fixture_folder(request.param))


@pytest.fixture(scope="session")
def golden():
    """The small golden fixture."""
    return open_fixture(GOLDEN)


@pytest.fixture(scope="session")
def golden_model(golden):
    """The small golden fixture's model, with geometry heads; not to be changed."""
    return load_spatial_mllm(GOLDEN / "checkpoint", geometry=True, **golden.sizes)


@pytest.fixture(scope="session")
def small_model():
    """The seeded random model with a tokenizer; not to be changed."""
    return load_spatial_mllm("random-small", geometry=True)
