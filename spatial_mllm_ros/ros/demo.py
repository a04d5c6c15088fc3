"""`make demo`: a bag is played into the node, and a client in another process asks it.

Starts node and player as processes of their own, asks over the action while the camera plays and over the service when
the room has been seen, and prints what came back beside the truth, and what it cost. Exits 0 only if every question was
answered and at least 95 % of the played colour frames reached the node.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.model.checkpoint import SMALL, find_checkpoint, open_checkpoint
from spatial_mllm_ros.model.loading import read_config
from spatial_mllm_ros.model.random_checkpoint import RANDOM_SMALL
from spatial_mllm_ros.ros.programs import ROOT, Program, ProgramError, frames_played, graph_environment, node_arguments
from spatial_mllm_ros.training.scenes import Question, questions_from_truth, score

__all__ = ["main"]

QUESTIONS = (
    "How large is this room, in square meters?",
    "How far is the chair from the table, in meters?",
    "How long is the longest side of the table, in centimeters?",
)
"""Asked about a bag of which nothing is known."""
SAMPLE_BAG = ROOT / "test" / "data" / "sample_bag"
SAMPLE_TRUTH = ROOT / "test" / "data" / "sample_room.json"
LEAST_RECEIVED = 0.95
LONGEST_START_S = 120.0
LOOK_AROUND_S = 8.0  # the robot sees something of the room before it is asked
SHOWN_CHARACTERS = 72


class DemoError(Exception):
    """The demo could not be carried through; the message says where it stopped."""


def main(argv: list[str] | None = None) -> int:
    """Run the demo; return 0 if every question was answered and the camera arrived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bag", type=Path, default=SAMPLE_BAG, help="the bag to play")
    parser.add_argument(
        "--truth", type=Path, help="what is true about its room (of spatial-mllm generate; default: the sample bag's)"
    )
    parser.add_argument("--checkpoint", default=SMALL, help=f"the model that answers (default {SMALL})")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="where logs and answers.json go")
    parser.add_argument("--question", action="append", dest="questions", help="ask this instead (may be given often)")
    args = parser.parse_args(argv)
    console = Console(width=max(Console().width, 100))
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        return _run(args, console)
    except (DemoError, ProgramError, SpatialMLLMError) as error:
        console.print(f"[bold red]demo failed:[/] {error}", highlight=False)
        return 1


def _run(args: argparse.Namespace, console: Console) -> int:
    if not args.bag.exists():
        raise DemoError(f"there is no bag {args.bag}")
    asked = _questions(args)
    environment = graph_environment()
    with Program("node", "node", node_arguments(args.checkpoint), args.out, environment) as node:
        console.print(f"[bold]1.[/] the node starts (log: {node.log})")
        node.wait_for_text("watching", LONGEST_START_S)
        node.wait_for_text("is loaded", LONGEST_START_S)
        arguments = [args.bag, "--wait-for-subscribers", 30]
        with Program("player", "play_bag", arguments, args.out, environment) as player:
            console.print(f"[bold]2.[/] the bag {args.bag.name} plays into it at the camera's own rate")
            time.sleep(LOOK_AROUND_S)
            answers = [_ask(asked[0], environment, node, stream=True)]
            console.print("[bold]3.[/] a client in another process asks over the action, while the robot looks around")
            _print_answer(console, answers[0])
            player.wait(LONGEST_START_S)
        console.print("[bold]4.[/] and over the service, when it has seen the room")
        answers += [_ask(question, environment, node) for question in asked]
        _print_answers(console, answers[1:])
        received = _wait_for_counts(environment, node)
    played = frames_played(player)
    return _sum_up(console, args, answers, played, received)


def _questions(args: argparse.Namespace) -> list[Question | str]:
    """Give what is to be asked: one question of each kind that the model has learnt, where the truth is known."""
    if args.questions:
        return args.questions
    truth = args.truth or (SAMPLE_TRUTH if args.bag == SAMPLE_BAG else None)
    if truth is None:
        return list(QUESTIONS)
    known = args.checkpoint != RANDOM_SMALL
    scope = read_config(open_checkpoint(find_checkpoint(args.checkpoint))).scope if known else None
    first = {question.kind: question for question in reversed(questions_from_truth(truth))}
    return [question for kind, question in first.items() if scope is None or kind in scope.templates][::-1]


def _ask(question: Question | str, environment: dict, node: Program, *, stream: bool = False) -> dict[str, Any]:
    known = question if isinstance(question, Question) else None
    text = known.prompt if known else question
    command = [sys.executable, "-m", "spatial_mllm_ros.ros.ask", text, "--json", "--timeout", "60"]
    done = subprocess.run(
        command + (["--stream"] if stream else []), env=environment, capture_output=True, text=True, timeout=180
    )
    if not done.stdout.strip():
        raise DemoError(f"asking {question!r} gave nothing: {done.stderr.strip()}; the node's log ends:\n{node.tail()}")
    answer = {"door": "action" if stream else "service", **json.loads(done.stdout.splitlines()[-1])}
    if known:
        answer |= {"question": _in_short(known), "truth": _true_answer(known), "score": score(known, answer["answer"])}
    return answer


def _in_short(question: Question) -> str:
    options = (f"{letter}. {option}" for letter, option in zip("ABCD", question.options))
    return " ".join([question.text, *options])


def _true_answer(question: Question) -> str:
    return f"{question.answer} ({question.chosen})" if question.options else question.answer


def _wait_for_counts(environment: dict, node: Program) -> int:
    """Return how many colour frames the node says it received, once that number stands still."""
    command = [sys.executable, "-m", "spatial_mllm_ros.ros.camera_counts"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise DemoError(f"the node's diagnostics did not come: {done.stderr.strip()}; its log ends:\n{node.tail()}")
    return int(done.stdout)


def _print_answer(console: Console, answer: dict[str, Any]) -> None:
    """Print everything about one answer."""
    table = Table(show_header=False, box=None, padding=(0, 1), pad_edge=True)
    table.add_row("question", answer["question"], style="bold")
    table.add_row("answer", _shown(answer["answer"]))
    if "truth" in answer:
        table.add_row("truth", answer["truth"])
    table.add_row("status", f"{answer['status']} {answer['message']}".strip() + f" (over the {answer['door']})")
    stamps = answer["keyframe_stamps_s"]
    if stamps:
        since = ", ".join(f"{stamp - stamps[0]:.1f}" for stamp in stamps)
        table.add_row("keyframes", f"{len(stamps)} from {stamps[0]:.2f} s, at + {since} s")
    coverage = answer["coverage"]
    known = isinstance(coverage, float) and not math.isnan(coverage)
    table.add_row("coverage", f"{coverage:.0%} of the space in the window" if known else "unknown: no geometry")
    times = answer["stage_times_s"]
    now = [f"{stage} {1e3 * s:.0f}" for stage, s in times.items() if not stage.startswith("prefix_")]
    before = [f"{stage[7:]} {1e3 * s:.0f}" for stage, s in times.items() if stage.startswith("prefix_")]
    table.add_row("time, ms", ", ".join(now))
    table.add_row("before, ms", ", ".join(before))
    console.print(table, highlight=False)
    console.print()


def _print_answers(console: Console, answers: list[dict[str, Any]]) -> None:
    """Print answers beside the truth, and what each cost."""
    table = Table(show_lines=True, expand=True)
    is_known = "truth" in answers[0]
    for heading in ("question", "answer", *(("truth", "worth") if is_known else ()), "ms"):
        ratio = {"question": 4, "answer": 1, "truth": 1}.get(heading)
        table.add_column(heading, justify="left" if ratio else "right", ratio=ratio)
    for answer in answers:
        truth = (answer["truth"], f"{answer['score']:.0%}") if is_known else ()
        said = _shown(answer["answer"], 16) if answer["status"] == "OK" else f"{answer['status']} {answer['message']}"
        table.add_row(answer["question"], said, *truth, f"{1e3 * answer['stage_times_s'].get('total', math.nan):.0f}")
    console.print(table, highlight=False)
    if is_known and all(answer["meaningful"] for answer in answers):
        mean = sum(answer["score"] for answer in answers) / len(answers)
        console.print(f"   worth {mean:.0%} on average, as VSI-Bench counts: right or wrong, numbers by relative error")


def _shown(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return text for a terminal: without control characters, and cut if it is long."""
    printable = "".join(letter if letter.isprintable() and letter != "\ufffd" else "·" for letter in text)
    cut = printable[:most]
    return f'"{cut}"' if cut == printable else f'"{cut}…" ({len(text)} characters)'


def _sum_up(console: Console, args: argparse.Namespace, answers: list[dict], played: int, received: int) -> int:
    report = {"answers": answers, "colour_frames_played": played, "colour_frames_received": received}
    path = args.out / "answers.json"
    path.write_text(json.dumps(report, indent=2))
    share = received / played
    console.print(f"[bold]5.[/] colour frames played {played}, received by the node {received} ({share:.1%})")
    if not all(answer["meaningful"] for answer in answers):
        console.print(
            "[bold yellow]The model that answered has random weights: its words mean nothing. "
            "The path they took is real.[/]"
        )
    failed = [answer for answer in answers if answer["status"] != "OK"]
    if failed:
        raise DemoError(f"{len(failed)} of {len(answers)} questions were not answered; see {path}")
    if share < LEAST_RECEIVED:
        raise DemoError(f"only {share:.1%} of the colour frames reached the node, at least {LEAST_RECEIVED:.0%} should")
    console.print(f"Everything about the answers is in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
