"""The three ways to pick keyframes from a window, and how a set is filled up, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.coverage import greedy_max_coverage
from spatial_mllm_ros.sampling.pair_keeping import Pair, fill_keeping_pairs
from spatial_mllm_ros.sampling.spacing import uniform_indices

__all__ = ["METHODS", "Picks", "fill_up", "pick_keyframes"]

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
    num_keyframes: int,
    *,
    keep_newest: bool = False,
) -> Picks:
    """Pick keyframes from frames in order of time; for "space-aware", only those that add a voxel.

    Args:
        method: one of `METHODS`; "space-aware" becomes "uniform" if no frame has a voxel.
        words: uint64 [W,R], the voxels of each frame.
        columns: the column of each frame.
        num_keyframes: how many; at most T, and even unless T is 1.
        keep_newest: for "space-aware", take the last frame before all others. The other two have it anyway.
    """
    num_frames = len(columns)
    if method == "recent":
        return Picks(method, tuple(range(num_frames - num_keyframes, num_frames)))
    if method == "uniform" or not words.any():
        return Picks("uniform", tuple(uniform_indices(num_frames, num_keyframes)))
    newest = [num_frames - 1] if keep_newest else ()
    order, gains = greedy_max_coverage(words, num_keyframes, candidates=columns, first=newest)
    return Picks(method, tuple(order), covered_voxels=sum(gains))


def fill_up(
    picks: Picks,
    stamps_ns: NDArray[np.int64],
    num_keyframes: int,
    *,
    fill: bool = True,
    pairs: Sequence[Pair] = (),
    newest_age_ns: int = 0,
) -> Picks:
    """Make up the number of keyframes where fewer add a voxel.

    Args:
        picks: what `pick_keyframes` gave.
        stamps_ns: int64 [T], when each frame was seen, ascending.
        num_keyframes: as for `pick_keyframes`.
        fill: False makes up only the next even number.
        pairs: of the keyframes before, those still there: completed first, the rest is spaced in time.
        newest_age_ns: age, from the newest frame, at which the last of the pairs need not be kept.
    """
    order = picks.order
    wanted = num_keyframes if fill else min(num_keyframes, len(order) + len(order) % 2)
    filled = fill_keeping_pairs(stamps_ns, order, wanted, pairs, newest_age_ns=newest_age_ns)
    return replace(picks, filled=tuple(filled))
