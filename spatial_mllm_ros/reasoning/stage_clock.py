"""How long each stage of an answer took, for one answer and over many."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

__all__ = ["StageClock", "StageStatistics"]

_REMEMBERED = 256  # answers that the running figures look back on


class StageClock:
    """Times the stages of one answer, from the moment it was asked for.

    Args:
        started_at: monotonic time in seconds at which the first stage began.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = self._lap_at = started_at
        self._times: list[tuple[str, float]] = []

    def lap(self, stage: str, num_tokens: int = 0) -> None:
        """End a stage that began when the one before it ended; `num_tokens` gives its mean time per token too."""
        now = time.monotonic()
        seconds = now - self._lap_at
        self._times.append((stage, seconds))
        if num_tokens:
            self._times.append((f"{stage}_per_token", seconds / num_tokens))
        self._lap_at = now

    def note(self, stage: str, seconds: float) -> None:
        """Add a time that was taken elsewhere."""
        self._times.append((stage, seconds))

    def finish(self) -> tuple[tuple[str, float], ...]:
        """Return all times, "total" last."""
        return (*self._times, ("total", time.monotonic() - self._started_at))


class StageStatistics:
    """Running median and 95th percentile of each stage over the last answers; safe for several threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def add(self, stage_times: tuple[tuple[str, float], ...]) -> None:
        """Take the times of one answer."""
        with self._lock:
            for stage, seconds in stage_times:
                self._seconds.setdefault(stage, deque(maxlen=_REMEMBERED)).append(seconds)

    def summary(self) -> dict[str, tuple[float, float]]:
        """Return (median, 95th percentile) in seconds for each stage."""
        with self._lock:
            seconds = {stage: np.array(times) for stage, times in self._seconds.items()}
        return {stage: (float(np.median(t)), float(np.percentile(t, 95))) for stage, t in seconds.items()}
