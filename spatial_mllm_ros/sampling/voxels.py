"""From point maps to sets of voxels, for a whole video at once, by the paper's rule.

The grid is the box around all trusted points of the video, cut into cubes of a twentieth of its smallest side
(arXiv 2505.23747, v1.1 code). Arithmetic is float32 in the order of that code, so that no point changes its voxel.

Maps are read twice, a few at a time, and nothing of their size is kept. If the grid is small enough, a voxel is one
flag in it: no sorting. If it is not (a long corridor, a thin wall), the voxels that occur are sorted and numbered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.bits import WORD_BITS, pack_bits, words_for

__all__ = ["VoxelGrid", "fit_grid", "voxel_words"]

_VOXELS_PER_SIDE = np.float32(20)
_SMALLEST_FLOAT = np.nextafter(np.float32(0), np.float32(1))
_POINT = np.dtype("V12")  # x, y, z as one item: numpy picks items twice as fast as rows
_BLOCK_POINTS = 1 << 18  # points looked at in one go
_MAX_GRID_VOXELS = 1 << 24  # flags for one map: 16 MiB
_MAX_GRID_BITS = 1 << 31  # over all maps, before unused columns are dropped: 256 MiB


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """Cubes over a box.

    Attributes:
        origin: float32 [3], the lowest corner, in the frame and unit of the points.
        voxel_size: side of a voxel; 1 if the box is a single point.
        last: float64 [3], the highest voxel index along each axis.
    """

    origin: NDArray[np.float32]
    voxel_size: np.float32
    last: NDArray[np.float64]

    @property
    def num_voxels(self) -> float:
        """Number of voxels in the box; a float, because a thin box may have more than 2**63."""
        return float(np.prod(self.last + 1))


def fit_grid(points: NDArray[np.float32], confidence: NDArray[np.float32], trusted: np.float32) -> VoxelGrid | None:
    """Lay the grid over all trusted points of a video.

    Args:
        points: float32 [T,H,W,3], C-contiguous. A point with a NaN or an infinite coordinate is not trusted.
        confidence: float32 [T,H,W], C-contiguous.
        trusted: smallest confidence that counts.

    Returns:
        The grid, or None if no point is trusted. A side of length zero is passed over when the smallest is looked for
        (the paper's code would divide by zero).
    """
    corners = []
    for block, _ in _trusted_points(points, confidence, trusted, _frames_in(_BLOCK_POINTS, points[0].size // 3)):
        if block.shape[1]:
            corners.append((block.min(axis=1), block.max(axis=1)))
    if not corners:
        return None
    origin = np.min([low for low, _ in corners], axis=0)
    sides = np.max([high for _, high in corners], axis=0) - origin
    voxel_size = min(sides[sides > 0], default=_VOXELS_PER_SIDE) / _VOXELS_PER_SIDE
    voxel_size = max(voxel_size, _SMALLEST_FLOAT)
    with np.errstate(over="ignore"):
        return VoxelGrid(origin, voxel_size, np.floor(sides / voxel_size).astype(np.float64))


def voxel_words(
    points: NDArray[np.float32], confidence: NDArray[np.float32], trusted: np.float32, grid: VoxelGrid
) -> NDArray[np.uint64]:
    """Return the set of voxels that the trusted points of each map lie in.

    Args:
        points, confidence, trusted: as for `fit_grid`.
        grid: from `fit_grid` on the same points.

    Returns:
        uint64 [W,T], a column of bits per map. Which voxel a bit stands for is not said; it is the same in each column.
    """
    is_small = grid.num_voxels <= min(_MAX_GRID_VOXELS, _MAX_GRID_BITS / len(points))
    return (_words_by_flags if is_small else _words_by_sorting)(points, confidence, trusted, grid)


def _words_by_flags(
    points: NDArray[np.float32], confidence: NDArray[np.float32], trusted: np.float32, grid: VoxelGrid
) -> NDArray[np.uint64]:
    _, num_y, num_z = (int(last) + 1 for last in grid.last)
    num_columns = words_for(int(grid.num_voxels)) * WORD_BITS
    frames_per_block = _frames_in(_BLOCK_POINTS, max(points[0].size // 3, num_columns // 8))
    flags = np.empty((frames_per_block, num_columns), bool)
    sets = []
    for block, num_points in _trusted_points(points, confidence, trusted, frames_per_block):
        x, y, z = _scaled_to_voxels(block, grid).astype(np.int32)
        column = ((x * num_y + y) * num_z + z).astype(np.intp)
        column += np.repeat(np.arange(len(num_points)) * num_columns, num_points)
        flags[:] = False
        flags.reshape(-1)[column] = True
        sets.append(pack_bits(flags[: len(num_points)]))
    sets = np.concatenate(sets)  # [T,W]
    return np.ascontiguousarray(sets[:, sets.any(axis=0)].T)


def _words_by_sorting(
    points: NDArray[np.float32], confidence: NDArray[np.float32], trusted: np.float32, grid: VoxelGrid
) -> NDArray[np.uint64]:
    voxels = []
    for block, _ in _trusted_points(points, confidence, trusted, 1):
        block = np.floor(_scaled_to_voxels(block, grid))
        voxels.append(block[:, np.unique(_numbered(block), return_index=True)[1]])
    column = _numbered(np.concatenate(voxels, axis=1))
    flags = np.empty(column.max() + 1, bool)
    sets = []
    for column_of_frame in np.split(column, np.cumsum([block.shape[1] for block in voxels])[:-1]):
        flags[:] = False
        flags[column_of_frame] = True
        sets.append(pack_bits(flags))
    return np.stack(sets, axis=1)


def _frames_in(num_points: int, points_per_frame: int) -> int:
    return max(1, num_points // max(1, points_per_frame))


def _trusted_points(
    points: NDArray[np.float32], confidence: NDArray[np.float32], trusted: np.float32, frames_per_block: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield the trusted points of a few frames at a time, as float32 [3,M], and how many each frame has."""
    for start in range(0, len(points), frames_per_block):
        is_trusted = confidence[start : start + frames_per_block] >= trusted
        is_trusted = is_trusted.reshape(len(is_trusted), -1)  # [F,H*W]
        block = points[start : start + frames_per_block].reshape(-1).view(_POINT)[is_trusted.reshape(-1)]
        block = np.ascontiguousarray(block.view(np.float32).reshape(-1, 3).T)
        if not np.isfinite(block).all():
            is_finite = np.logical_and.reduce([np.isfinite(plane) for plane in block])
            block = np.stack([plane[is_finite] for plane in block])
            is_trusted[is_trusted] = is_finite
        yield block, np.count_nonzero(is_trusted, axis=1)


def _scaled_to_voxels(block: NDArray[np.float32], grid: VoxelGrid) -> NDArray[np.float32]:
    """Measure [3,M] points in voxels from the grid's corner, in place; never negative, so a cast to int is a floor."""
    with np.errstate(over="ignore"):
        for axis in range(3):
            block[axis] -= grid.origin[axis]
            block[axis] /= grid.voxel_size
    return block


def _numbered(voxels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number the distinct columns of [3,M] from 0; axis by axis, so that the numbers never overflow."""
    number = np.zeros(voxels.shape[1], np.int64)
    for coordinate in voxels:
        values, rank = np.unique(coordinate, return_inverse=True)
        number = np.unique(number * len(values) + rank, return_inverse=True)[1]
    return number
