"""Hold the newest camera frames between a camera callback and the worker that uses them.

`FrameBuffer` takes frames from any thread and gives them to a consumer in the order of arrival. It never grows past its
two bounds, number and bytes: the oldest frame goes first, and every frame that is not delivered is counted under
a reason. It knows nothing about time; a jump back in time is the caller's `clear()`.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["BufferConfig", "FrameBuffer"]

OVER_COUNT = "over_count"  # pushed out because max_frames newer ones were waiting
OVER_BYTES = "over_bytes"  # pushed out to make room within max_bytes
TOO_LARGE = "too_large"  # larger than max_bytes on its own
CLEARED = "cleared"  # dropped by clear()
CLOSED = "closed"  # put after close()


@dataclass(frozen=True, kw_only=True)
class BufferConfig:
    """Bounds of the buffer between camera and worker."""

    max_frames: int = param(32, "Frames that may wait for the worker; the oldest is dropped first", ge=1, le=4096)
    max_bytes: int = param(
        256 * 2**20, "Bytes of image and depth that may wait for the worker", ge=2**20, le=64 * 2**30
    )

    def __post_init__(self) -> None:
        check_parameters(self)


class FrameBuffer:
    """A thread-safe first-in first-out buffer of frames, bounded by number and bytes.

    `put` holds a lock for a few list operations only, so it is fit for a camera callback. Any number of threads may put
    and take. At every moment `received == delivered + sum(dropped.values()) + len(buffer)`.

    Args:
        max_frames: most frames held, at least 1.
        max_bytes: most bytes held (`Frame.nbytes`), at least 1.

    Raises:
        InputError: if a bound is not positive.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        if max_frames < 1 or max_bytes < 1:
            raise InputError(f"a frame buffer needs positive bounds, not {max_frames} frames and {max_bytes} bytes")
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._nbytes = 0
        self._received = 0
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._is_closed = False
        self._changed = threading.Condition(threading.Lock())

    def put(self, frame: Frame) -> bool:
        """Add a frame, dropping the oldest ones if it does not fit, and wake one waiting consumer.

        Returns:
            True if the frame is held now; False if it was dropped because it is larger than the whole byte budget or
            because the buffer is closed.
        """
        with self._changed:
            self._received += 1
            if self._is_closed:
                self._dropped[CLOSED] += 1
                return False
            if frame.nbytes > self.max_bytes:
                self._dropped[TOO_LARGE] += 1
                return False
            while len(self._frames) >= self.max_frames:
                self._drop_oldest(OVER_COUNT)
            while self._nbytes + frame.nbytes > self.max_bytes:
                self._drop_oldest(OVER_BYTES)
            self._frames.append(frame)
            self._nbytes += frame.nbytes
            self._changed.notify()
            return True

    def get(self, timeout_s: float | None = 0.0) -> Frame | None:
        """Take the oldest frame; wait up to `timeout_s` seconds for one (None: until a frame or `close`).

        Returns:
            The frame, or None if none came in time or the buffer is closed and empty.
        """
        with self._changed:
            self._wait(timeout_s)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._nbytes -= frame.nbytes
            self._delivered += 1
            if self._frames:  # one wake-up may have been for two frames
                self._changed.notify()
            return frame

    def drain(self, timeout_s: float | None = 0.0) -> list[Frame]:
        """Take all frames, oldest first; wait up to `timeout_s` seconds for the first (None: until one or `close`).

        Returns:
            The frames; an empty list if none came in time or the buffer is closed and empty.
        """
        with self._changed:
            self._wait(timeout_s)
            frames = list(self._frames)
            self._delivered += len(frames)
            self._empty()
            return frames

    def latest(self) -> Frame | None:
        """Return the newest frame without taking it, or None if the buffer is empty."""
        with self._changed:
            return self._frames[-1] if self._frames else None

    def clear(self) -> int:
        """Drop all frames, count them as "cleared", and return how many they were."""
        with self._changed:
            count = len(self._frames)
            if count:
                self._dropped[CLEARED] += count
            self._empty()
            return count

    def close(self) -> None:
        """Refuse frames from now on and wake every waiting consumer; what is held can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._is_closed

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        with self._changed:
            return self._nbytes

    @property
    def received(self) -> int:
        """How many frames were put, kept or not."""
        with self._changed:
            return self._received

    @property
    def delivered(self) -> int:
        """How many frames were taken by `get` and `drain`."""
        with self._changed:
            return self._delivered

    @property
    def dropped(self) -> Counter[str]:
        """A copy of the counts of dropped frames by reason: over_count, over_bytes, too_large, cleared, closed."""
        with self._changed:
            return Counter(self._dropped)

    def __len__(self) -> int:
        with self._changed:
            return len(self._frames)

    def _wait(self, timeout_s: float | None) -> None:
        if not self._frames and not self._is_closed and timeout_s != 0.0:
            self._changed.wait_for(lambda: self._frames or self._is_closed, timeout_s)

    def _drop_oldest(self, reason: str) -> None:
        self._nbytes -= self._frames.popleft().nbytes
        self._dropped[reason] += 1

    def _empty(self) -> None:
        self._frames.clear()
        self._nbytes = 0
