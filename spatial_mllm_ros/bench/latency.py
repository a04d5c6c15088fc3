"""How long a question takes: the straightforward pipeline, ours cold, ours warm, ours warm under load.

Same weights, frames and questions, in one process and in turns. The straightforward pipeline encodes, prefills with
logits for every token and generates through transformers for each question. Ours cold does all of that too, then
answers; warm has the visual prefix ready. Under load (on its own, after the turns) the next keyframes are encoded
beside the answer without a pause. Peak memory is measured in processes of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spatial_mllm_ros.bench.bar_chart import Bar, Group, draw_bar_chart
from spatial_mllm_ros.bench.machine import describe_machine
from spatial_mllm_ros.bench.peak_memory import measure_peak_memory
from spatial_mllm_ros.errors import InputError

if TYPE_CHECKING:
    from spatial_mllm_ros.bench.plain_pipeline import TimedAnswer
    from spatial_mllm_ros.bench.ways import Way
    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["HELP", "add_arguments", "run"]

HELP = "time to first token and peak memory: straightforward pipeline, ours cold, ours warm"

_MID = "mid"
_IN_TURNS = ("plain", "cold", "warm")
_TABLE_WIDTH = 130  # columns; a narrower terminal wraps lines rather than hiding figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench latency`."""
    parser.add_argument(
        "--models",
        nargs="+",
        default=[_MID, "small"],
        metavar="MODEL",
        help="checkpoints; mid is a random model of 300 million parameters (default: mid small)",
    )
    parser.add_argument("-k", "--num-keyframes", type=int, default=16, metavar="K", help="default: 16")
    parser.add_argument("--size", default="252x196", metavar="WxH", help="of frames, for mid (default: 252x196)")
    parser.add_argument("--max-new-tokens", type=int, default=32, metavar="N", help="tokens per answer (default: 32)")
    parser.add_argument("--rounds", type=int, default=3, help="turns, each with three questions (default: 3)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of torch on a CPU (default: its choice)")
    parser.add_argument("--out", type=Path, default=Path("out/latency"), metavar="DIR", help="default: out/latency")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write latency.json and latency.svg."""
    import torch
    import transformers

    from spatial_mllm_ros.bench.ways import parse_size

    if args.threads:
        torch.set_num_threads(args.threads)
    size = parse_size(args.size)
    if args.num_keyframes < 2 or args.num_keyframes % 2 or args.rounds < 1:
        raise InputError("keyframes must be even and at least 2, and rounds at least 1")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    result: dict[str, Any] = {
        "machine": {**describe_machine(), **versions, "torch_threads": torch.get_num_threads()},
        "num_keyframes": args.num_keyframes,
        "max_new_tokens": args.max_new_tokens,
        "models": [],
    }
    with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
        for name in args.models:
            with _checkpoint(name, size) as path:
                result["models"].append({"name": name, **_measure(path, size, args, progress)})
    _write(result, args.out)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result, args.out)
    return 0


def _measure(path: str, size: tuple[int, int], args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from spatial_mllm_ros.bench.ways import QUESTIONS, WAYS, Loaded, noise_images
    from spatial_mllm_ros.model import load_spatial_mllm

    model = load_spatial_mllm(path)
    images = noise_images(args.num_keyframes, size)
    task = progress.add_task("in turns", total=(args.rounds + 1) * len(QUESTIONS) + len(_IN_TURNS) - 1)
    with contextlib.ExitStack() as stack:
        ways = {name: WAYS[name](model, images, args.max_new_tokens) for name in _IN_TURNS}
        for way in ways.values():
            stack.callback(way.close)
        answers = _ask_in_turns(ways, args.rounds, lambda: progress.advance(task))
    loaded = Loaded(model, images, args.max_new_tokens)
    with contextlib.closing(loaded):
        answers["loaded"] = _ask_in_turns({"loaded": loaded}, args.rounds, lambda: None)["loaded"]
    peaks = {}
    for name in ("plain", "cold"):
        progress.update(task, description=f"peak memory, {name}", advance=1)
        peak = measure_peak_memory(
            name,
            path,
            num_keyframes=args.num_keyframes,
            size=size,
            max_new_tokens=args.max_new_tokens,
            threads=args.threads,
        )
        peaks[name] = asdict(peak)
    same = all(
        len({answers[name][index].text for name in _IN_TURNS}) == 1 for index in range(len(answers["plain"]))
    )
    return {
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "visual_tokens": _visual_tokens(model, images),
        "same_words": same,
        "ways": {name: _summary(told, answers["plain"]) for name, told in answers.items()},
        "peak_memory": peaks,
    }


def _ask_in_turns(
    ways: dict[str, Way], rounds: int, on_question: Callable[[], object]
) -> dict[str, list[TimedAnswer]]:
    """Ask every question of every way, `rounds` times; a round before these warms up and is not counted."""
    from spatial_mllm_ros.bench.ways import QUESTIONS

    answers: dict[str, list[TimedAnswer]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for question in QUESTIONS:
            for name, way in ways.items():
                answer = way.ask(question)
                if number > 0:
                    answers[name].append(answer)
            on_question()
    return answers


def _summary(answers: list[TimedAnswer], plain: list[TimedAnswer]) -> dict[str, Any]:
    summary: dict[str, Any] = {"num_answers": len(answers), "num_tokens": sum(a.num_tokens for a in answers)}
    for name in ("first_token_s", "total_s"):
        seconds = [getattr(answer, name) for answer in answers]
        ratio = median(getattr(answer, name) for answer in plain) / median(seconds)
        summary[name] = {"median": median(seconds), "min": min(seconds), "max": max(seconds), "plain_by_this": ratio}
    return summary


def _visual_tokens(model: SpatialMLLM, images: list[NDArray[np.uint8]]) -> int:
    pairs, rows, columns = model.visual_inputs(images).grid_thw
    return pairs * rows * columns // model.config.merged_patches


@contextlib.contextmanager
def _checkpoint(name: str, size: tuple[int, int]) -> Iterator[str]:
    """Give the path of a checkpoint, one that is made for the time being for "mid"."""
    if name != _MID:
        yield name
        return
    from spatial_mllm_ros.bench.mid_size import write_mid_size

    with tempfile.TemporaryDirectory(prefix="spatial_mllm_mid_") as folder:
        write_mid_size(Path(folder), height=size[1], width=size[0])
        yield folder


def _write(result: dict[str, Any], folder: Path) -> None:
    from spatial_mllm_ros.bench.ways import WAYS

    groups = []
    for model in result["models"]:
        about = f"{model['name']}, {model['parameters'] / 1e6:.0f} M parameters, {model['visual_tokens']} visual tokens"
        for key, what in (("first_token_s", "seconds to the first token"), ("total_s", "seconds to the end")):
            bars = [
                Bar(WAYS[name].label, way[key]["median"], f"{way[key]['median']:.3f} s ({_times(way[key])})")
                for name, way in model["ways"].items()
            ]
            groups.append(Group(f"{about}: {what}", bars))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "latency.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        title = f"A question about {result['num_keyframes']} keyframes, on {result['machine']['processor']}"
        (folder / "latency.svg").write_text(draw_bar_chart(title, groups), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error


def _print(result: dict[str, Any], folder: Path) -> None:
    from spatial_mllm_ros.bench.ways import WAYS

    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(", ".join(f"{key} {value}" for key, value in result["machine"].items()), highlight=False)
    for model in result["models"]:
        about = f"{model['name']}: {model['parameters'] / 1e6:.1f} M parameters, {model['visual_tokens']} visual tokens"
        table = Table(title=about, title_justify="left", box=None)
        for heading in ("", "first token, s", "(min .. max)", "ratio", "end, s", "(min .. max)", "ratio", "peak, MiB"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for name, way in model["ways"].items():
            cells = [WAYS[name].label]
            for key in ("first_token_s", "total_s"):
                times = way[key]
                cells += [f"{times['median']:.4f}", f"({times['min']:.4f} .. {times['max']:.4f})", _times(times)]
            peak = model["peak_memory"].get(name)
            cells.append("" if peak is None else f"{peak['peak_bytes'] / 2**20:.0f}")
            table.add_row(*cells)
        console.print()
        console.print(table)
        same = "the same words" if model["same_words"] else "DIFFERENT words"
        before = ", ".join(f"{peak['before_bytes'] / 2**20:.0f}" for peak in model["peak_memory"].values())
        console.print(f"All ways in turns say {same}. Resident before the question: {before} MiB.", highlight=False)
    console.print(f"\nSee {folder / 'latency.json'} and {folder / 'latency.svg'}", highlight=False)


def _times(times: dict[str, float]) -> str:
    return f"{times['plain_by_this']:.3g}x"
