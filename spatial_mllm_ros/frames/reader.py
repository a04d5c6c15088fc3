"""What all sources of recorded frames have in common: `FrameReader`, an iterator, and `Span`, the part to read."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.tally import Tally

__all__ = ["FrameReader", "Span"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of a recording that is read.

    Attributes:
        start_s: seconds after the recording's begin, at least 0.
        duration_s: seconds from there, above 0; None for all the rest.
        stride: every how many-th image is given, at least 1; the others are not even decoded.

    Raises:
        InputError: if a value lies outside its limits.
    """

    start_s: float = 0.0
    duration_s: float | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if not (self.start_s >= 0 and math.isfinite(self.start_s)):
            raise InputError(f"start must be at least 0 seconds, not {self.start_s}")
        if self.duration_s is not None and not (self.duration_s > 0 and math.isfinite(self.duration_s)):
            raise InputError(f"duration must be above 0 seconds, not {self.duration_s}")
        if self.stride < 1:
            raise InputError(f"stride must be at least 1, not {self.stride}")

    @property
    def start_ns(self) -> int:
        """`start_s` in nanoseconds."""
        return round(self.start_s * 1e9)

    @property
    def end_ns(self) -> int | None:
        """Where the span ends (excluded), nanoseconds after the recording's begin; None if it goes to the end."""
        return None if self.duration_s is None else round((self.start_s + self.duration_s) * 1e9)

    def contains(self, time_ns: int) -> bool:
        """Tell whether a time, nanoseconds after the recording's begin, lies in the span."""
        return time_ns >= self.start_ns and not self.is_past(time_ns)

    def is_past(self, time_ns: int) -> bool:
        """Tell whether a time lies behind the span."""
        return self.end_ns is not None and time_ns >= self.end_ns

    def count_of(self, images: int, length_s: float) -> int:
        """Estimate how many of `images`, spread evenly over `length_s` seconds, the span gives."""
        end_s = length_s if self.duration_s is None else min(length_s, self.start_s + self.duration_s)
        share = max(0.0, end_s - self.start_s) / length_s if length_s > 0 else float(self.start_s == 0)
        return math.ceil(images * share / self.stride)


class FrameReader(ABC, Iterator[Frame]):
    """An iterator over the frames of one recording, to be read once from begin to end.

    Making one opens the recording and raises `InputError` if it is unusable, so that a bad path is found before work
    begins. It is a context manager; without `with` it closes itself at the end.

    Attributes:
        path: what is read.
        name: short name for a progress bar or a report.
        len_hint: about how many frames there will be; also given to `operator.length_hint`.
    """

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        self.path = path
        self.name = path.name
        self.len_hint = 0
        self._tally = Tally(logger)
        self._frames: Iterator[Frame] | None = None

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts: frames, and what was skipped by reason."""
        return self._tally.counts

    @abstractmethod
    def _read(self) -> Iterator[Frame]:
        """Yield the frames; called once."""

    def close(self) -> None:
        """Let go of the file; the iterator then ends."""
        self._frames = iter(())

    def __next__(self) -> Frame:
        if self._frames is None:
            self._frames = self._read()
        try:
            frame = next(self._frames)
        except BaseException:  # the end, or an error: either way there will be no more frames
            self.close()
            raise
        self._tally.add("frames")
        return frame

    def __length_hint__(self) -> int:
        return self.len_hint

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
