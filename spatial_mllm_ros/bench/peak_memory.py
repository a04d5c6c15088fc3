"""The most memory that answering takes, three questions in a row, measured in a process of its own (Linux).

The kernel's high-water mark of a process never falls by itself, and an allocator keeps what a run before has freed. So
each way of answering gets a fresh process (this module, run by its name), and the mark is reset after loading.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from spatial_mllm_ros.errors import InputError

__all__ = ["PeakMemory", "measure_peak_memory"]


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """Resident bytes of a process: before the work (model loaded, nothing run), and the most while it ran."""

    before_bytes: int
    peak_bytes: int


def measure_peak_memory(
    way: str, checkpoint: str, *, num_keyframes: int, size: tuple[int, int], max_new_tokens: int, threads: int
) -> PeakMemory:
    """Answer the questions of `ways.QUESTIONS`, one after the other, in a process of its own.

    Args:
        way: one of `ways.WAYS`.
        checkpoint: what `load_spatial_mllm` takes.
        size: width and height of the frames, pixels.
        threads: of torch; 0 leaves it the choice.

    Raises:
        InputError: if it fails; with what it printed.
    """
    words = [way, checkpoint, num_keyframes, *size, max_new_tokens, threads]
    command = [sys.executable, "-m", "spatial_mllm_ros.bench.peak_memory", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"measuring memory failed: {done.stderr.strip()}")
    return PeakMemory(**json.loads(done.stdout.splitlines()[-1]))


def _main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("way", "checkpoint"):
        parser.add_argument(name)
    for name in ("num_keyframes", "width", "height", "max_new_tokens", "threads"):
        parser.add_argument(name, type=int)
    args = parser.parse_args()

    import torch

    from spatial_mllm_ros.bench.ways import QUESTIONS, WAYS, noise_images
    from spatial_mllm_ros.model import load_spatial_mllm

    if args.threads:
        torch.set_num_threads(args.threads)
    model = load_spatial_mllm(args.checkpoint)
    images = noise_images(args.num_keyframes, (args.width, args.height))
    before = _status_bytes("VmRSS")
    with contextlib.suppress(OSError):  # some containers forbid it; the peak then includes that of loading
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    with contextlib.closing(WAYS[args.way](model, images, args.max_new_tokens)) as way:
        for question in QUESTIONS:
            way.ask(question)
    print(json.dumps(asdict(PeakMemory(before_bytes=before, peak_bytes=_status_bytes("VmHWM")))))


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise InputError(f"/proc/self/status has no {name}")


if __name__ == "__main__":
    _main()
