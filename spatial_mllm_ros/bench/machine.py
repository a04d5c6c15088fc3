"""What a measurement ran on, and the memory of a process over time."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["describe_machine", "resident_bytes", "slope_per_minute"]


def describe_machine() -> dict[str, str | int]:
    """Return processor, cores, and the versions that matter for numpy code."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def resident_bytes(process: int | str = "self") -> int:
    """Return the memory that a process, this one or that of an id, holds now (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope_per_minute(samples: Sequence[tuple[float, int]]) -> float:
    """Fit a straight line to (seconds, bytes) and give its slope per minute; 0 for fewer than three samples."""
    if len(samples) < 3:
        return 0.0
    seconds, sizes = zip(*samples, strict=True)
    return float(np.polyfit(np.array(seconds) / 60, sizes, 1)[0])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
