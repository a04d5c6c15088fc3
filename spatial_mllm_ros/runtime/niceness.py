"""Give way to other threads on a CPU."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["yield_to_others"]


def yield_to_others(niceness: int) -> None:
    """Give this thread, and those that torch starts for it, a lower CPU priority; Linux has priorities per thread."""
    if sys.platform == "linux" and niceness > 0:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
