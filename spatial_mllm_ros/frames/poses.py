"""Rigid transforms of a moving camera: from quaternions, between two stamps, through a mount.

Pure functions on arrays. Quaternions are x, y, z, w as in ROS; matrices are float64 and named by both ends.

Source: REP 103 (axes); Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985 (SLERP).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_mllm_ros.errors import InputError

__all__ = [
    "BODY_FROM_OPTICAL",
    "StampedPose",
    "child_from_camera_mount",
    "interpolate",
    "rotation_from_quaternion",
    "rotation_from_rpy",
    "slerp",
    "transform",
]

_MAX_NORM_ERROR = 0.01  # a quaternion further from unit length is no rotation but an unset or damaged field
_NEARLY_PARALLEL = 0.9995  # cosine above which SLERP's sine is too small to divide by

BODY_FROM_OPTICAL: NDArray[np.float64] = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Camera body axes (x forward, y left, z up) from optical axes (x right, y down, z forward); REP 103."""
BODY_FROM_OPTICAL.flags.writeable = False


@dataclass(frozen=True, kw_only=True, eq=False)
class StampedPose:
    """Where a child frame was in its parent frame at one time.

    Attributes:
        stamp_ns: time of the measurement in nanoseconds.
        position: float64 [3], metres.
        quaternion: float64 [4], x y z w, of unit length after construction.
        frame_id: the parent, such as "odom".
        child_frame_id: what was measured, such as "base_link"; empty for a PoseStamped.

    Raises:
        InputError: if a value is not finite or the quaternion is not near unit length.
    """

    stamp_ns: int
    position: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    frame_id: str = ""
    child_frame_id: str = ""

    def __post_init__(self) -> None:
        position, quaternion = np.array(self.position, np.float64), np.array(self.quaternion, np.float64)
        if position.shape != (3,) or quaternion.shape != (4,):
            raise InputError(
                f"a pose needs position [3] and quaternion [4], not {position.shape} and {quaternion.shape}"
            )
        norm = float(np.linalg.norm(quaternion))
        if not np.isfinite(position).all() or not abs(norm - 1.0) <= _MAX_NORM_ERROR:
            raise InputError(
                f"a pose has position {position.tolist()} and quaternion (x y z w) {quaternion.tolist()} "
                f"of length {norm:g}; expected finite values and length 1"
            )
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "quaternion", quaternion / norm)

    @property
    def parent_from_child(self) -> NDArray[np.float64]:
        """The rigid transform, float64 [4,4]."""
        return transform(rotation_from_quaternion(self.quaternion), self.position)


def transform(rotation: ArrayLike, translation: ArrayLike) -> NDArray[np.float64]:
    """Compose a rigid transform, float64 [4,4], from a rotation [3,3] and a translation [3]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix


def rotation_from_quaternion(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Turn a unit quaternion (x, y, z, w) into a rotation matrix, float64 [3,3]."""
    x, y, z, w = np.asarray(quaternion, np.float64)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """Turn URDF angles (radians; about the fixed axes x, then y, then z) into a rotation matrix, float64 [3,3]."""
    cr, cp, cy = np.cos((roll, pitch, yaw))
    sr, sp, sy = np.sin((roll, pitch, yaw))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def slerp(start: NDArray[np.float64], end: NDArray[np.float64], fraction: float) -> NDArray[np.float64]:
    """Interpolate two unit quaternions along the shorter arc, at constant angular speed.

    Args:
        start, end: float64 [4], x y z w; `q` and `-q` are the same rotation.
        fraction: 0 gives `start`, 1 gives `end` (or its negative).

    Returns:
        float64 [4], of unit length.
    """
    cosine = float(start @ end)
    if cosine < 0:
        end, cosine = -end, -cosine
    if cosine > _NEARLY_PARALLEL:
        mixed = (1 - fraction) * start + fraction * end
    else:
        angle = np.arccos(cosine)
        mixed = np.sin((1 - fraction) * angle) * start + np.sin(fraction * angle) * end
    return mixed / np.linalg.norm(mixed)


def interpolate(before: StampedPose, after: StampedPose, stamp_ns: int) -> StampedPose:
    """Estimate the pose at a time between two measurements: straight line and SLERP.

    Args:
        before, after: poses of the same child in the same parent, with `before.stamp_ns <= stamp_ns <= after.stamp_ns`.
        stamp_ns: the time asked for.
    """
    span_ns = after.stamp_ns - before.stamp_ns
    fraction = (stamp_ns - before.stamp_ns) / span_ns if span_ns else 0.0
    return StampedPose(
        stamp_ns=stamp_ns,
        position=before.position + fraction * (after.position - before.position),
        quaternion=slerp(before.quaternion, after.quaternion, fraction),
        frame_id=before.frame_id,
        child_frame_id=before.child_frame_id,
    )


def child_from_camera_mount(camera_mount: str) -> NDArray[np.float64] | None:
    """Read the camera's place on the robot from a parameter.

    Args:
        camera_mount: "x y z roll pitch yaw", metres and radians: the pose of the camera body frame (x forward) in the
            frame whose pose the robot publishes, as in URDF's <origin>. Empty: none is given.

    Returns:
        float64 [4,4], that frame from the camera's *optical* frame; None if `camera_mount` is empty.

    Raises:
        InputError: if it is not six finite numbers.
    """
    words = camera_mount.replace(",", " ").split()
    if not words:
        return None
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise InputError(f'camera_mount must be six numbers "x y z roll pitch yaw" (m, rad), not {camera_mount!r}')
    child_from_body = transform(rotation_from_rpy(*numbers[3:]), numbers[:3])
    return child_from_body @ BODY_FROM_OPTICAL
