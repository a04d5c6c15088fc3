import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.model.vggt import decode_poses
from spatial_mllm_ros.model.vggt.camera_head import rotation_from_quaternion

FULL_TURN_PARTS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(x * x for x in q) > 1e-2)


def test_a_quarter_turn_about_the_optical_axis():
    half = math.sqrt(0.5)
    rotation = rotation_from_quaternion(torch.tensor([0.0, 0.0, half, half]))
    torch.testing.assert_close(rotation, torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), atol=1e-6, rtol=0)


@given(quaternion=FULL_TURN_PARTS, scale=st.floats(0.1, 10))
def test_any_quaternion_gives_a_rotation_whatever_its_length(quaternion, scale):
    rotation = rotation_from_quaternion(torch.tensor(quaternion, dtype=torch.float64) * scale)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)
    assert torch.det(rotation) == pytest.approx(1)
    torch.testing.assert_close(rotation, rotation_from_quaternion(torch.tensor(quaternion, dtype=torch.float64)))


def test_a_pose_is_decoded_into_metres_and_pixels():
    """A field of view of 90 degrees makes the focal length half a side."""
    poses = torch.tensor([[1.0, 2, 3, 0, 0, 0, 1, math.pi / 2, math.pi / 2]])
    camera_from_world, intrinsics = decode_poses(poses, 84, 112)
    torch.testing.assert_close(camera_from_world[0], torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3]]))
    expected = torch.tensor([[56.0, 0, 56], [0, 42, 42], [0, 0, 1]])
    torch.testing.assert_close(intrinsics[0], expected, atol=1e-4, rtol=0)


def test_the_vertical_field_of_view_comes_first():
    poses = torch.tensor([[0.0, 0, 0, 0, 0, 0, 1, math.pi / 2, math.pi / 3]])
    _, intrinsics = decode_poses(poses, 100, 100)
    assert intrinsics[0, 1, 1].item() == pytest.approx(50)
    assert intrinsics[0, 0, 0].item() == pytest.approx(50 * math.sqrt(3), rel=1e-5)
