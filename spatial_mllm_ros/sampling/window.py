"""The voxels of the frames in a sliding window, kept up to date as frames come and go.

A voxel that some frame sees owns a bit; a frame is a column of bits. When the last frame that sees a voxel leaves, its
bit is free for another voxel. So the size follows what the window sees now, not where the robot has been.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.sampling.bits import WORD_BITS, pack_bits, unpack_bits, words_for

__all__ = ["VoxelWindow"]

_FIRST_BITS = 1024
_COLUMNS_PER_STEP = 16


class VoxelWindow:
    """Sets of voxels that are named by int64 numbers.

    `add` gives a column, which stays the frame's until `remove`. The bits of a column are renumbered now and then, so
    `words` is to be read anew after each change.
    """

    def __init__(self) -> None:
        self._names = np.empty(0, np.int64)  # [V], ascending: the voxels that some frame sees
        self._bit_of_name = np.empty(0, np.int64)  # [V], beside them
        self._frames_per_bit = np.zeros(_FIRST_BITS, np.int32)  # 0: the bit is free
        self._sum_of_columns = np.zeros(_FIRST_BITS, np.int32)  # of those frames; if there is one, it is that one
        self._words = np.zeros((words_for(_FIRST_BITS), 0), np.uint64)
        self._free_columns: list[int] = []

    @property
    def words(self) -> NDArray[np.uint64]:
        """The bits, uint64 [W,R]; columns without a frame are empty. Valid until the next change."""
        return self._words

    @property
    def num_voxels(self) -> int:
        """How many voxels at least one frame sees."""
        return len(self._names)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        per_voxel = (self._names, self._bit_of_name, self._frames_per_bit, self._sum_of_columns)
        return sum(array.nbytes for array in per_voxel) + self._words.nbytes

    def add(self, names: NDArray[np.int64]) -> int:
        """Add a frame.

        Args:
            names: int64 [V], the voxels that it sees, ascending and distinct.

        Returns:
            Its column.
        """
        bits = self._bits_of(names)
        column = self._take_free_column()
        self._frames_per_bit[bits] += 1
        self._sum_of_columns[bits] += column
        flags = np.zeros(len(self._frames_per_bit), bool)
        flags[bits] = True
        self._words[:, column] = pack_bits(flags)
        return column

    def remove(self, column: int) -> None:
        """Take a frame out; its column may be given to another."""
        bits = np.flatnonzero(unpack_bits(self._words[:, column]))
        self._frames_per_bit[bits] -= 1
        self._sum_of_columns[bits] -= column
        self._words[:, column] = 0
        self._free_columns.append(column)
        if not self._frames_per_bit[bits].all():
            is_seen = self._frames_per_bit[self._bit_of_name] > 0
            self._names = self._names[is_seen]
            self._bit_of_name = self._bit_of_name[is_seen]
            if 4 * self.num_voxels < len(self._frames_per_bit) > _FIRST_BITS:
                self._halve_bits()

    def names_in(self, columns: Sequence[int]) -> NDArray[np.int64]:
        """List the voxels that any of some frames sees, ascending."""
        flags = unpack_bits(np.bitwise_or.reduce(self._words[:, columns], axis=1))
        return self._names[flags[self._bit_of_name]]

    def count_seen_once(self) -> NDArray[np.int64]:
        """Count for each column, int64 [R], the voxels that no other has: what the window would lose with its frame."""
        return np.bincount(self._sum_of_columns[self._frames_per_bit == 1], minlength=self._words.shape[1])

    def _bits_of(self, names: NDArray[np.int64]) -> NDArray[np.int64]:
        """Look names up, and give a free bit to each that is new."""
        place = self._names.searchsorted(names)
        is_new = np.append(self._names, -1)[place] != names  # names are never negative
        num_new = np.count_nonzero(is_new)
        if num_new:
            self._names = np.insert(self._names, place[is_new], names[is_new])
            self._bit_of_name = np.insert(self._bit_of_name, place[is_new], self._take_free_bits(num_new))
            place += np.cumsum(is_new) - is_new  # what was inserted before each
        return self._bit_of_name[place]

    def _take_free_bits(self, count: int) -> NDArray[np.int64]:
        free = np.flatnonzero(self._frames_per_bit == 0)
        if len(free) < count:
            num_bits = len(self._frames_per_bit)
            more = num_bits * (words_for(count - len(free)) * WORD_BITS // num_bits + 1)
            self._frames_per_bit = np.pad(self._frames_per_bit, (0, more))
            self._sum_of_columns = np.pad(self._sum_of_columns, (0, more))
            self._words = np.pad(self._words, ((0, words_for(more)), (0, 0)))
            free = np.append(free, np.arange(num_bits, num_bits + more))
        return free[:count]

    def _take_free_column(self) -> int:
        if not self._free_columns:
            first = self._words.shape[1]
            self._words = np.pad(self._words, ((0, 0), (0, _COLUMNS_PER_STEP)))
            self._free_columns = list(range(first, first + _COLUMNS_PER_STEP))[::-1]
        return self._free_columns.pop()

    def _halve_bits(self) -> None:
        """Renumber the bits in use from 0, and give half of all back."""
        used = np.flatnonzero(self._frames_per_bit)
        num_bits = len(self._frames_per_bit) // 2
        words = np.zeros((words_for(num_bits), self._words.shape[1]), np.uint64)
        for column, packed in enumerate(self._words.T):
            kept = pack_bits(unpack_bits(packed)[used])
            words[: len(kept), column] = kept
        self._words = words
        self._bit_of_name = used.searchsorted(self._bit_of_name)
        self._frames_per_bit = np.pad(self._frames_per_bit[used], (0, num_bits - len(used)))
        self._sum_of_columns = np.pad(self._sum_of_columns[used], (0, num_bits - len(used)))
