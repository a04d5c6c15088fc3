"""Remember the newest values of a stream by their stamps, within bounds."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, TypeVar

__all__ = ["TIME_JUMP_NS", "StampedHistory"]

TIME_JUMP_NS = 1_000_000_000
"""A stamp further than this before its stream's newest means that time jumped (a bag loops); a nearer one is late."""

Value = TypeVar("Value")


class StampedHistory(Generic[Value]):
    """Values in the order of their stamps, bounded by number and bytes; the oldest goes first.

    Args:
        max_count: most values held, at least 1.
        max_bytes: most bytes held; the newest value is held even if it is larger. None: no bound.
    """

    def __init__(self, max_count: int, max_bytes: int | None = None) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._stamps_ns: list[int] = []
        self._values: dict[int, tuple[Value, int]] = {}
        self.nbytes = 0

    def add(self, stamp_ns: int, value: Value, nbytes: int = 0) -> None:
        """Add a value, in place of an older one with the same stamp, and let the oldest go if there are too many."""
        if stamp_ns in self._values:
            self.nbytes -= self._values[stamp_ns][1]
        else:
            insort(self._stamps_ns, stamp_ns)
        self._values[stamp_ns] = (value, nbytes)
        self.nbytes += nbytes
        while len(self._stamps_ns) > self._max_count or self._is_over_bytes():
            _, freed = self._values.pop(self._stamps_ns.pop(0))
            self.nbytes -= freed

    def nearest(self, stamp_ns: int) -> tuple[int, Value] | None:
        """Return the stamp and value nearest in time (the earlier of two equally near), or None if there is none."""
        before, after = self.around(stamp_ns)
        if before is None or after is None:
            return before or after
        return before if stamp_ns - before[0] <= after[0] - stamp_ns else after

    def around(self, stamp_ns: int) -> tuple[tuple[int, Value] | None, tuple[int, Value] | None]:
        """Return the last entry at or before a time and the first at or after it; the same entry where one is at it."""
        index = bisect_left(self._stamps_ns, stamp_ns)
        after = self._entry(index) if index < len(self._stamps_ns) else None
        if after is not None and after[0] == stamp_ns:
            return after, after
        return self._entry(index - 1) if index else None, after

    @property
    def newest_ns(self) -> int | None:
        """The largest stamp held, or None."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def clear(self) -> None:
        """Forget everything."""
        self._stamps_ns.clear()
        self._values.clear()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._stamps_ns)

    def _entry(self, index: int) -> tuple[int, Value]:
        stamp_ns = self._stamps_ns[index]
        return stamp_ns, self._values[stamp_ns][0]

    def _is_over_bytes(self) -> bool:
        return self._max_bytes is not None and self.nbytes > self._max_bytes and len(self._stamps_ns) > 1
