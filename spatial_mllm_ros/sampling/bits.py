"""Sets of voxels as bits: a column a frame, a row 64 voxels.

A window of 128 frames over 20,000 voxels is 320 kB, which fits into a core's cache, and most questions about it touch
only the rows where something changed. That is why exact greedy selection is affordable on every frame.

Shapes: a single set is uint64 [W]; the sets of T frames are uint64 [W,T]. Which voxel a bit stands for is for the
caller to know.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORD_BITS", "count_bits", "pack_bits", "unpack_bits", "words_for"]

WORD_BITS = 64


def words_for(num_voxels: int) -> int:
    """Return how many words hold one bit for each voxel."""
    return -(-num_voxels // WORD_BITS)


def pack_bits(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack flags, bool [...,V], into words, uint64 [...,ceil(V/64)]."""
    padding = -flags.shape[-1] % WORD_BITS
    if padding:
        flags = np.concatenate([flags, np.zeros((*flags.shape[:-1], padding), bool)], axis=-1)
    return np.ascontiguousarray(np.packbits(flags, axis=-1)).view(np.uint64)


def unpack_bits(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Undo `pack_bits`: uint64 [...,W] to bool [...,64*W]."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1).view(bool)


def count_bits(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the bits of each set: uint64 [W] to int64, or uint64 [W,T] to int64 [T]."""
    return _bits_in_words(words).sum(axis=0, dtype=np.uint32).astype(np.int64)  # summed in 32 bits for speed


def _bits_by_table(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    quarters = np.ascontiguousarray(words).view(np.uint16).reshape(*words.shape, 4)
    return _BITS_OF_UINT16.take(quarters).sum(axis=-1, dtype=np.uint8)


_BITS_OF_UINT16 = np.array([bin(word).count("1") for word in range(1 << 16)], np.uint8)
_bits_in_words = getattr(np, "bitwise_count", _bits_by_table)  # numpy 1.x, which ROS 2 Humble has, needs the table
