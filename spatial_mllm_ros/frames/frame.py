"""A camera image with its sensor time: the one thing that every stage receives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError

__all__ = ["Frame"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One camera image with what is known about where it was taken.

    Attributes:
        image: uint8 [H,W,3], RGB, read-only.
        stamp_ns: sensor time in nanoseconds (a message's `header.stamp`).
        camera: name that tells the cameras of one robot apart; a topic or a file name.
        frame_id: the camera's optical coordinate frame (REP 103: x right, y down, z forward).
        depth_m: float32 [h,w], read-only, metres along the optical axis, registered to the image (same field of view,
            the size may differ); 0, NaN or Inf means "no depth". None if the robot has no depth.
        intrinsics: float64 [3,3], read-only, pixels of the rectified image at its own size. None if unknown.
        world_from_camera: float64 [4,4] rigid transform, read-only. None if the pose is unknown.
        world_frame_id: the coordinate frame of `world_from_camera`, such as "odom" or "map".

    Convention: pixel centres at integers (OpenCV). Arrays are kept as read-only views, not copied: whoever makes a
    frame hands its arrays over.

    Raises:
        InputError: if a shape or dtype is wrong, or `world_from_camera` is not a rigid transform.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    camera: str = "camera"
    frame_id: str = ""
    depth_m: NDArray[np.float32] | None = None
    intrinsics: NDArray[np.float64] | None = None
    world_from_camera: NDArray[np.float64] | None = None
    world_frame_id: str = ""

    def __post_init__(self) -> None:
        image = self.image
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"a frame's image must be uint8 [H,W,3], not {_describe(image)}")
        if 0 in image.shape:
            raise InputError(f"a frame's image must not be empty, but its shape is {image.shape}")
        if not isinstance(self.stamp_ns, int):
            raise InputError(f"a frame's stamp_ns must be an int, not {self.stamp_ns!r}")
        if self.depth_m is not None and (self.depth_m.dtype != np.float32 or self.depth_m.ndim != 2):
            raise InputError(f"a frame's depth_m must be float32 [h,w], not {_describe(self.depth_m)}")
        _check_matrix("intrinsics", self.intrinsics, (3, 3))
        _check_matrix("world_from_camera", self.world_from_camera, (4, 4))
        if self.world_from_camera is not None:
            _check_rigid(self.world_from_camera)
        for name in ("image", "depth_m", "intrinsics", "world_from_camera"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, _read_only(array))

    def __repr__(self) -> str:
        known = [name for name in ("depth_m", "intrinsics", "world_from_camera") if getattr(self, name) is not None]
        with_known = f", with {', '.join(known)}" if known else ""
        return f"Frame({self.width}x{self.height} of {self.camera!r} at {self.stamp_ns} ns{with_known})"

    @property
    def height(self) -> int:
        """Image height in pixels."""
        return self.image.shape[0]

    @property
    def width(self) -> int:
        """Image width in pixels."""
        return self.image.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes held by the image and the depth image."""
        return self.image.nbytes + (0 if self.depth_m is None else self.depth_m.nbytes)


def _read_only(array: NDArray) -> NDArray:
    view = array.view()
    view.flags.writeable = False
    return view


def _describe(value: object) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else repr(type(value).__name__)


def _check_matrix(name: str, matrix: NDArray | None, shape: tuple[int, int]) -> None:
    if matrix is None:
        return
    if not isinstance(matrix, np.ndarray) or matrix.shape != shape or matrix.dtype != np.float64:
        raise InputError(f"a frame's {name} must be float64 {list(shape)}, not {_describe(matrix)}")
    if not np.isfinite(matrix).all():
        raise InputError(f"a frame's {name} has a NaN or an infinite value")


def _check_rigid(world_from_camera: NDArray[np.float64]) -> None:
    rotation = world_from_camera[:3, :3]
    orthonormal = np.abs(rotation.T @ rotation - np.eye(3)).max() < 1e-3 and np.linalg.det(rotation) > 0
    if not orthonormal or np.abs(world_from_camera[3] - (0, 0, 0, 1)).max() > 1e-9:
        raise InputError("a frame's world_from_camera must be a rigid transform (rotation, translation, 0 0 0 1)")
