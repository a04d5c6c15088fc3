"""The three ways to pick keyframes from a window, as one pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.coverage import greedy_max_coverage
from spatial_mllm_ros.sampling.spacing import spread_in_time, uniform_indices

__all__ = ["METHODS", "Picks", "pick_keyframes"]

METHODS = ("space-aware", "uniform", "recent")


@dataclass(frozen=True)
class Picks:
    """Positions of keyframes: those that `method` picked, in that order, and those filled in to make up the number.

    `covered_voxels` is what they see together, where the method knows it.
    """

    method: str
    order: tuple[int, ...]
    filled: tuple[int, ...] = ()
    covered_voxels: int = 0


def pick_keyframes(
    method: str,
    words: NDArray[np.uint64],
    columns: Sequence[int],
    stamps_ns: NDArray[np.int64],
    num_keyframes: int,
    *,
    keep_newest: bool = False,
    fill: bool = True,
) -> Picks:
    """Pick keyframes from frames in order of time.

    Args:
        method: one of `METHODS`; "space-aware" becomes "uniform" if no frame has a voxel.
        words: uint64 [W,R], the voxels of each frame.
        columns: the column of each frame.
        stamps_ns: int64 [T], when each frame was seen, ascending.
        num_keyframes: how many; at most T, and even unless T is 1.
        keep_newest: for "space-aware", take the last frame before all others. The other two have it anyway.
        fill: for "space-aware", make up the number with frames spaced in time where fewer add a voxel; otherwise only
            to the next even number.
    """
    num_frames = len(columns)
    if method == "recent":
        return Picks(method, tuple(range(num_frames - num_keyframes, num_frames)))
    if method == "uniform" or not words.any():
        return Picks("uniform", tuple(uniform_indices(num_frames, num_keyframes)))
    newest = [num_frames - 1] if keep_newest else ()
    order, gains = greedy_max_coverage(words, num_keyframes, candidates=columns, first=newest)
    wanted = num_keyframes if fill else min(num_keyframes, len(order) + len(order) % 2)
    return Picks(method, tuple(order), tuple(spread_in_time(stamps_ns, order, wanted)), sum(gains))
