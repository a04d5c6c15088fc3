"""A soak of the real node: a crowd of clients asks it over ROS while a bag plays into it again and again.

Node and player are processes of their own, the clients are in this one. Every request must end in a defined status, at
least 95 % of the camera's frames must arrive, and the node's memory must not grow. `spatial-mllm bench soak --ros`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spatial_mllm_ros.ros.camera_counts import images_received
from spatial_mllm_ros.ros.programs import COLOUR, ROOT, Program, ProgramError, graph_environment, node_arguments
from spatial_mllm_ros.ros.soak_clients import Crowd, Outcome

__all__ = ["SoakReport", "main", "slope_per_minute", "soak"]

LEAST_RECEIVED = 0.95
_NODE = "/spatial_mllm"
_START_S = 120.0
_SAMPLE_S = 1.0
_WARM_UP_S, _WARM_UP_SHARE = 60.0, 0.2  # memory is looked at after a minute, or a fifth of a shorter soak
_STANDS_STILL_S = 20.0
_DOORS = ("service", "action")


@dataclass(frozen=True, kw_only=True)
class SoakReport:
    """What happened.

    Attributes:
        statuses: number of requests that ended, by door ("service", "action") and status.
        never_ended: number that did not, by what was waited for.
        disagreeing: actions whose own status does not fit their answer's.
        latest_end_s: the latest end after a deadline, as a client saw it, s.
        first_token_s: (median, 95th percentile) of OK answers, s; NaN without any.
        played, received: colour frames that the player published and the node received.
        resident_bytes: the node's memory over time, (seconds since the start, bytes).
        warm_up_s: when memory is looked at from.
    """

    statuses: dict[str, Counter[str]]
    never_ended: Counter[str]
    disagreeing: int
    latest_end_s: float
    first_token_s: tuple[float, float]
    played: int
    received: int
    resident_bytes: list[tuple[float, int]]
    warm_up_s: float

    @property
    def growth_bytes_per_minute(self) -> float:
        """Slope of the node's memory after the warm-up."""
        return slope_per_minute([sample for sample in self.resident_bytes if sample[0] >= self.warm_up_s])

    @property
    def is_well(self) -> bool:
        """True if every request ended, consistently, and the camera arrived."""
        return not self.never_ended and not self.disagreeing and self.received >= LEAST_RECEIVED * self.played


def slope_per_minute(samples: list[tuple[float, int]]) -> float:
    """Fit a straight line to (seconds, bytes) and give its slope per minute; 0 for fewer than three samples."""
    if len(samples) < 3:
        return 0.0
    seconds, sizes = zip(*samples, strict=True)
    return float(np.polyfit(np.array(seconds) / 60, sizes, 1)[0])


def soak(
    *,
    num_clients: int,
    seconds: float,
    bag: Path,
    checkpoint: str,
    folder: Path,
    threads: int = 1,
    think_s: float = 1.0,
    on_sample: Callable[[float, Counter[str]], object] = lambda passed, statuses: None,
) -> SoakReport:
    """Start node and player, let the crowd ask, and stop them all.

    Args:
        num_clients: that ask at the same time.
        seconds: how long they begin new questions.
        bag: played in a loop.
        checkpoint: the model that answers.
        folder: where the logs of node and player go.
        threads: of torch in the node.
        think_s: mean time between a client's questions.
        on_sample: told once a second the seconds that have passed and the statuses so far.

    Raises:
        ProgramError: if node or player fail.
    """
    environment = {**graph_environment(), "OMP_NUM_THREADS": str(threads)}
    arguments = node_arguments(checkpoint, reasoning__max_new_tokens=32)
    with Program("node", "node", arguments, folder, environment) as node:
        node.wait_for_text("watching", _START_S)
        node.wait_for_text("is loaded", _START_S)
        rclpy.init(args=[], domain_id=int(environment["ROS_DOMAIN_ID"]))
        try:
            camera = _CameraCount()
            words = [bag, "--loop", "--wait-for-subscribers", 30]
            with Program("player", "play_bag", words, folder, environment) as player:
                crowd = Crowd(num_clients, _NODE, think_s=think_s)
                samples = _watch(crowd, node, player, seconds, on_sample)
            received = camera.wait_until_still()
        finally:
            rclpy.try_shutdown()
    warm_up_s = min(_WARM_UP_S, _WARM_UP_SHARE * seconds)
    return _report(crowd.outcomes, _played(player.text()), received, samples, warm_up_s)


def _watch(
    crowd: Crowd, node: Program, player: Program, seconds: float, on_sample: Callable[[float, Counter[str]], object]
) -> list[tuple[float, int]]:
    """Let the crowd ask, and give the node's memory over time."""
    samples = []
    crowd.start()
    started = time.monotonic()
    try:
        while (passed := time.monotonic() - started) < seconds:
            for name, program in (("node", node), ("player", player)):
                if not program.is_running:
                    raise ProgramError(f"the {name} ended by itself:\n{program.tail()}")
            samples.append((passed, _resident_bytes(node.pid)))
            on_sample(passed, crowd.statuses())
            time.sleep(_SAMPLE_S)
    finally:
        crowd.stop()
    return samples


def _report(
    outcomes: list[Outcome], played: int, received: int, samples: list[tuple[float, int]], warm_up_s: float
) -> SoakReport:
    ended = [outcome for outcome in outcomes if outcome.has_ended]
    first = [outcome.first_token_s for outcome in ended if not math.isnan(outcome.first_token_s)]
    return SoakReport(
        statuses={door: Counter(outcome.status for outcome in ended if outcome.door == door) for door in _DOORS},
        never_ended=Counter(f"{one.door}: {one.status}" for one in outcomes if not one.has_ended),
        disagreeing=sum(not outcome.agrees for outcome in ended),
        latest_end_s=max((outcome.late_s for outcome in ended), default=math.nan),
        first_token_s=(float(np.median(first)), float(np.percentile(first, 95))) if first else (math.nan, math.nan),
        played=played,
        received=received,
        resident_bytes=samples,
        warm_up_s=warm_up_s,
    )


class _CameraCount:
    """Hears from the node's diagnostics how many colour images it has received."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._node = rclpy.create_node("soak_camera_count")
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)

    def wait_until_still(self) -> int:
        """Give the number once two messages in a row have the same.

        Raises:
            ProgramError: if diagnostics do not come.
        """
        self._counts.clear()
        deadline = time.monotonic() + _STANDS_STILL_S
        while len(self._counts) < 3 or self._counts[-1] != self._counts[-2]:
            if time.monotonic() > deadline:
                raise ProgramError(f"the node's diagnostics did not settle within {_STANDS_STILL_S:.0f} s")
            rclpy.spin_once(self._node, timeout_sec=0.5)
        self._node.destroy_node()
        return self._counts[-1]

    def _read(self, message: DiagnosticArray) -> None:
        count = images_received(message)
        if count is not None:
            self._counts.append(count)


def _played(text: str) -> int:
    found = re.search(rf"{re.escape(COLOUR)} (\d+)", text)
    if not found:
        raise ProgramError(f"the player published nothing on {COLOUR}:\n{text}")
    return int(found[1])


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(argv: list[str] | None = None) -> int:
    """Soak as the command line says; return 0 if all is well, 1 if not, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64, help="that ask at the same time (default 64)")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default 300)")
    parser.add_argument("--think", type=float, default=1.0, metavar="S", help="mean pause of a client (default 1)")
    parser.add_argument("--bag", type=Path, default=ROOT / "test" / "data" / "sample_bag", help="played in a loop")
    parser.add_argument("--checkpoint", default="random-small", help="the model that answers (default random-small)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of torch in the node (default 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "soak", help="where logs and soak.json go")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and no progress")
    args = parser.parse_args(argv)
    if args.clients < 1 or not args.seconds > 0 or not args.think >= 0 or args.threads < 1:
        parser.error("clients and threads must be at least 1, seconds above 0, think not below 0")
    if not args.bag.exists():
        parser.error(f"there is no bag {args.bag}")
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        report = _soak_with_progress(args)
    except ProgramError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    found = {**vars(report), "growth_bytes_per_minute": report.growth_bytes_per_minute, "is_well": report.is_well}
    text = json.dumps({"clients": args.clients, "seconds": args.seconds, **found})
    (args.out / "soak.json").write_text(text + "\n")
    print(text) if args.json else _print(report, args)
    return 0 if report.is_well else 1


def _soak_with_progress(args: argparse.Namespace) -> SoakReport:
    with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
        task = progress.add_task("node and player start", total=args.seconds)

        def show(passed: float, statuses: Counter[str]) -> None:
            ended = ", ".join(f"{count} {name}" for name, count in statuses.most_common())
            progress.update(task, completed=passed, description=f"{args.clients} clients: {ended or 'asking'}")

        return soak(
            num_clients=args.clients,
            seconds=args.seconds,
            bag=args.bag,
            checkpoint=args.checkpoint,
            folder=args.out,
            threads=args.threads,
            think_s=args.think,
            on_sample=show,
        )


def _print(report: SoakReport, args: argparse.Namespace) -> None:
    console = Console()
    table = Table("requests", *_DOORS, box=None)
    for status in sorted(set().union(*report.statuses.values())):
        table.add_row(status, *(str(report.statuses[door][status]) for door in _DOORS))
    table.add_row("together", *(str(sum(report.statuses[door].values())) for door in _DOORS))
    console.print(f"{args.clients} clients, {args.seconds:.0f} s, {args.checkpoint}, logs in {args.out}")
    console.print(table)
    lost = ", ".join(f"{count} {what}" for what, count in report.never_ended.items())
    console.print(f"never ended: {lost or 0}; action and answer disagree: {report.disagreeing}")
    median_ms, high_ms = (1e3 * seconds for seconds in report.first_token_s)
    console.print(f"latest end: {report.latest_end_s:.2f} s after the deadline, as the client saw it")
    console.print(f"first token: median {median_ms:.0f} ms, 95 % below {high_ms:.0f} ms, time in line included")
    share = report.received / report.played
    console.print(f"colour frames: {report.played} played, {report.received} received ({share:.1%})")
    warm = [size / 2**20 for second, size in report.resident_bytes if second >= report.warm_up_s]
    if warm:
        slope = report.growth_bytes_per_minute / 2**20
        console.print(
            f"node's memory after {report.warm_up_s:.0f} s: {min(warm):.1f} to {max(warm):.1f} MiB resident, "
            f"slope {slope:+.2f} MiB per minute"
        )


if __name__ == "__main__":
    sys.exit(main())
