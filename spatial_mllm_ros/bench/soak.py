"""Many clients at once on one reasoner, while a camera films and its recording starts over again and again.

Clients ask good and bad questions, with short and long deadlines, want fresh keyframes, and cancel. Each request must
end in a status, and memory must not grow. Here on a reasoner without ROS; `--ros` does the same to the real node, with
the sample bag in place of the camera (`spatial_mllm_ros/ros/soak.py`, in a process of its own).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress

from spatial_mllm_ros.bench.machine import describe_machine, resident_bytes, slope_per_minute
from spatial_mllm_ros.errors import DependencyError, InputError

if TYPE_CHECKING:
    from spatial_mllm_ros.reasoning import Reasoner

__all__ = ["HELP", "SoakResult", "add_arguments", "run", "soak"]

HELP = "many clients at once on one reasoner: does every request end, does memory grow?"

_FRAME_S = 1 / 30
_GRACE_S = 60.0  # beyond its deadline, after which a request counts as never ended
_SAMPLE_S = 0.5
_WARM_UP = 0.2  # share of the time before memory is looked at
_TOO_LONG = "x" * 2000


@dataclass(kw_only=True)
class SoakResult:
    """What happened.

    Attributes:
        statuses: number of requests by the status that they ended in.
        never_ended: requests that did not end in any.
        late_s: the latest that a request ended after its deadline, s.
        frames, frames_dropped: filmed, and dropped for want of time.
        loops: times that the recording started over.
        resident_bytes: samples of the process's memory after the warm-up, one every half second.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    never_ended: int = 0
    late_s: float = 0.0
    frames: int = 0
    frames_dropped: int = 0
    loops: int = 0
    resident_bytes: list[int] = field(default_factory=list)

    @property
    def growth_bytes_per_minute(self) -> float:
        """Slope of a straight line through the samples of memory; 0 if there are fewer than three."""
        return slope_per_minute([(number * _SAMPLE_S, size) for number, size in enumerate(self.resident_bytes)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench soak`."""
    parser.add_argument("--clients", type=int, default=64, help="clients that ask at the same time (default: 64)")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default: 300)")
    parser.add_argument("--loop", type=float, default=10.0, metavar="S", help="length of the recording (default: 10)")
    parser.add_argument("--checkpoint", default="random-small", metavar="PATH", help="default: random-small")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of torch on a CPU (default: 1)")
    parser.add_argument("--ros", action="store_true", help="ask the real node over ROS while the sample bag plays")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    """Soak and print; exit status 1 if a request never ended."""
    if args.clients < 1 or args.seconds <= 0 or args.loop <= 0:
        raise InputError("there must be at least one client, and seconds and loop must be above 0")
    return _soak_node(args) if args.ros else _soak_reasoner(args)


def _soak_node(args: argparse.Namespace) -> int:
    """Run the soak over ROS, which this package must not import, as a process."""
    if importlib.util.find_spec("rclpy") is None:
        raise DependencyError("bench soak --ros needs ROS 2 with rclpy; `make setup` brings it, or source your ROS")
    words = ["--clients", args.clients, "--seconds", args.seconds, "--threads", max(1, args.threads)]
    words += ["--checkpoint", args.checkpoint, *(["--json"] if args.json else [])]
    return subprocess.call([sys.executable, "-m", "spatial_mllm_ros.ros.soak", *map(str, words)])


def _soak_reasoner(args: argparse.Namespace) -> int:
    import torch

    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.reasoning import Reasoner, ReasonerConfig
    from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

    torch.set_num_threads(max(1, args.threads))
    selector = KeyframeSelector(SelectorConfig(window_frames=64, num_keyframes=8, window_bytes=64 << 20))
    config = ReasonerConfig(max_new_tokens=16, min_refresh_s=0.5, cache_bytes=32 << 20)
    with Reasoner(load_spatial_mllm(args.checkpoint), selector, config=config) as reasoner:
        with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
            task = progress.add_task(f"{args.clients} clients", total=args.seconds)
            result = soak(
                reasoner, args.clients, args.seconds, args.loop, lambda passed: progress.update(task, completed=passed)
            )
        stages = reasoner.diagnostics().stages
    _print(result, stages, args)
    return 1 if result.never_ended else 0


def soak(
    reasoner: Reasoner,
    num_clients: int,
    seconds: float,
    loop_s: float,
    on_sample: Callable[[float], object] = lambda passed: None,
) -> SoakResult:
    """Let a camera film and clients ask, all at once.

    Args:
        reasoner: to ask; is given frames too.
        num_clients: threads that ask, each one question after the other.
        seconds: how long they begin new ones.
        loop_s: length of the recording, after which its stamps start over and the reasoner is cleared.
        on_sample: told the seconds that have passed, twice a second.
    """
    result, lock, stop = SoakResult(), threading.Lock(), threading.Event()
    threads = [threading.Thread(target=_film, args=(reasoner, loop_s, stop, result), name="soak camera")]
    for number in range(num_clients):
        works_on = (reasoner, random.Random(number), stop, result, lock)
        threads.append(threading.Thread(target=_ask_on, args=works_on, name=f"soak client {number}"))
    for thread in threads:
        thread.start()
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        if passed >= _WARM_UP * seconds:
            result.resident_bytes.append(resident_bytes())
        on_sample(passed)
        time.sleep(_SAMPLE_S)
    stop.set()
    for thread in threads:
        thread.join()
    result.frames_dropped = reasoner.diagnostics().frames_dropped
    return result


def _film(reasoner: Reasoner, loop_s: float, stop: threading.Event, result: SoakResult) -> None:
    from spatial_mllm_ros.frames import Frame

    wall = np.random.default_rng(0).integers(0, 256, (84, 2000, 3), dtype=np.uint8)
    per_loop = max(2, round(loop_s / _FRAME_S))
    while not stop.wait(_FRAME_S):
        place = result.frames % per_loop
        if place == 0 and result.frames:
            reasoner.clear()
            result.loops += 1
        left = 4 * place % (wall.shape[1] - 112)
        view = np.ascontiguousarray(wall[:, left : left + 112])
        reasoner.observe(Frame(image=view, stamp_ns=round(place * _FRAME_S * 1e9)))
        result.frames += 1


def _ask_on(
    reasoner: Reasoner, chance: random.Random, stop: threading.Event, result: SoakResult, lock: threading.Lock
) -> None:
    while not stop.is_set():
        timeout_s = chance.choice((0.05, 0.5, 5.0))
        question = chance.choice(("How many chairs are there?", "Wo ist die Tür?", "?", "", _TOO_LONG))
        asked_at = time.monotonic()
        stream = reasoner.ask(question, timeout_s=timeout_s, max_staleness_s=chance.choice((None, None, 0.2, 5.0)))
        if chance.random() < 0.2:
            stop.wait(chance.random() * 0.2)
            stream.cancel()
        answer = stream.result(timeout_s + _GRACE_S)
        late_s = time.monotonic() - asked_at - timeout_s
        with lock:
            if answer is None:
                result.never_ended += 1
            else:
                result.statuses[answer.status.name] += 1
                result.late_s = max(result.late_s, late_s)
        stop.wait(chance.random() * 0.2)  # a person thinks; a full line is not stormed


def _print(result: SoakResult, stages: dict[str, tuple[float, float]], args: argparse.Namespace) -> None:
    growth_mib = result.growth_bytes_per_minute / 2**20
    if args.json:
        found = {**vars(result), "growth_mib_per_minute": growth_mib, "stages_s": stages}
        print(json.dumps({"machine": describe_machine(), "clients": args.clients, "seconds": args.seconds, **found}))
        return
    console = Console()
    counts = ", ".join(f"{count} {name}" for name, count in sorted(result.statuses.items()))
    num_ended = sum(result.statuses.values())
    console.print(f"{args.clients} clients, {args.seconds:.0f} s: {num_ended} requests ended: {counts}")
    console.print(f"never ended: {result.never_ended}; latest end: {result.late_s:.2f} s after the deadline")
    console.print(f"frames: {result.frames} filmed in {result.loops + 1} loops, {result.frames_dropped} dropped")
    if result.resident_bytes:
        low, high = (f"{size / 2**20:.0f}" for size in (min(result.resident_bytes), max(result.resident_bytes)))
        console.print(f"memory: {low} to {high} MiB resident after the warm-up, slope {growth_mib:+.2f} MiB per minute")
    for stage in ("queue", "prefill", "first_token", "total"):
        if stage in stages:
            middle_ms, high_ms = (1e3 * seconds for seconds in stages[stage])
            console.print(f"{stage}: median {middle_ms:.1f} ms, 95 % below {high_ms:.1f} ms")
