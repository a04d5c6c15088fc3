"""A soak of the real node: a crowd of clients asks it over ROS while a bag plays into it again and again.

Node and player are processes of their own, the clients are in this one. Every request must end in a defined status, at
least 95 % of the camera's frames must arrive, and the node's memory must not grow. `spatial-mllm bench soak --ros`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rich.console import Console
from rich.progress import Progress

from spatial_mllm_ros.bench.machine import resident_bytes
from spatial_mllm_ros.ros.camera_counts import images_received
from spatial_mllm_ros.ros.programs import ROOT, Program, ProgramError, frames_played, graph_environment, node_arguments
from spatial_mllm_ros.ros.soak_clients import Crowd
from spatial_mllm_ros.ros.soak_report import Sample, SoakReport, make_report, print_report

__all__ = ["main", "soak"]

_NODE = "/spatial_mllm"
_START_S = 120.0
_SAMPLE_S = 1.0
_WARM_UP_S, _WARM_UP_SHARE = 60.0, 0.2  # memory is looked at after a minute, or a fifth of a shorter soak
_STANDS_STILL_S = 20.0


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
            heard = _Diagnostics()
            words = [bag, "--loop", "--wait-for-subscribers", 30]
            with Program("player", "play_bag", words, folder, environment) as player:
                crowd = Crowd(num_clients, _NODE, think_s=think_s)
                samples = _watch(crowd, node, player, heard, seconds, on_sample)
            received = heard.wait_until_still()
        finally:
            rclpy.try_shutdown()
    warm_up_s = min(_WARM_UP_S, _WARM_UP_SHARE * seconds)
    return make_report(crowd.outcomes, frames_played(player), received, samples, warm_up_s)


def _watch(
    crowd: Crowd,
    node: Program,
    player: Program,
    heard: _Diagnostics,
    seconds: float,
    on_sample: Callable[[float, Counter[str]], object],
) -> list[Sample]:
    """Let the crowd ask, and give the node's memory over time."""
    samples = []
    crowd.start()
    started = time.monotonic()
    try:
        while (passed := time.monotonic() - started) < seconds:
            for name, program in (("node", node), ("player", player)):
                if not program.is_running:
                    raise ProgramError(f"the {name} ended by itself:\n{program.tail()}")
            heard.listen()
            samples.append((passed, resident_bytes(node.pid), heard.cache_bytes))
            on_sample(passed, crowd.statuses())
            time.sleep(_SAMPLE_S)
    finally:
        crowd.stop()
    return samples


class _Diagnostics:
    """Hears from the node's diagnostics how many colour images it has received, and how much its caches hold."""

    def __init__(self) -> None:
        self.cache_bytes = 0
        self._counts: list[int] = []
        self._node = rclpy.create_node("soak_diagnostics")
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in what has come, or wait for it."""
        rclpy.spin_once(self._node, timeout_sec=timeout_s)

    def wait_until_still(self) -> int:
        """Give the number of images once two messages in a row have the same.

        Raises:
            ProgramError: if diagnostics do not come.
        """
        self._counts.clear()
        deadline = time.monotonic() + _STANDS_STILL_S
        while len(self._counts) < 3 or self._counts[-1] != self._counts[-2]:
            if time.monotonic() > deadline:
                raise ProgramError(f"the node's diagnostics did not settle within {_STANDS_STILL_S:.0f} s")
            self.listen(0.5)
        self._node.destroy_node()
        return self._counts[-1]

    def _read(self, message: DiagnosticArray) -> None:
        count = images_received(message)
        if count is not None:
            self._counts.append(count)
        for pair in (pair for status in message.status for pair in status.values if pair.key == "cache_bytes"):
            self.cache_bytes = int(pair.value)


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
    about = f"{args.clients} clients, {args.seconds:.0f} s, {args.checkpoint}, logs in {args.out}"
    print(text) if args.json else print_report(report, about)
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


if __name__ == "__main__":
    sys.exit(main())
