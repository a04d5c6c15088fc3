"""Fill a keyframe set up so that pairs of the set before it stay whole.

The network embeds keyframes in pairs, by their order in time, and what it gave for a pair is kept. So of frames that
add no space, those are best that complete a pair of before, or that leave the pairs behind them in their places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.spacing import spread_in_time

__all__ = ["Pair", "count_whole", "fill_keeping_pairs"]

Pair = tuple[int, int]
"""Positions of two keyframes that follow each other, the earlier first."""


def count_whole(indices: Sequence[int], pairs: Sequence[Pair]) -> int:
    """Count the pairs that are pairs of a keyframe set too."""
    ordered = sorted(indices)
    return len(set(zip(ordered[::2], ordered[1::2])) & set(pairs))


def fill_keeping_pairs(
    stamps_ns: NDArray[np.int64],
    taken: Sequence[int],
    num_frames: int,
    pairs: Sequence[Pair],
    *,
    newest_age_ns: int,
) -> list[int]:
    """Add frames to those taken: first what completes pairs, then frames spread in time.

    No more pairs are lost than by `spread_in_time`, which is what is done where nothing can be kept.

    Args:
        stamps_ns: int64 [T], when each frame was seen, ascending.
        taken: indices that are there already, whatever pairs they make.
        num_frames: how many there shall be with those taken, even; at most T.
        pairs: those of the set before whose frames are both still there, ascending. They do not overlap.
        newest_age_ns: the last pair is not held on to if it is older than the last frame by more than this, so that a
            camera that stands still goes on to look.

    Returns:
        The indices added, in the order in which they were.
    """
    spread = spread_in_time(stamps_ns, taken, num_frames)
    is_old = bool(pairs) and stamps_ns[-1] - stamps_ns[pairs[-1][1]] > newest_age_ns
    kept = _pairs_that_fit(taken, num_frames - len(taken), pairs[:-1] if is_old else pairs)
    if not taken or not kept:
        return spread
    filled = _fill_between(stamps_ns, taken, num_frames, kept)
    is_better = count_whole([*taken, *filled], pairs) > count_whole([*taken, *spread], pairs)
    return filled if is_better else spread


def _pairs_that_fit(taken: Sequence[int], num_free: int, pairs: Sequence[Pair]) -> list[Pair]:
    """Choose the pairs that cost fewest frames (ties: the newest), ascending; none that a frame taken stands within."""
    missing = {(first, last): [index for index in (first, last) if index not in taken] for first, last in pairs}
    kept = []
    for pair in sorted(missing, key=lambda pair: (len(missing[pair]), -pair[0])):
        is_open = any(pair[0] < index < pair[1] for index in taken)
        if not is_open and len(missing[pair]) <= num_free:
            num_free -= len(missing[pair])
            kept.append(pair)
    return sorted(kept)


def _fill_between(
    stamps_ns: NDArray[np.int64], taken: Sequence[int], num_frames: int, kept: Sequence[Pair]
) -> list[int]:
    """Complete the kept pairs, then add frames in front of, between and behind them, in twos if that can be."""
    added = [index for pair in kept for index in pair if index not in taken]
    chosen = [*taken, *added]
    space = np.searchsorted([first for first, _ in kept], np.arange(len(stamps_ns)), side="right")  # pairs before each
    is_free = np.ones(len(stamps_ns), bool)
    is_free[chosen] = False
    for first, last in kept:
        is_free[first : last + 1] = False
    loose = np.setdiff1d(taken, kept)
    num_loose = np.bincount(space[loose], minlength=len(kept) + 1)
    gap = np.abs(stamps_ns[:, None] - stamps_ns[chosen]).min(axis=1)
    while len(chosen) < num_frames:
        is_odd = num_loose % 2 == 1
        num_free = np.bincount(space[is_free], minlength=len(kept) + 1)
        wanted = is_free & (is_odd if is_odd.any() else num_free > 1)[space]
        candidates = np.flatnonzero(wanted if wanted.any() else is_free)
        if not len(candidates):  # all that is left stands within a pair
            break
        pick = int(candidates[gap[candidates].argmax()])
        added.append(pick)
        chosen.append(pick)
        is_free[pick] = False
        num_loose[space[pick]] += 1
        gap = np.minimum(gap, np.abs(stamps_ns - stamps_ns[pick]))
    return added + spread_in_time(stamps_ns, chosen, num_frames)
