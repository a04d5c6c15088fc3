"""Name the voxels of a live point map: cubes of a fixed size, anchored in the world frame.

A voxel has the same name in every map, so maps can come and go one by one. (The paper's voxels depend on the whole
video; see `voxels.py`.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.geometry.point_map import PointMap
from spatial_mllm_ros.sampling.confidence import confidence_percentile, trusted_from

__all__ = ["voxel_centres", "voxel_names"]

_AXIS_BITS = 21
_REACH = 1 << (_AXIS_BITS - 1)  # voxels from the origin, either way: 209 km for voxels of 0.2 m


def voxel_names(
    point_map: PointMap, voxel_size: float, *, percentile: float, min_confidence: float
) -> NDArray[np.int64]:
    """List the voxels that a point map's trusted points lie in.

    Args:
        point_map: one frame's points in the world.
        voxel_size: side of a voxel, in the unit of the points.
        percentile, min_confidence: a point counts if its confidence is at least that percentile of this map's, and
            above the minimum. Points that are not finite, or lie 2**20 voxels or more from the origin, do not count.

    Returns:
        int64 [V], ascending and distinct; 21 bits for each axis.
    """
    confidence = point_map.confidence
    if not confidence.size:
        return np.empty(0, np.int64)
    if not np.isfinite(confidence).all():
        confidence = np.nan_to_num(confidence, nan=0.0)
    trusted = trusted_from(confidence_percentile(confidence, percentile), min_confidence)
    points = point_map.points.reshape(-1, 3).take(np.flatnonzero(confidence >= trusted), axis=0)
    voxels = np.floor(points / np.float32(voxel_size))
    if not np.abs(voxels).max(initial=0) < _REACH:  # so written that NaN is not near
        voxels = voxels[(np.abs(voxels) < _REACH).all(axis=1)]
    x, y, z = voxels.astype(np.int64).T + _REACH
    return np.unique((x << 2 * _AXIS_BITS) | (y << _AXIS_BITS) | z)


def voxel_centres(names: NDArray[np.int64], voxel_size: float) -> NDArray[np.float32]:
    """Return the middle of each named voxel.

    Args:
        names: int64 [V], from `voxel_names`.
        voxel_size: side of a voxel, as it was there.

    Returns:
        float32 [V,3], in the world frame and unit of the point maps.
    """
    axes = names[:, None] >> np.array([2 * _AXIS_BITS, _AXIS_BITS, 0])
    return (((axes & (2 * _REACH - 1)) - _REACH + 0.5) * voxel_size).astype(np.float32)
