"""Frames picked by their time alone: the paper's uniform baseline, the newest, and gaps filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["even_count", "spread_in_time", "uniform_indices"]


def even_count(num_keyframes: int, num_frames: int) -> int:
    """Return the largest even number of frames that both numbers allow; 1 if there is one frame only.

    The network merges frames in pairs, so an odd one would be encoded twice or not at all.
    """
    return min(num_keyframes, num_frames - num_frames % 2) if num_frames != 1 else min(num_keyframes, 1)


def uniform_indices(num_frames: int, num_keyframes: int) -> list[int]:
    """Pick frames at equal steps from the first to the last, rounded down, as the paper's code does; all if few."""
    if num_frames <= num_keyframes:
        return list(range(num_frames))
    return np.linspace(0, num_frames - 1, num=num_keyframes, dtype=int).tolist()


def spread_in_time(stamps_ns: NDArray[np.int64], taken: Sequence[int], num_frames: int) -> list[int]:
    """Add frames to those taken, each as far in time from all others as can be (ties: the earliest).

    Args:
        stamps_ns: int64 [T], when each frame was seen; any unit does.
        taken: indices that are there already. If none, the result is uniform by index.
        num_frames: how many there shall be with those taken; at most T.

    Returns:
        The indices added, in the order in which they were.
    """
    if not taken:
        return uniform_indices(len(stamps_ns), num_frames)
    gap = np.abs(stamps_ns[:, None] - stamps_ns[list(taken)]).min(axis=1)
    gap[list(taken)] = -1  # below any gap, so never again
    added: list[int] = []
    while len(taken) + len(added) < num_frames:
        added.append(int(gap.argmax()))
        gap = np.minimum(gap, np.abs(stamps_ns - stamps_ns[added[-1]]))
        gap[added[-1]] = -1
    return added
