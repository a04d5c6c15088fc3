"""Play a ROS 2 bag into the graph, for machines without rosbag2: `ros2 run spatial_mllm_ros play_bag BAG`.

Messages are published as they are stored, serialised, at the times at which they were recorded. Only their topics,
types and bytes pass through here; nothing is decoded.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from spatial_mllm_ros.errors import InputError, SpatialMLLMError
from spatial_mllm_ros.frames import BagFile
from spatial_mllm_ros.ros.conversions import time_from_stamp_ns

__all__ = ["BagPlayer", "main"]

# Reliable matches every subscription; a deep queue lets a reliable reader catch up.
_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
_LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_LATCHED_TOPICS = ("/tf_static", "/robot_description", "/map")
_LONGEST_SLEEP_S = 0.1


class BagPlayer:
    """Publishes the messages of a bag in their own time.

    Args:
        node: publishes.
        bag: an open bag.
        topics: which to play; all if empty.
        remap: new names by old ones.
        rate: how many times faster than recorded.
        clock_hz: rate of /clock; 0 for none.

    Raises:
        InputError: if a topic is not in the bag, or nothing of it can be played.
    """

    def __init__(
        self,
        node: Node,
        bag: BagFile,
        *,
        topics: Iterable[str] = (),
        remap: dict[str, str] | None = None,
        rate: float = 1.0,
        clock_hz: float = 0.0,
    ) -> None:
        self.published: Counter[str] = Counter()
        self.worst_lateness_s = 0.0
        self._node, self._bag, self._rate = node, bag, rate
        self._publishers = self._make_publishers(set(topics), remap or {})
        self._clock = node.create_publisher(Clock, "/clock", 10) if clock_hz else None
        self._clock_period_ns = int(1e9 / clock_hz) if clock_hz else 0

    def close(self) -> None:
        """Take the publishers out of the graph."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    @property
    def topics(self) -> tuple[str, ...]:
        """Names, in the bag, of the topics that are played."""
        return tuple(self._publishers)

    def wait_for_subscribers(self, timeout_s: float) -> bool:
        """Wait until every topic played has a subscriber, at most `timeout_s` seconds; say whether that is so."""
        deadline = time.monotonic() + timeout_s
        while not all(publisher.get_subscription_count() for publisher in self._publishers.values()):
            if time.monotonic() > deadline or not rclpy.ok():
                return False
            time.sleep(0.02)
        return True

    def play(self, start_ns: int, stop_ns: int | None, on_progress: Callable[[int], object] = lambda _: None) -> None:
        """Play once.

        Args:
            start_ns: recorded time to begin at, ns.
            stop_ns: recorded time to end before, ns; None for the end of the bag.
            on_progress: called with the recorded time of each message, ns.
        """
        began = time.monotonic()  # the schedule is absolute, so that small delays do not add up
        next_clock_ns = start_ns
        for message in self._bag.messages(self.topics, start_ns=start_ns, stop_ns=stop_ns):
            while self._clock is not None and next_clock_ns <= message.recorded_ns:
                self._wait_until(began + (next_clock_ns - start_ns) / 1e9 / self._rate)
                self._clock.publish(Clock(clock=time_from_stamp_ns(next_clock_ns)))
                next_clock_ns += self._clock_period_ns
            due = began + (message.recorded_ns - start_ns) / 1e9 / self._rate
            self._wait_until(due)
            if not rclpy.ok():
                return
            self.worst_lateness_s = max(self.worst_lateness_s, time.monotonic() - due)
            self._publishers[message.topic].publish(bytes(message.data))
            self.published[message.topic] += 1
            on_progress(message.recorded_ns)

    def _make_publishers(self, wanted: set[str], remap: dict[str, str]) -> dict[str, Publisher]:
        known = {topic.name: topic for topic in self._bag.topics}
        missing = sorted((wanted | set(remap)) - set(known))
        if missing:
            raise InputError(f"{self._bag.path} has no topic {', '.join(missing)}; it has {', '.join(sorted(known))}")
        publishers = {}
        for topic in known.values():
            if wanted and topic.name not in wanted:
                continue
            kind = _message_type(topic.type)
            if kind is None:
                self._node.get_logger().warning(f"skipping {topic.name}: {topic.type} is not installed")
                continue
            qos = _LATCHED if topic.name in _LATCHED_TOPICS else _QOS
            publishers[topic.name] = self._node.create_publisher(kind, remap.get(topic.name, topic.name), qos)
        if not publishers:
            raise InputError(f"nothing in {self._bag.path} can be played")
        return publishers

    def _wait_until(self, due: float) -> None:
        while rclpy.ok():
            left = due - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _LONGEST_SLEEP_S))


def main(argv: list[str] | None = None) -> int:
    """Play a bag as the command line says; return 0 done, 2 for bad input, 130 interrupted."""
    own_words, ros_words = _split((sys.argv if argv is None else argv)[1:])
    args = _parser().parse_args(own_words)
    try:
        with BagFile(args.bag) as bag:
            rclpy.init(args=ros_words)
            try:
                return _play(bag, args)
            finally:
                rclpy.try_shutdown()
    except SpatialMLLMError as error:
        print(f"play_bag: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130


def _play(bag: BagFile, args: argparse.Namespace) -> int:
    node = rclpy.create_node("play_bag")
    player = BagPlayer(
        node, bag, topics=args.topics, remap=dict(args.remap), rate=args.rate, clock_hz=args.clock or 0.0
    )
    start_ns = bag.start_ns + int(args.start * 1e9)
    stop_ns = None if args.duration is None else start_ns + int(args.duration * 1e9)
    if args.wait_for_subscribers and not player.wait_for_subscribers(args.wait_for_subscribers):
        names = ", ".join(player.topics)
        print(f"play_bag: not every topic has a subscriber ({names}); playing anyway", file=sys.stderr)
    try:
        with _progress(bag, start_ns, stop_ns) as on_progress:
            player.play(start_ns, stop_ns, on_progress)
            while args.loop and player.published and rclpy.ok():  # an empty part would spin
                player.play(start_ns, stop_ns, on_progress)
    finally:
        counts = ", ".join(f"{topic} {count}" for topic, count in sorted(player.published.items()))
        print(f"played {counts or 'nothing'}; worst lateness {player.worst_lateness_s * 1e3:.1f} ms")
        sys.stdout.flush()
    player_is_done = not player.published or rclpy.ok()
    for publisher in node.publishers:  # let reliable readers have the last messages
        with contextlib.suppress(Exception):
            publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=2.0))
    node.destroy_node()
    return 0 if player_is_done else 130


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Part our words from those that ROS reads, `--ros-args ... [--]`.

    rclpy's own function also takes OLD:=NEW wherever it stands, the remapping of ROS 1, and so our --remap.
    """
    ours, theirs, is_ours = [], [], True
    for word in words:
        is_ours = is_ours and word != "--ros-args"
        (ours if is_ours else theirs).append(word)
        is_ours = is_ours or word == "--"
    return ours, theirs


def _message_type(name: str) -> type | None:
    """Import a message type such as "sensor_msgs/msg/Image"; None if it is not installed."""
    package, _, kind = name.rpartition("/")
    try:
        return getattr(importlib.import_module(package.replace("/", ".")), kind)
    except (ImportError, AttributeError, ValueError):
        return None


@contextlib.contextmanager
def _progress(bag: BagFile, start_ns: int, stop_ns: int | None) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    end_ns = stop_ns or bag.start_ns + int(bag.length_s * 1e9)
    columns = (TextColumn("playing"), BarColumn(), TextColumn("{task.completed:.1f} of {task.total:.1f} s"))
    with Progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("playing", total=max((end_ns - start_ns) / 1e9, 0.0))
        yield lambda recorded_ns: bar.update(task, completed=(recorded_ns - start_ns) / 1e9)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="play_bag", description="Play a ROS 2 bag (sqlite3 or MCAP) into the graph.")
    parser.add_argument("bag", type=Path, help="bag folder, .mcap or .db3 file")
    parser.add_argument("--rate", type=_positive, default=1.0, help="times faster than recorded (default 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end; stamps jump back")
    parser.add_argument(
        "--clock", type=_positive, nargs="?", const=100.0, metavar="HZ", help="publish /clock (default 100 Hz)"
    )
    parser.add_argument("--start", type=_seconds, default=0.0, metavar="S", help="begin this long after its start")
    parser.add_argument("--duration", type=_seconds, metavar="S", help="play only this long, in recorded seconds")
    parser.add_argument("--topics", nargs="+", default=(), metavar="TOPIC", help="play only these")
    parser.add_argument(
        "--remap", nargs="+", type=_renaming, default=(), metavar="OLD:=NEW", help="publish under other names"
    )
    parser.add_argument(
        "--wait-for-subscribers", type=_seconds, metavar="S", help="first wait until every topic has a subscriber"
    )
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be at least 0, not {text}")
    return value


def _renaming(text: str) -> tuple[str, str]:
    old, separator, new = text.partition(":=")
    if not separator or not old or not new:
        raise argparse.ArgumentTypeError(f"must look like OLD:=NEW, not {text}")
    return old, new


if __name__ == "__main__":
    sys.exit(main())
