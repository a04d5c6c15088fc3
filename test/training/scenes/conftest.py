import pytest

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.training.scenes import RoomRenderer


@pytest.fixture(scope="session")
def renderer():
    """One OpenGL context for all tests; they skip, saying what is missing, where there is none."""
    try:
        renderer = RoomRenderer(160, 120, samples=0)
    except DependencyError as error:
        pytest.skip(str(error))
    with renderer:
        yield renderer
