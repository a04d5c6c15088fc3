"""Point maps from what the robot measures: a depth image, the camera's intrinsics and its pose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.geometry.config import GeometryConfig
from spatial_mllm_ros.geometry.grid import grid_pixels
from spatial_mllm_ros.geometry.point_map import PointMap

__all__ = ["DepthProvider", "scale_intrinsics", "unproject"]


def unproject(
    depth_m: NDArray[np.float32],
    intrinsics: NDArray[np.float64],
    world_from_camera: NDArray[np.float64],
    *,
    rows: NDArray[np.intp] | None = None,
    columns: NDArray[np.intp] | None = None,
) -> NDArray[np.float32]:
    """Lift a depth image to a point map.

    Args:
        depth_m: float32 [H,W], metres along the optical axis; 0, negative, NaN or Inf means "no depth".
        intrinsics: float64 [3,3], pixels, of the rectified depth image.
        world_from_camera: float64 [4,4] rigid transform.
        rows, columns: intp [h], [w], the pixels wanted; all if None.

    Returns:
        float32 [h,w,3] in world, metres; NaN where there is no depth.

    Convention: pixel centres at integers (OpenCV), so (0, 0) is the centre of the first pixel.

    Raises:
        InputError: if a shape is wrong.

    Source: REP 118 (depth images); Hartley and Zisserman, 2nd ed., sec. 6.1.
    """
    if depth_m.ndim != 2 or intrinsics.shape != (3, 3) or world_from_camera.shape != (4, 4):
        raise InputError(
            "unproject needs depth [H,W], intrinsics [3,3] and world_from_camera [4,4], "
            f"not {list(depth_m.shape)}, {list(intrinsics.shape)} and {list(world_from_camera.shape)}"
        )
    rows = np.arange(depth_m.shape[0]) if rows is None else rows
    columns = np.arange(depth_m.shape[1]) if columns is None else columns
    depth = depth_m[rows[:, None], columns].astype(np.float64)
    depth[~((depth > 0) & np.isfinite(depth))] = np.nan
    v, u = np.meshgrid(rows, columns, indexing="ij")
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)  # [h,w,3]
    world_from_pixel = world_from_camera[:3, :3] @ np.linalg.inv(intrinsics)  # of a pixel's ray at depth 1
    points = depth[..., None] * (pixels @ world_from_pixel.T) + world_from_camera[:3, 3]
    return points.astype(np.float32)


def scale_intrinsics(
    intrinsics: NDArray[np.float64], size: tuple[int, int], new_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the intrinsics of an image of another size with the same field of view.

    Args:
        intrinsics: float64 [3,3], pixels of the image at `size`.
        size, new_size: (height, width).

    Convention: pixel centres at integers, so the image's left edge is at -0.5 at any size.
    """
    scale_y, scale_x = new_size[0] / size[0], new_size[1] / size[1]
    new_from_old = np.array([[scale_x, 0, scale_x / 2 - 0.5], [0, scale_y, scale_y / 2 - 0.5], [0, 0, 1]])
    return new_from_old @ intrinsics


class DepthProvider:
    """Makes point maps of frames that have depth, intrinsics and a pose.

    Attributes:
        counts: "mapped" frames, and those left without a map by what they lacked: "depth", "intrinsics" or "pose".
    """

    name = "depth"

    def __init__(self, config: GeometryConfig | None = None) -> None:
        self._config = config or GeometryConfig()
        self.counts: Counter[str] = Counter()

    def point_maps(self, frames: Sequence[Frame]) -> list[PointMap | None]:
        """Make a point map of each frame on the working grid; None for a frame that lacks something.

        Confidence is 1 where depth lies within `min_depth_m` and `max_depth_m`, and 0 elsewhere.
        """
        return [self._point_map(frame) for frame in frames]

    def clear(self) -> None:
        """Do nothing: each frame stands for itself."""

    def _point_map(self, frame: Frame) -> PointMap | None:
        needs = {"depth": frame.depth_m, "intrinsics": frame.intrinsics, "pose": frame.world_from_camera}
        missing = next((name for name, value in needs.items() if value is None), None)
        self.counts[missing or "mapped"] += 1
        if missing:
            return None
        depth_m = frame.depth_m
        rows, columns = grid_pixels(*depth_m.shape, self._config.grid_width)
        intrinsics = scale_intrinsics(frame.intrinsics, (frame.height, frame.width), depth_m.shape)
        points = unproject(depth_m, intrinsics, frame.world_from_camera, rows=rows, columns=columns)
        on_grid = depth_m[rows[:, None], columns]
        is_measured = (on_grid >= self._config.min_depth_m) & (on_grid <= self._config.max_depth_m) & (on_grid > 0)
        points[~is_measured] = np.nan
        return PointMap(
            points=points,
            confidence=is_measured.astype(np.float32),
            stamp_ns=frame.stamp_ns,
            frame_id=frame.world_frame_id,
        )
