"""How long one piece of work takes, by the clock and on the processor, and how much memory it holds at most."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Reading", "StageMeter"]


@dataclass(frozen=True)
class Reading:
    """What one piece of work took.

    Attributes:
        seconds: by the clock.
        cpu_seconds: of all threads of this process; on a machine that others use too, this is what compares.
        memory_bytes: the most held beyond what was held before; None where that cannot be told.
    """

    seconds: float
    cpu_seconds: float
    memory_bytes: int | None


class StageMeter:
    """Measures work on a device.

    On a GPU memory is what torch has allocated there. On the CPU it is the process's resident memory, by the kernel's
    high-water mark, which is reset before (Linux; elsewhere there is no figure).
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def measure(self, work: Callable[[], None]) -> Reading:
        """Run `work` once."""
        is_gpu = self._device.type == "cuda"
        before = self._gpu_before() if is_gpu else _resident_before()
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        if is_gpu:
            torch.cuda.synchronize(self._device)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        peak = torch.cuda.max_memory_allocated(self._device) if is_gpu else _status_bytes("VmHWM")
        return Reading(seconds, cpu_seconds, None if before is None or peak is None else max(0, peak - before))

    def _gpu_before(self) -> int:
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        return torch.cuda.memory_allocated(self._device)


def _resident_before() -> int | None:
    """Give freed memory back, reset the high-water mark, and say how much is held."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed; a stage that reuses it would seem to need none
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return None
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None
