"""What machines can do at most, by their makers' figures; and this one, measured.

Matrix rates are dense, for BF16 with FP32 accumulation. Makers quote rates with structured sparsity, of INT8 or FP4;
each profile says how its figure follows from theirs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

__all__ = ["MACHINES", "Machine", "measure_this_machine"]

_GB = 1e9
_TIMES = 5


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Figures of one machine.

    Attributes:
        name: for people.
        operations_per_s: dense matrix operations per second (a multiplication and an addition are two).
        bytes_per_s: memory bandwidth.
        memory_bytes: memory that the GPU can use; on a Jetson it is the system's too.
        reserved_bytes: of these, what is not for us: system, desktop, ROS, CUDA itself.
        source: where the figures are from, and how they were worked out.
    """

    name: str
    operations_per_s: float
    bytes_per_s: float
    memory_bytes: float
    reserved_bytes: float
    source: str

    def describe(self) -> str:
        """Give name, rates and source in one line."""
        rates = f"{self.operations_per_s / 1e12:.3g} TFLOP/s, {self.bytes_per_s / 1e9:.4g} GB/s"
        return f"{self.name}: {rates} ({self.source})"


MACHINES = {
    "orin-nx": Machine(
        name="Jetson Orin NX 16 GB",
        operations_per_s=15.0e12,
        bytes_per_s=102.4 * _GB,
        memory_bytes=16 * _GB,
        reserved_bytes=3 * _GB,
        source="NVIDIA's data sheet: GPU with 60 sparse INT8 TOPS at 918 MHz; half of that dense, half again BF16",
    ),
    "agx-orin": Machine(
        name="Jetson AGX Orin 64 GB",
        operations_per_s=42.5e12,
        bytes_per_s=204.8 * _GB,
        memory_bytes=64 * _GB,
        reserved_bytes=4 * _GB,
        source="NVIDIA's technical brief: GPU with 170 sparse INT8 TOPS at 1.3 GHz; half dense, half again BF16",
    ),
    "thor": Machine(
        name="Jetson AGX Thor (T5000) 128 GB",
        operations_per_s=258e12,
        bytes_per_s=273 * _GB,
        memory_bytes=128 * _GB,
        reserved_bytes=4 * _GB,
        source="NVIDIA's data sheet: 2070 sparse FP4 TFLOPS; half dense, then half each for FP8 and BF16",
    ),
    "rtx4090": Machine(
        name="GeForce RTX 4090 24 GB",
        operations_per_s=165.2e12,
        bytes_per_s=1008 * _GB,
        memory_bytes=24 * _GB,
        reserved_bytes=1.5 * _GB,
        source="NVIDIA's Ada architecture paper: 165.2 dense BF16 TFLOPS with FP32 accumulation, 1008 GB/s",
    ),
}


def measure_this_machine(size: int = 1024, mebibytes: int = 256) -> Machine:
    """Measure the CPU: float32 products of `size` x `size` matrices, and sums over more bytes than its caches hold."""
    import torch

    left, right = torch.rand(size, size), torch.rand(size, size)
    numbers = torch.rand(mebibytes << 18)
    product_s, sum_s = (_usual_time(work) for work in (lambda: left @ right, numbers.sum))
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    memory_bytes, free_bytes = (page_bytes * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    return Machine(
        name=f"this machine, float32 on {torch.get_num_threads()} threads",
        operations_per_s=2 * size**3 / product_s,
        bytes_per_s=numbers.numel() * 4 / sum_s,
        memory_bytes=memory_bytes,
        reserved_bytes=memory_bytes - free_bytes,
        source=f"measured: median of {_TIMES} products of {size} x {size} matrices, and sums of {mebibytes} MiB",
    )


def _usual_time(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)
