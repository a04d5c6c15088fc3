"""Count events by reason, and log the first of each reason.

A camera delivers thousands of messages; one that is wrong is usually wrong every time. `Tally` keeps the numbers for
diagnostics and says each kind of trouble once, in the words of its first occurrence.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter

__all__ = ["Tally"]


class Tally:
    """Thread-safe counts by reason; the first event of a reason that comes with a sentence is logged as a warning."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._counts: Counter[str] = Counter()
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def add(self, reason: str, message: str = "", *args: object) -> None:
        """Count one event; log `message % args` if this reason has not been reported before.

        Args:
            reason: short lower-case name such as "depth_missing"; the key in `counts`.
            message: %-style sentence for the log; empty if the event is nothing to report.
            args: values for the sentence.
        """
        with self._lock:
            self._counts[reason] += 1
            is_news = bool(message) and reason not in self._reported
            if is_news:
                self._reported.add(reason)
        if is_news:
            self._logger.warning(message + " (said once; counted as %s)", *args, reason)

    def add_distance(self, stream: str, distance_ns: int | None) -> None:
        """Count that a stream has no reading near enough to an image, as `<stream>_missing`.

        Args:
            stream: its name in words, such as "depth".
            distance_ns: from the image to the nearest reading; None if there is none at all.
        """
        if distance_ns is None:
            self.add(f"{stream}_missing", f"no {stream} has come for an image")
        else:
            self.add(
                f"{stream}_missing",
                f"the {stream} nearest to an image is %+.3f s away, which is out of tolerance; are the clocks the same "
                "(use_sim_time, time synchronisation)?",
                distance_ns / 1e9,
            )

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts."""
        with self._lock:
            return Counter(self._counts)
