import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.poses import (
    BODY_FROM_OPTICAL,
    StampedPose,
    child_from_camera_mount,
    interpolate,
    rotation_from_quaternion,
    rotation_from_rpy,
    slerp,
)

EXACT = {"rtol": 0, "atol": 1e-12}
ROUNDED = {"rtol": 0, "atol": 1e-6}
HALF = np.sqrt(0.5)

components = st.tuples(*[st.floats(-1, 1) for _ in range(4)])


def unit(values) -> np.ndarray:
    quaternion = np.array(values)
    norm = np.linalg.norm(quaternion)
    assume(norm > 0.1)
    return quaternion / norm


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """The angle of the rotation from one unit quaternion to another, radians."""
    relative = rotation_from_quaternion(first).T @ rotation_from_quaternion(second)
    return float(
        np.linalg.norm(
            np.array([relative[2, 1], relative[0, 2], relative[1, 0]])
            - np.array([relative[1, 2], relative[2, 0], relative[0, 1]])
        )
        / 2
    )


def pose(stamp_ns, position=(0, 0, 0), quaternion=(0, 0, 0, 1), **names) -> StampedPose:
    return StampedPose(stamp_ns=stamp_ns, position=np.array(position), quaternion=np.array(quaternion), **names)


def test_a_quarter_turn_about_z_takes_x_to_y():
    rotation = rotation_from_quaternion((0, 0, HALF, HALF))
    np.testing.assert_allclose(rotation @ (1, 0, 0), (0, 1, 0), **EXACT)
    np.testing.assert_allclose(rotation, rotation_from_rpy(0, 0, np.pi / 2), **EXACT)


@given(values=components)
def test_every_unit_quaternion_is_a_rotation(values):
    rotation = rotation_from_quaternion(unit(values))
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), **EXACT)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation, rotation_from_quaternion(-unit(values)), **EXACT)


def test_urdf_angles_turn_about_fixed_axes_in_the_order_x_y_z():
    about_x, about_y, about_z = (rotation_from_rpy(*angles) for angles in np.eye(3) * 0.3)
    np.testing.assert_allclose(rotation_from_rpy(0.3, 0.3, 0.3), about_z @ about_y @ about_x, **EXACT)
    np.testing.assert_allclose(about_x @ (0, 1, 0), (0, np.cos(0.3), np.sin(0.3)), **EXACT)


@given(first=components, second=components, fraction=st.floats(0, 1))
def test_slerp_divides_the_angle_in_proportion(first, second, fraction):
    start, end = unit(first), unit(second)
    middle = slerp(start, end, fraction)
    assert np.linalg.norm(middle) == pytest.approx(1)
    whole = 2 * np.arccos(min(1.0, abs(start @ end)))
    part = 2 * np.arccos(min(1.0, abs(start @ middle)))
    assert part == pytest.approx(fraction * whole, abs=2e-4)


@given(first=components, second=components, fraction=st.floats(0, 1))
def test_slerp_is_the_same_for_both_signs_of_a_quaternion_and_backwards(first, second, fraction):
    start, end = unit(first), unit(second)
    assume(abs(start @ end) > 1e-3)  # at half a turn both ways are equally short
    rotation = rotation_from_quaternion(slerp(start, end, fraction))
    np.testing.assert_allclose(rotation_from_quaternion(slerp(start, -end, fraction)), rotation, **ROUNDED)
    np.testing.assert_allclose(rotation_from_quaternion(slerp(end, start, 1 - fraction)), rotation, **ROUNDED)


@given(first=components, second=components)
def test_slerp_begins_and_ends_at_its_ends(first, second):
    start, end = unit(first), unit(second)
    np.testing.assert_allclose(
        rotation_from_quaternion(slerp(start, end, 0.0)), rotation_from_quaternion(start), **ROUNDED
    )
    np.testing.assert_allclose(
        rotation_from_quaternion(slerp(start, end, 1.0)), rotation_from_quaternion(end), **ROUNDED
    )


def test_halfway_between_two_poses_by_hand():
    before = pose(100, (0, 0, 0), (0, 0, 0, 1), frame_id="odom", child_frame_id="base")
    after = pose(300, (2, 4, 6), (0, 0, HALF, HALF), frame_id="odom", child_frame_id="base")
    middle = interpolate(before, after, 200)
    np.testing.assert_allclose(middle.position, (1, 2, 3), **EXACT)
    np.testing.assert_allclose(middle.quaternion, (0, 0, np.sin(np.pi / 8), np.cos(np.pi / 8)), **EXACT)
    assert (middle.stamp_ns, middle.frame_id, middle.child_frame_id) == (200, "odom", "base")


def test_between_two_poses_of_one_time_lies_the_first():
    assert interpolate(pose(5, (1, 0, 0)), pose(5, (2, 0, 0)), 5).position[0] == 1


def test_a_nearly_unit_quaternion_is_normalised():
    quaternion = pose(0, quaternion=(0, 0, 0, 1.005)).quaternion
    np.testing.assert_allclose(quaternion, (0, 0, 0, 1), **EXACT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quaternion": (0, 0, 0, 0)}, "of length 0; expected finite values and length 1"),
        ({"quaternion": (1, 1, 0, 0)}, "of length 1.41421"),
        ({"quaternion": (np.nan, 0, 0, 1)}, "length nan"),
        ({"position": (np.inf, 0, 0)}, "expected finite values"),
        ({"position": (0, 0)}, r"position \[3\] and quaternion \[4\]"),
    ],
)
def test_what_is_no_pose_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        pose(0, **changes)


def test_a_camera_that_looks_ahead_sees_forward_right_and_down_where_they_are():
    child_from_camera = child_from_camera_mount("0.1 0.2 0.3 0 0 0")
    np.testing.assert_allclose(child_from_camera @ (0, 0, 1, 1), (1.1, 0.2, 0.3, 1), **EXACT)  # ahead is x
    np.testing.assert_allclose(child_from_camera @ (1, 0, 0, 1), (0.1, -0.8, 0.3, 1), **EXACT)  # right is -y
    np.testing.assert_allclose(child_from_camera @ (0, 1, 0, 1), (0.1, 0.2, -0.7, 1), **EXACT)  # down is -z


def test_a_camera_pitched_down_looks_down():
    child_from_camera = child_from_camera_mount("0, 0, 0, 0, 1.5707963267948966, 0")
    np.testing.assert_allclose(child_from_camera @ (0, 0, 1, 0), (0, 0, -1, 0), **EXACT)


def test_no_mount_is_none():
    assert child_from_camera_mount("") is None and child_from_camera_mount("  ") is None


@pytest.mark.parametrize("mount", ["1 2 3", "1 2 3 4 5 6 7", "a b c d e f", "0 0 0 0 0 nan", "0 0 0 0 0 inf"])
def test_a_mount_that_is_not_six_numbers_is_refused(mount):
    with pytest.raises(InputError, match='six numbers "x y z roll pitch yaw"'):
        child_from_camera_mount(mount)


def test_the_optical_axes_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        BODY_FROM_OPTICAL[0, 0] = 1
