"""Where the camera was at the time of an image, from the poses that a robot publishes and the camera's place on it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.frames.history import StampedHistory
from spatial_mllm_ros.frames.poses import StampedPose, child_from_camera_mount, interpolate
from spatial_mllm_ros.frames.tally import Tally

__all__ = ["CameraPoses", "MountLookup"]

logger = logging.getLogger(__name__)

MountLookup = Callable[[str, str], "NDArray[np.float64] | None"]
"""`(child_frame_id, camera_frame_id) -> child_from_camera`, float64 [4,4], or None if it is unknown."""


class CameraPoses:
    """A bounded history of poses that answers for any time near it.

    The pose of the camera is the one published, if its child frame is the image's frame, or has no name (PoseStamped)
    and no `camera_mount` is set; else it goes through `camera_mount`; else through `mount_lookup`; else it is
    unknown.

    Args:
        max_poses: most poses held.
        tolerance_s: largest distance in time to a single pose, seconds.
        max_gap_s: largest distance in time between two poses that are interpolated, seconds.
        camera_mount: "x y z roll pitch yaw" or empty; see `child_from_camera_mount`.
        mount_lookup: asked where `camera_mount` is empty; tf2 in a node.
        tally: told what is missing.
    """

    def __init__(
        self,
        *,
        max_poses: int,
        tolerance_s: float,
        max_gap_s: float,
        camera_mount: str,
        mount_lookup: MountLookup | None,
        tally: Tally,
    ) -> None:
        self._tolerance_ns = tolerance_s * 1e9
        self._max_gap_ns = max_gap_s * 1e9
        self._child_from_camera = child_from_camera_mount(camera_mount)
        self._mount_lookup = mount_lookup
        self._tally = tally
        self._poses: StampedHistory[StampedPose] = StampedHistory(max_poses)

    def add(self, pose: StampedPose) -> None:
        """Remember a pose."""
        self._poses.add(pose.stamp_ns, pose)

    def clear(self) -> None:
        """Forget all poses."""
        self._poses.clear()

    def at(self, stamp_ns: int, camera_frame_id: str) -> tuple[str, NDArray[np.float64] | None]:
        """Return the world frame's name and `world_from_camera`, float64 [4,4]; "" and None if it cannot be told."""
        pose = self._pose_at(stamp_ns)
        if pose is None:
            return "", None
        child_from_camera = self._mount_of(pose.child_frame_id, camera_frame_id)
        if child_from_camera is None:
            self._tally.add(
                "mount_unknown",
                "poses are of %r but the image is in %r; set frames.camera_mount to the camera's place on the robot, "
                "or publish it on /tf_static",
                pose.child_frame_id,
                camera_frame_id,
            )
            return "", None
        return pose.frame_id, pose.parent_from_child @ child_from_camera

    def _pose_at(self, stamp_ns: int) -> StampedPose | None:
        before, after = self._poses.around(stamp_ns)
        if before is not None and after is not None and self._are_consecutive(before[1], after[1]):
            return interpolate(before[1], after[1], stamp_ns)
        nearest = self._poses.nearest(stamp_ns)
        if nearest is not None and abs(nearest[0] - stamp_ns) <= self._tolerance_ns:
            return nearest[1]
        self._tally.add_distance("pose", None if nearest is None else nearest[0] - stamp_ns)
        return None

    def _are_consecutive(self, before: StampedPose, after: StampedPose) -> bool:
        """Tell whether two poses are near in time and of the same frames, so that there are poses between them."""
        is_near = after.stamp_ns - before.stamp_ns <= self._max_gap_ns
        return is_near and (before.frame_id, before.child_frame_id) == (after.frame_id, after.child_frame_id)

    def _mount_of(self, child_frame_id: str, camera_frame_id: str) -> NDArray[np.float64] | None:
        if child_frame_id and child_frame_id == camera_frame_id:
            return np.eye(4)
        if self._child_from_camera is not None:
            return self._child_from_camera
        if not child_frame_id:
            return np.eye(4)
        return None if self._mount_lookup is None else self._mount_lookup(child_frame_id, camera_frame_id)
