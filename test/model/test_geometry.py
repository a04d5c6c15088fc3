import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import load_spatial_mllm


@pytest.fixture(scope="module")
def images():
    return np.random.Generator(np.random.PCG64(0)).integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def prediction(small_model, images):
    return small_model.predict_geometry(images)


def test_shapes_and_dtypes(prediction):
    """112 wide for this small model, 84 high at 3 : 4."""
    shapes = {
        "points": (3, 84, 112, 3),
        "confidence": (3, 84, 112),
        "depth_m": (3, 84, 112),
        "depth_confidence": (3, 84, 112),
        "camera_from_world": (3, 3, 4),
        "intrinsics": (3, 3, 3),
    }
    for name, shape in shapes.items():
        array = getattr(prediction, name)
        assert array.shape == shape and array.dtype == np.float32, name
    assert prediction.confidence.min() >= 1 and prediction.depth_m.min() > 0


def test_cameras_are_rigid(prediction):
    rotation = prediction.camera_from_world[:, :, :3]
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), identity, atol=1e-5)
    np.testing.assert_allclose(prediction.intrinsics[:, 0, 2], 56)
    np.testing.assert_allclose(prediction.intrinsics[:, 1, 2], 42)


def test_portraits_come_back_upright(small_model, images, prediction):
    """The same pixels, turned anticlockwise: the network sees the same, so only grids and camera axes turn."""
    turned = small_model.predict_geometry([np.rot90(image, k=1) for image in images])
    assert turned.points.shape == (3, 112, 84, 3)
    np.testing.assert_allclose(turned.points, np.rot90(prediction.points, k=1, axes=(1, 2)))
    np.testing.assert_allclose(turned.depth_m, np.rot90(prediction.depth_m, k=1, axes=(1, 2)))
    np.testing.assert_allclose(turned.intrinsics[:, 0, 0], prediction.intrinsics[:, 1, 1])
    np.testing.assert_allclose(turned.intrinsics[0, :2, 2], (42, 56))


def test_a_point_projects_to_the_turned_pixel(small_model, images, prediction):
    """Projecting with the turned camera and turning the pixel are the same."""
    turned = small_model.predict_geometry([np.rot90(image, k=1) for image in images])
    point = np.array([0.1, -0.2, 3.0, 1.0])

    def project(result):
        x, y, z = result.intrinsics[1] @ (result.camera_from_world[1] @ point)
        return x / z, y / z

    column, row = project(prediction)
    turned_column, turned_row = project(turned)
    np.testing.assert_allclose((turned_column, turned_row), (row, 112 - column), rtol=1e-4)


def test_without_heads_or_images_of_one_size_it_is_refused(small_model, images):
    with pytest.raises(InputError, match="load the model with geometry=True"):
        load_spatial_mllm("random-small").predict_geometry(images)
    for wrong in ([], [images[0], images[1][:30]]):
        with pytest.raises(InputError, match="images of one size, and at least one"):
            small_model.predict_geometry(wrong)
