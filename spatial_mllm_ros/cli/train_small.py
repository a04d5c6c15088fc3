"""`spatial-mllm train-small`: train the small model that this package ships, stage by stage, on a CPU.

The stages, in order: scenes, recognition, geometry, heads, reading, answers, write. Each keeps its state in the working
folder and can be stopped at any time; with --resume it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.question import KINDS

__all__ = ["add_arguments", "run"]

_TRAINED = ("recognition", "geometry", "heads", "reading", "answers")
_STAGES = ("scenes", *_TRAINED, "write")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--stage", choices=_STAGES, required=True, help="what to do; the stages build on each other in this order")
    add("--work", type=Path, default=Path("out/small"), help="working folder (default out/small)")
    add("--hours", type=float, default=1.0, help="processor time to train, all runs of a stage together (default 1)")
    add("--threads", type=int, default=1, help="of this stage (default 1: stages side by side use cores best)")
    add("--resume", action="store_true", help="go on with a stage that was begun")
    add("--seed", type=int, default=0, help="of the first weights and of what is drawn (default 0)")
    add("--first", type=int, default=0, help="scenes: the first room's seed, a multiple of 50 (default 0)")
    add("--count", type=int, default=4000, help="scenes: how many tours to draw (default 4000)")
    add("--shown", choices=("both", "2D", "3D"), default="both",
        help="answers, write: what the language model is shown: what both encoders see (default), or one of them")
    add("--out", type=Path, help="write: folder of the checkpoint; must not exist")
    add("--answers", nargs="+", metavar="KIND", choices=KINDS, default=[],
        help="reading, answers: the kinds of question that are asked; write: those that it shall not refuse; "
        f"default all: {', '.join(KINDS)}")  # fmt: skip
    add("--json", action="store_true", help="print each line of the log as JSON instead of a progress bar")


def run(args: argparse.Namespace) -> int:
    """Run one stage."""
    import torch

    from spatial_mllm_ros.training import stages
    from spatial_mllm_ros.training.examples import ExampleConfig, draw_shards
    from spatial_mllm_ros.training.workspace import Workspace

    _check_numbers(args)
    if args.work.exists() and not args.work.is_dir():
        raise InputError(f"--work {args.work} is no folder")
    work = Workspace(args.work, args.seed)
    if args.stage == "write":
        return _write(work, args)
    with _progress(args) as progress:
        if args.stage == "scenes":
            task = progress.add_task("drawing tours", total=args.count)
            last = args.first + args.count
            draw_shards(args.work / "examples", ExampleConfig(), args.first, last, lambda: progress.advance(task))
            return 0
        _check_begun(args)
        torch.set_num_threads(args.threads)
        task = progress.add_task(args.stage, total=1.0)

        def report(line: dict[str, Any]) -> None:
            progress.update(task, completed=min(line["progress"], 1.0), description=_in_short(args.stage, line))
            if args.json:
                print(json.dumps(line), flush=True)

        options = {"kinds": args.answers} if args.stage in ("reading", "answers") else {}
        options |= {"shown": args.shown} if args.stage == "answers" else {}
        getattr(stages, f"train_{args.stage}")(work, args.hours, report, **options)
    _draw(args)
    return 0


def _folder(args: argparse.Namespace) -> Path:
    """Give the folder of the stage's state."""
    from spatial_mllm_ros.training.answer_stage import answers_name

    return args.work / (answers_name(args.shown, args.seed) if args.stage == "answers" else args.stage)


def _check_numbers(args: argparse.Namespace) -> None:
    from spatial_mllm_ros.training.examples import FIRST_HELD_OUT, SHARD

    if not 0 < args.hours <= 1000 or args.count < 1 or args.threads < 1 or not 0 <= args.seed < 2**32:
        raise InputError(
            "--hours must lie in 0..1000, --count and --threads be at least 1, and --seed lie in 0..4294967295"
        )
    if args.first < 0 or args.first % SHARD:  # else a room could lie in two files: trained on, and checked with
        raise InputError(f"--first must be a multiple of {SHARD}, the number of tours in a file, not {args.first}")
    if args.first + args.count > FIRST_HELD_OUT:
        raise InputError(f"rooms from seed {FIRST_HELD_OUT} on are for testing; choose a smaller --first or --count")


def _check_begun(args: argparse.Namespace) -> None:
    folder = _folder(args)
    if (folder / "state.pt").is_file() and not args.resume:
        raise InputError(f"{folder} was begun already; give --resume to go on, or remove it")


def _in_short(stage: str, line: dict[str, Any]) -> str:
    return f"{stage}, step {line['step']}" + (f", loss {line['loss']:.3f}" if "loss" in line else "")


def _draw(args: argparse.Namespace) -> None:
    from spatial_mllm_ros.training.curves import draw_curves, read_log

    folder = _folder(args)
    picture = folder / "curves.svg"
    picture.write_text(draw_curves(f"train-small, stage {args.stage}", read_log(folder / "log.jsonl")), "utf-8")
    Console(stderr=True).print(f"curves: {picture}")


def _write(work: Any, args: argparse.Namespace) -> int:
    from spatial_mllm_ros.training.answer_stage import answers_name
    from spatial_mllm_ros.training.small_model import save_small_model
    from spatial_mllm_ros.training.workspace import load_stages

    if args.out is None:
        raise InputError("--stage write needs --out, the folder of the checkpoint")
    if args.out.exists():
        raise InputError(f"{args.out} exists already; choose another name or remove it")
    model = work.begin()
    answers = answers_name(args.shown, args.seed)
    stages = (*_TRAINED[:-1], answers)
    done = [stage for stage in stages if (work.folder / stage / "state.pt").is_file()]
    load_stages(model, work.folder, done)
    begun, is_trained = work.folder / "model", answers in done
    size_mb = save_small_model(model, begun, args.out, is_trained=is_trained, kinds=args.answers) / 1e6
    print(f"{args.out}: {size_mb:.1f} MB, trained: {', '.join(done) or 'nothing'}")
    if not is_trained:
        print("its language model has learnt nothing yet, so it says of itself that its answers mean nothing")
    return 0


def _progress(args: argparse.Namespace) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=args.json)
