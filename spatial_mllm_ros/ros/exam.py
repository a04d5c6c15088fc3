"""`python -m spatial_mllm_ros.ros.exam`: the running node is driven through rooms it has never seen, and asked.

What `spatial-mllm eval generated` scores in one process is asked here over the service: a node in a process of its
own buffers a tour's frames, chooses keyframes by depth and odometry, and answers. Each room's questions are also asked
while the node still sees another room, which tells seeing from guessing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.node import Node
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from std_srvs.srv import Trigger

from spatial_mllm_ros.errors import InputError, SpatialMLLMError
from spatial_mllm_ros.evaluation import (
    Arm,
    Looks,
    Scores,
    answered_kinds,
    debiased,
    draw_heldout,
    evaluate,
    heldout_config,
)
from spatial_mllm_ros.frames import BagFile
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.checkpoint import SMALL
from spatial_mllm_ros.msg import Keyframes, SpatialAnswer
from spatial_mllm_ros.ros.ask import status_name
from spatial_mllm_ros.ros.play_bag import BagPlayer
from spatial_mllm_ros.ros.programs import Program, ProgramError, graph_environment, node_arguments
from spatial_mllm_ros.ros.qos import LATEST, QUESTIONS
from spatial_mllm_ros.srv import SpatialQuery
from spatial_mllm_ros.training.examples import Example, record_tour
from spatial_mllm_ros.training.scenes import Question, RoomRenderer, score
from spatial_mllm_ros.training.scenes.question import KINDS

__all__ = ["Examinee", "examine", "main"]

_NODE = "/spatial_mllm"
_KEYFRAMES = 8
_SIZE = (224, 168)
_RATE = 8.0  # times faster than the tour was driven: 26 frames a second
_STILL_S, _STILL_WITHIN_S = 0.6, 20.0
_TIMEOUT_S = 60.0


@dataclass
class Examinee:
    """A running node, seen by the one who asks.

    Args:
        client: a ROS node of this process; must not be spinning elsewhere.

    Attributes:
        replies: how many of each status.
    """

    client: Node
    replies: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heard: list[Keyframes] = []
        self._reset = self.client.create_client(Trigger, f"{_NODE}/reset")
        self._query = self.client.create_client(SpatialQuery, f"{_NODE}/query", qos_profile=QUESTIONS)
        self.client.create_subscription(Keyframes, f"{_NODE}/keyframes", self._heard.append, LATEST)

    def show(self, bag: Path) -> int:
        """Let it forget all, play a tour to it, and wait until its keyframes stand.

        Returns:
            frames in its window.

        Raises:
            ProgramError: if the node does not respond, or chooses no keyframes.
        """
        self._call(self._reset, Trigger.Request())
        self._heard.clear()
        with BagFile(bag) as file:
            player = BagPlayer(self.client, file, rate=_RATE)
            player.wait_for_subscribers(_TIMEOUT_S)
            player.play(file.start_ns, None)
        begun = last = time.monotonic()
        while time.monotonic() - last < _STILL_S and time.monotonic() - begun < _STILL_WITHIN_S:
            known = len(self._heard)
            rclpy.spin_once(self.client, timeout_sec=0.1)
            last = time.monotonic() if len(self._heard) > known else last
        player.close()
        if not self._heard:
            raise ProgramError(f"the node chose no keyframes of {bag.name}")
        return int(self._heard[-1].window_frames)

    def ask(self, question: Question) -> float:
        """Ask over the service; give what the answer is worth, 0 to 1: 0 for one that is not OK."""
        answer = self._call(self._query, SpatialQuery.Request(question=question.prompt, timeout=_TIMEOUT_S)).answer
        name = status_name(answer.status)
        self.replies[name] = self.replies.get(name, 0) + 1
        return score(question, answer.answer) if answer.status == SpatialAnswer.OK else 0.0

    def _call(self, service: Client, request: Any) -> Any:
        if not service.wait_for_service(timeout_sec=_TIMEOUT_S):  # a request before discovery would be lost
            raise ProgramError(f"{service.srv_name} is not offered, after {_TIMEOUT_S:.0f} s")
        future = service.call_async(request)
        rclpy.spin_until_future_complete(self.client, future, timeout_sec=2 * _TIMEOUT_S)
        if not future.done():
            raise ProgramError(f"{service.srv_name} did not respond within {2 * _TIMEOUT_S:.0f} s")
        return future.result()


def examine(
    checkpoint: str,
    examples: Sequence[Example],
    asked: Sequence[Sequence[Question]],
    out: Path,
    on_room: Callable[[], object] = lambda: None,
    looks: Looks = "new",
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Drive a node through the rooms of held-out examples, and ask about each.

    Args:
        checkpoint: the model that the node loads.
        examples: of the rooms; only their seeds matter.
        asked: questions about each of them.
        out: folder for the node's log.
        on_room: called after each room.
        looks: of the furniture in the rooms.

    Returns:
        what each answer is worth, 0 to 1, seeing the right room ("video") and the room before ("wrong video"); and how
        many replies there were of each status.

    Raises:
        ProgramError: if the node ends, does not respond, or chooses no keyframes.
    """
    environment = graph_environment()
    worth: dict[str, list[float]] = {"video": [], "wrong video": []}
    arguments = node_arguments(checkpoint, sampling__num_keyframes=_KEYFRAMES, geometry__provider="depth")
    with Program("node", "node", arguments, out, environment) as node, tempfile.TemporaryDirectory() as folder:
        node.wait_for_text("watching", _TIMEOUT_S)
        node.wait_for_text("is loaded", _TIMEOUT_S)
        rclpy.init(domain_id=int(environment["ROS_DOMAIN_ID"]))
        client = rclpy.create_node("exam")
        try:
            examinee = Examinee(client)
            order = [len(examples) - 1, *range(len(examples))]  # the first room's wrong room is the last one
            with RoomRenderer(*_SIZE, samples=0) as renderer:
                for place, index in enumerate(order):
                    bag = Path(folder) / f"tour_{place}"
                    record_tour(examples[index].seed, heldout_config(looks), bag, renderer)
                    examinee.show(bag)
                    if place:
                        worth["video"] += map(examinee.ask, asked[index])
                    if place < len(examples):
                        worth["wrong video"] += map(examinee.ask, asked[order[place + 1]])
                    on_room()
            return worth, examinee.replies
        finally:
            client.destroy_node()
            rclpy.try_shutdown()


def main(argv: list[str] | None = None) -> int:
    """Examine as the command line says; return 0 if every question was answered, 1 if not, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="exam", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--checkpoint", default=SMALL, help="folder of a small model's checkpoint (default: the one that ships)"
    )
    parser.add_argument("--rooms", type=int, default=100, help="how many held-out rooms (default 100)")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, metavar="KIND", help="of questions (default all that it answers)"
    )
    parser.add_argument(
        "--looks",
        choices=("new", "known"),
        default="new",
        help="of the furniture there: looks that no room in training had (default), or those that they had",
    )
    parser.add_argument("--examples", type=Path, default=Path("out/heldout"), help="where drawn tours are kept")
    parser.add_argument("--out", type=Path, default=Path("out/exam"), help="where the node's log goes")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args(argv)
    try:
        return _main(args)
    except InputError as error:
        print(f"exam: {error}", file=sys.stderr)
        return 2
    except (SpatialMLLMError, ProgramError) as error:
        print(f"exam: {error}", file=sys.stderr)
        return 1


def _main(args: argparse.Namespace) -> int:
    if args.rooms < 2:
        raise InputError(f"--rooms must be at least 2, not {args.rooms}")
    args.out.mkdir(parents=True, exist_ok=True)
    model = load_spatial_mllm(args.checkpoint)
    kinds = args.kinds or answered_kinds(model)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=args.json) as progress:
        drawing = progress.add_task("drawing questions", total=args.rooms)
        examples = draw_heldout(args.examples, args.rooms, lambda: progress.advance(drawing), args.looks)
        progress.update(drawing, completed=args.rooms)
        blind = Arm("nothing", "space-aware", _KEYFRAMES)
        scores = evaluate(model, examples, (blind,), kinds)
        asked = [[one.question for one in group] for group in debiased(examples, kinds)]
        task = progress.add_task("driving and asking", total=args.rooms + 1)
        worth, replies = examine(args.checkpoint, examples, asked, args.out, lambda: progress.advance(task), args.looks)
    arms = {shown: Arm(shown, "space-aware", _KEYFRAMES) for shown in worth}
    by_arm = {blind: scores.by_arm[blind], **{arms[shown]: np.array(values) for shown, values in worth.items()}}
    scores = Scores(kinds=scores.kinds, rooms=scores.rooms, by_arm=by_arm, floors=scores.floors)
    rows = list(_rows(scores, blind, arms["wrong video"], arms["video"]))
    if args.json:
        print(json.dumps({"rooms": args.rooms, "replies": replies, "scores": rows}))
    else:
        _print(rows, f"{args.rooms} held-out rooms, {args.looks} looks", replies)
    return 0 if set(replies) == {"OK"} else 1


def _rows(scores: Scores, blind: Arm, wrong: Arm, right: Arm) -> Any:
    for kind in [*sorted(set(scores.kinds)), None]:
        yield {
            "kind": kind or "mean of kinds",
            "n": int((scores.kinds == kind).sum()) if kind else len(scores.kinds),
            "constant": scores.floors[kind] if kind else float(np.mean(list(scores.floors.values()))),
            **{arm.shown: vars(scores.mean(arm, kind)) for arm in (blind, wrong, right)},
            "video - wrong video": vars(scores.difference(right, wrong, kind)),
        }


def _print(rows: Sequence[dict[str, Any]], rooms: str, replies: dict[str, int]) -> None:
    said = ", ".join(f"{count} {name}" for name, count in replies.items())
    table = Table(title=f"Over the service, {rooms}: score in %, 95 % interval ({said})")
    shown = ("nothing", "wrong video", "video", "video - wrong video")
    for heading in ("kind of question", "n", "constant", *shown):
        table.add_column(heading, justify="left" if heading == "kind of question" else "right")
    for row in rows:
        cells = (f"{one['mean']:.1f} [{one['low']:.1f}, {one['high']:.1f}]" for one in (row[name] for name in shown))
        table.add_row(row["kind"], str(row["n"]), f"{row['constant']:.1f}", *cells)
    Console(width=130).print(table)


if __name__ == "__main__":
    sys.exit(main())
