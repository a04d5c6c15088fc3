"""`spatial-mllm eval generated|geometry|encoders`: how well a small model answers, and sees, in rooms it never saw.

`generated`: the questions of VSI-Bench about generated rooms, by kind of question and way of looking, as far as the
checkpoint does not refuse them. `geometry`: cameras and depth beside guesses that know nothing. `encoders`: models that
were trained with both encoders beside models that were trained with one. Rooms, looks of furniture and questions are
the same every time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spatial_mllm_ros.errors import InputError

if TYPE_CHECKING:
    from spatial_mllm_ros.evaluation import Scores

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("what", choices=("generated", "geometry", "encoders"), help="what to score")
    add(
        "--checkpoint",
        nargs="+",
        default=["small"],
        metavar="PATH",
        help="folder of a small model's checkpoint (default: the one that ships); encoders: one for each seed",
    )
    add(
        "--only-2d",
        nargs="+",
        default=[],
        metavar="PATH",
        help="encoders: checkpoints trained with the 2D encoder alone",
    )
    add("--only-3d", nargs="+", default=[], metavar="PATH", help="encoders: ... with the spatial encoder alone")
    add("--scenes", type=int, default=500, help="how many held-out rooms (default 500)")
    add("--looks", choices=("new", "known"), default="new",
        help="of the furniture there: looks that no room in training had (default), or those that they had")
    add("--examples", type=Path, default=Path("out/heldout"),
        help="where drawn tours are kept for the next time (default out/heldout)")  # fmt: skip
    add("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Score, and print."""
    import torch

    from spatial_mllm_ros.evaluation import draw_heldout
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.training.answers import token_ids

    if args.scenes < 2:
        raise InputError(f"--scenes must be at least 2, not {args.scenes}")
    if args.what != "encoders" and (len(args.checkpoint) > 1 or args.only_2d or args.only_3d):
        raise InputError(f"eval {args.what} takes one --checkpoint; several are compared by eval encoders")
    torch.set_num_threads(1)
    if args.what == "encoders":
        return _encoders(args)
    model = load_spatial_mllm(args.checkpoint[0], geometry=True)
    if args.what == "generated":
        token_ids(model)  # tells another vocabulary before rooms are drawn for minutes
    with _progress(args) as progress:
        drawing = progress.add_task("drawing tours", total=args.scenes)
        examples = draw_heldout(args.examples, args.scenes, lambda: progress.advance(drawing), args.looks)
        progress.update(drawing, completed=args.scenes)
        scoring = progress.add_task("scoring", total=len(examples))
        if args.what == "geometry":
            return _geometry(model, examples, args, lambda: progress.advance(scoring))
        from spatial_mllm_ros.evaluation import evaluate

        scores = evaluate(model, examples, on_batch=lambda done: progress.update(scoring, completed=done))
    if args.json:
        print(json.dumps(_as_json(scores, len(examples))))
    else:
        _print(scores, _rooms(args, examples), model.name)
    return 0


def _progress(args: argparse.Namespace) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=args.json)


def _encoders(args: argparse.Namespace) -> int:
    from spatial_mllm_ros.evaluation import draw_heldout, evaluate_encoders
    from spatial_mllm_ros.model import load_spatial_mllm

    folders = {"video": args.checkpoint, "2D only": args.only_2d, "3D only": args.only_3d}
    models = {shown: [load_spatial_mllm(one) for one in some] for shown, some in folders.items() if some}
    if len(models) < 2:
        raise InputError("eval encoders compares: give --only-2d or --only-3d, too")
    with _progress(args) as progress:
        drawing = progress.add_task("drawing tours", total=args.scenes)
        examples = draw_heldout(args.examples, args.scenes, lambda: progress.advance(drawing), args.looks)
        scoring = progress.add_task("scoring", total=sum(map(len, models.values())))
        scores = evaluate_encoders(models, examples, on_model=lambda: progress.advance(scoring))
    both, *others = scores.by_arm
    kinds = [*sorted(set(scores.kinds)), None]
    rows = {arm.shown: [scores.mean(arm, kind) for kind in kinds] for arm in scores.by_arm}
    rows |= {f"video - {arm.shown}": [scores.difference(both, arm, kind) for kind in kinds] for arm in others}
    if args.json:
        found = {
            name: {kind or "mean": dataclasses.astuple(one) for kind, one in zip(kinds, row)}
            for name, row in rows.items()
        }
        print(json.dumps({"rooms": len(examples), "scores": found}))
        return 0
    seeds = ", ".join(f"{shown} {len(some)}" for shown, some in models.items())
    table = Table(title=f"Trained with both encoders or one, {_rooms(args, examples)}: %, 95 % interval ({seeds})")
    table.add_column("")
    for heading in _headings(kinds):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(name, *map(_cell, row))
    Console(width=150).print(table)
    return 0


def _rooms(args: argparse.Namespace, examples: Sequence) -> str:
    return f"{len(examples)} held-out rooms, {args.looks} looks"


def _headings(kinds: Sequence[str | None]) -> list[str]:
    return [kind.replace("object_", "").replace("_estimation", "") if kind else "mean" for kind in kinds]


def _geometry(model: Any, examples: Sequence, args: argparse.Namespace, on_example: Any) -> int:
    from spatial_mllm_ros.evaluation import score_geometry

    scores = score_geometry(model, examples, on_example)
    if args.json:
        print(json.dumps([dataclasses.asdict(score) for score in scores]))
        return 0
    table = Table(title=f"Cameras and depth in {_rooms(args, examples)}: medians, ratio with 95 % interval")
    for heading in ("", "error", "knowing nothing", "ratio", "frames"):
        table.add_column(heading, justify="left" if not heading else "right")
    for score in scores:
        ratio = f"{score.ratio:.2f} [{score.low:.2f}, {score.high:.2f}]"
        errors = (f"{value} {score.unit}" for value in (score.error, score.trivial))
        table.add_row(score.what, *errors, ratio, f"{score.frames}")
    Console(width=110).print(table)
    return 0


def _as_json(scores: Scores, rooms: int) -> dict[str, Any]:
    kinds = [*sorted(set(scores.kinds)), None]
    return {
        "rooms": rooms,
        "questions": {kind: int((scores.kinds == kind).sum()) for kind in kinds if kind},
        "floors": dict(scores.floors),
        "scores": {
            str(arm): {kind or "mean": dataclasses.astuple(scores.mean(arm, kind)) for kind in kinds}
            for arm in scores.by_arm
        },
        "differences": {
            name: {kind or "mean": dataclasses.astuple(scores.difference(*arms, kind)) for kind in kinds}
            for name, arms in _comparisons().items()
        },
    }


def _comparisons() -> dict[str, tuple]:
    from spatial_mllm_ros.evaluation import Arm

    full = Arm("video", "space-aware", 8)
    others = ("wrong video", "nothing", "2D only", "3D only")
    found = {f"video - {other}": (full, Arm(other, "space-aware", 8)) for other in others}
    for count in (4, 8, 16):
        for other in ("uniform", "recent"):
            found[f"space-aware - {other}, {count}"] = (Arm("video", "space-aware", count), Arm("video", other, count))
    for one, other in (("by depth", "uniform"), ("by VGGT", "uniform"), ("by VGGT", "by depth")):
        found[f"{one} - {other}, 4 of 16"] = (Arm("video", one, 4), Arm("video", other, 4))
    return found


def _print(scores: Scores, rooms: str, name: str) -> None:
    from spatial_mllm_ros.evaluation import Arm

    console, kinds = Console(width=150), sorted(set(scores.kinds))
    table = Table(title=f"{name} in {rooms}, 8 space-aware keyframes: score in %, 95 % interval")
    for heading in ("kind of question", "n", "constant", "nothing", "wrong video", "2D only", "3D only", "video"):
        table.add_column(heading, justify="left" if heading == "kind of question" else "right")
    for kind in [*kinds, None]:
        cells = [_cell(scores.mean(Arm(shown, "space-aware", 8), kind))
                 for shown in ("nothing", "wrong video", "2D only", "3D only", "video")]  # fmt: skip
        floor = scores.floors[kind] if kind else sum(scores.floors.values()) / len(scores.floors)
        count = (scores.kinds == kind).sum() if kind else len(scores.kinds)
        table.add_row(kind or "mean of kinds", str(count), f"{floor:.1f}", *cells)
    console.print(table)
    table = Table(title="The same questions, in pairs: difference in points, 95 % interval")
    comparisons = _comparisons()
    table.add_column("")
    for heading in _headings([*kinds, None]):
        table.add_column(heading, justify="right")
    for heading, arms in comparisons.items():
        table.add_row(heading, *(_cell(scores.difference(*arms, kind)) for kind in [*kinds, None]))
    console.print(table)


def _cell(interval: Any) -> str:
    return f"{interval.mean:.1f} [{interval.low:.1f}, {interval.high:.1f}]"
