"""What went wrong lately in a worker thread, for the log and for diagnostics."""

from __future__ import annotations

import logging
import time

__all__ = ["FaultLog"]

_RECENT_S = 60.0  # how long a fault is worth a warning


class FaultLog:
    """Keeps the newest fault of one thread, and logs each with its traceback unless it only repeats itself."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._text = ""
        self._at = float("-inf")

    @property
    def recent(self) -> str:
        """The newest fault, in words; empty if there was none in the last minute."""
        return self._text if time.monotonic() - self._at < _RECENT_S else ""

    def report(self, work: str, error: Exception) -> None:
        """Note that `work` has failed."""
        text = f"{work} failed: {str(error) or type(error).__name__}"
        if text != self.recent:
            self._logger.error("%s failed", work, exc_info=error)
        self._text, self._at = text, time.monotonic()
