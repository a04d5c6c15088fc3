"""Where the camera sits on the robot, from tf2 where it is installed.

tf2_ros is not on PyPI; without it, or without a transform, the parameter `frames.camera_mount` says the same.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.time import Time

from spatial_mllm_ros.frames.poses import rotation_from_quaternion, transform

__all__ = ["Tf2MountLookup"]

_log = logging.getLogger(__name__)


class Tf2MountLookup:
    """Asks tf2 for the fixed transform from the camera to the frame whose pose is published."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._buffer = self._listener = None

    def open(self) -> None:
        """Begin to listen to /tf and /tf_static, if tf2_ros is there."""
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError:
            _log.info("tf2_ros is not installed; the camera's place on the robot is taken from frames.camera_mount")
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self._node)

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None and hasattr(self._listener, "unregister"):
            self._listener.unregister()
        self._buffer = self._listener = None

    def lookup(self, child_frame_id: str, camera_frame_id: str) -> NDArray[np.float64] | None:
        """Return `child_from_camera` float64 [4,4], or None if tf2 does not know it (yet)."""
        if self._buffer is None:
            return None
        from tf2_ros import TransformException

        try:
            found = self._buffer.lookup_transform(child_frame_id, camera_frame_id, Time()).transform
        except TransformException:
            return None
        t, q = found.translation, found.rotation
        return transform(rotation_from_quaternion((q.x, q.y, q.z, q.w)), (t.x, t.y, t.z))
