"""Maximum coverage: pick the few frames that together see the most voxels.

Exact greedy (Nemhauser, Wolsey and Fisher 1978: at least 1 - 1/e of the best possible), by the rule of the paper
(arXiv 2505.23747, sec. 3.3): each pick is the frame with the most voxels not yet seen, ties go to the lowest index,
and it ends when no frame adds a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.bits import count_bits

__all__ = ["greedy_max_coverage"]


def greedy_max_coverage(
    words: NDArray[np.uint64],
    num_keyframes: int,
    *,
    candidates: Sequence[int] | None = None,
    first: Sequence[int] = (),
) -> tuple[list[int], list[int]]:
    """Pick the frames that together see the most voxels, greedily.

    Gains are kept exact by subtracting, after each pick, what every frame has in common with the voxels that are newly
    seen. Only words with such a voxel are read, and a voxel is newly seen once, so all picks together cost no more
    than counting every set a few times.

    Args:
        words: uint64 [W,R], the voxels of each frame.
        num_keyframes: the most frames to pick.
        candidates: columns of `words` to choose from; of equal ones the first in this list is picked. All if None.
        first: positions in `candidates` that are picked before all others, whatever they add.

    Returns:
        The positions in `candidates` as picked, and how many new voxels each brought.
    """
    candidates = np.arange(words.shape[1]) if candidates is None else np.asarray(candidates, np.intp)
    gains = count_bits(words)
    unseen = np.full(len(words), ~np.uint64(0))
    order: list[int] = []
    gained: list[int] = []
    while len(order) < min(num_keyframes, len(candidates)):
        pick = first[len(order)] if len(order) < len(first) else int(gains[candidates].argmax())
        column = candidates[pick]
        if gains[column] == 0 and len(order) >= len(first):
            break
        order.append(pick)
        gained.append(int(gains[column]))
        new = words[:, column] & unseen
        unseen ^= new
        changed = new.nonzero()[0]
        shared = words.take(changed, axis=0)
        shared &= new[changed, None]
        gains -= count_bits(shared)
    return order, gained
