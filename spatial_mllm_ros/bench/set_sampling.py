"""Space-aware sampling with Python sets: slow, plain, and the reference for what is fast.

Written from the description of the method (arXiv 2505.23747, sec. 3.3) and the published behaviour: a set of voxel
triples per frame, and a greedy loop over set differences. It shares no code with `spatial_mllm_ros.sampling`, so tests
use it as an oracle and the benchmark as the opponent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["greedy_over_sets", "sample_with_sets", "voxel_sets"]


def sample_with_sets(
    points: NDArray[np.float32], confidence: NDArray[np.float32], num_keyframes: int, *, tuples_first: bool = False
) -> tuple[list[int], list[int]]:
    """Pick keyframes as the paper describes it.

    Args:
        points: float32 [T,H,W,3].
        confidence: float32 [T,H,W].
        num_keyframes: the most frames to pick.
        tuples_first: see `voxel_sets`.

    Returns:
        The indices as picked, and the new voxels of each; both empty if no point counts.
    """
    threshold = np.percentile(confidence, 50)
    counts = (confidence >= threshold) & (confidence > np.float32(0.1)) & np.isfinite(points).all(axis=-1)
    if not counts.any():
        return [], []
    corner = points[counts].min(axis=0)
    sides = points[counts].max(axis=0) - corner
    smallest = min((side for side in sides if side > 0), default=np.float32(20))
    return greedy_over_sets(
        voxel_sets(points, counts, corner, smallest / np.float32(20), tuples_first=tuples_first), num_keyframes
    )


def voxel_sets(
    points: NDArray[np.float32],
    counts: NDArray[np.bool_],
    corner: NDArray[np.float32],
    voxel_size: np.float32,
    *,
    tuples_first: bool = False,
) -> list[set[tuple[int, int, int]]]:
    """Make one set of voxel triples per frame.

    Args:
        points: float32 [T,H,W,3].
        counts: bool [T,H,W], which points count.
        corner: float32 [3], the lowest corner of the grid.
        voxel_size: side of a voxel.
        tuples_first: let the set remove duplicates, not `numpy.unique` over rows as the published code does with
            torch. Python is several times faster that way, so a fair comparison shows both.
    """
    sets = []
    for frame, counts_here in zip(points, counts, strict=True):
        voxels = np.floor((frame[counts_here] - corner) / voxel_size).astype(np.int64)
        if tuples_first:
            sets.append(set(zip(*voxels.T.tolist(), strict=True)))
        else:
            sets.append(set(map(tuple, np.unique(voxels, axis=0).tolist())))
    return sets


def greedy_over_sets(sets: Sequence[set], num_keyframes: int) -> tuple[list[int], list[int]]:
    """Pick the set that adds most, again and again; ties to the lowest index, until nothing is added."""
    covered: set = set()
    order: list[int] = []
    gains: list[int] = []
    while len(order) < min(num_keyframes, len(sets)):
        gain, pick = max((len(sets[index] - covered), -index) for index in range(len(sets)) if index not in order)
        if gain == 0:
            break
        order.append(-pick)
        gains.append(gain)
        covered |= sets[-pick]
    return order, gains
