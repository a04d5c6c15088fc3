"""`spatial-mllm ask INPUT QUESTION...`: answer questions about a bag, a video or a folder of images, without ROS.

Candidates at equal steps, blurred and unmoved ones replaced by the next good one; the keyframes that see the most
space; one visual prefix; then each question in turn from it, streamed. Exit status 0 if all were answered, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.frames import Frame, FrameGate, GateConfig, open_source
from spatial_mllm_ros.geometry import GeometryConfig, PointMapProvider, choose_provider
from spatial_mllm_ros.geometry.config import PROVIDERS
from spatial_mllm_ros.sampling import METHODS, KeyframeSelector, Selection, SelectorConfig

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.reasoning import Answer, Reasoner, VisualPrefix

__all__ = ["add_arguments", "run"]

_LOOKS_PER_CANDIDATE = 4  # images decoded for each candidate, so that a blurred one has a stand-in
_NUM_STAGES = 6  # of encoding keyframes
_WINDOW_BYTES = 1 << 40  # a recording's candidates are bounded in number, by the user
_UNTRAINED = "the model has random weights: its answers mean nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ask`."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="bag, video or folder of images")
    parser.add_argument("questions", nargs="+", metavar="QUESTION", help="plain words")
    parser.add_argument(
        "--checkpoint",
        default="small",
        metavar="PATH",
        help="folder, hub id, or small (default), which ships with the package and knows generated rooms",
    )
    parser.add_argument("--device", default="auto", help="where the network runs: auto, cpu, cuda or cuda:N")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    parser.add_argument("-k", "--num-keyframes", type=int, default=16, metavar="K", help="even (default: 16)")
    parser.add_argument("--method", choices=METHODS, default="space-aware", help="how keyframes are picked")
    parser.add_argument(
        "--geometry",
        choices=PROVIDERS,
        default="auto",
        help="where point maps come from: depth and pose, the checkpoint's VGGT, or none (default: the best there is)",
    )
    parser.add_argument("--candidates", type=int, default=128, metavar="N", help="frames to choose from (default: 128)")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="where to begin in the recording, s")
    parser.add_argument("--duration", type=float, metavar="S", help="how much of it to use, s (default: all)")
    parser.add_argument("--topic", metavar="NAME", help="colour topic of a bag (default: found by its type and name)")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="longest answer (default: 128)")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="S", help="deadline of a question, s")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    """Read, encode, answer."""
    from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner, ReasonerConfig

    if any(not question.strip() for question in args.questions):
        raise InputError("a question is empty")
    config = ReasonerConfig(max_new_tokens=args.max_new_tokens, timeout_s=args.timeout)
    selector_config = SelectorConfig(
        method=args.method,
        num_keyframes=args.num_keyframes,
        window_frames=args.candidates,
        window_bytes=_WINDOW_BYTES,
    )
    console = Console(stderr=True)
    with Progress(console=console, disable=args.json, transient=True) as progress:
        frames = _read_candidates(args, progress)
        model, provider = _load(args, frames)
        selector = KeyframeSelector(selector_config)
        selection = _select(selector, frames, provider, progress)
        reasoner = Reasoner(model, selector, config=config)
        encoding = progress.add_task("encoding keyframes", total=_NUM_STAGES)
        prefix = reasoner.serve(selection, lambda stage: progress.update(encoding, advance=1, description=stage))
    seen = _Seen(args.input, len(frames), provider.name if provider else None, prefix)
    with reasoner:
        if not model.is_trained:
            print(f"spatial-mllm ask: {_UNTRAINED}", file=sys.stderr)
        if not args.json:
            _print_keyframes(seen)
        answers = [_ask(reasoner, question, args.json) for question in args.questions]
    if args.json:
        print(json.dumps(_as_json(seen, model, answers), indent=2, ensure_ascii=False))
    return 0 if all(answer.status == AnswerStatus.OK for answer in answers) else 1


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the answers rest on."""

    path: Path
    num_candidates: int
    geometry: str | None
    prefix: VisualPrefix

    @property
    def coverage(self) -> float | None:
        """Share of the candidates' space that the keyframes see; None if unknown."""
        selection = self.prefix.selection
        return selection.coverage if selection.window_voxels else None


def _read_candidates(args: argparse.Namespace, progress: Progress) -> list[Frame]:
    """Read at most `args.candidates` frames at equal steps; images in between are decoded only where needed."""
    span = {"start_s": args.start, "duration_s": args.duration, "topic": args.topic}
    with open_source(args.input, **span) as reader:
        stride = max(1, reader.len_hint // (args.candidates * _LOOKS_PER_CANDIDATE))
    gate = FrameGate(GateConfig(max_rate_hz=0.0))
    frames: list[Frame] = []
    with open_source(args.input, **span, stride=stride) as reader:
        step = max(1.0, reader.len_hint / args.candidates)
        due = 0.0
        description = f"reading {reader.name}"
        for index, frame in enumerate(progress.track(reader, total=reader.len_hint, description=description)):
            if index >= due and len(frames) < args.candidates and gate.accept(frame):
                frames.append(frame)
                due = max(due, index - step) + step
    if len(frames) < 2:
        counts = ", ".join(f"{count} {reason}" for reason, count in gate.counts.items()) or "there is no frame"
        raise InputError(f"{args.input}: {len(frames)} frames are of use, at least 2 are needed ({counts})")
    return frames


def _load(args: argparse.Namespace, frames: Sequence[Frame]) -> tuple[SpatialMLLM, PointMapProvider | None]:
    """Load the model, with VGGT's geometry heads if point maps must come from them."""
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.runtime import pick_device, pick_dtype

    has_depth = any(frame.depth_m is not None and frame.intrinsics is not None for frame in frames)
    has_pose = any(frame.world_from_camera is not None for frame in frames)
    device = pick_device(args.device)
    options = {"device": device, "dtype": pick_dtype(args.dtype, device)}
    wants_vggt = args.method == "space-aware" and not (has_depth and has_pose)
    model = None
    if args.geometry == "vggt":
        model = load_spatial_mllm(args.checkpoint, **options, geometry=True)
    elif args.geometry == "auto" and wants_vggt:
        try:
            model = load_spatial_mllm(args.checkpoint, **options, geometry=True)
        except CheckpointError:  # without heads; if it is for another reason, loading without them says so
            print("spatial-mllm ask: neither depth with poses nor VGGT's heads: no geometry", file=sys.stderr)
    model = model or load_spatial_mllm(args.checkpoint, **options)
    is_of_use = model.has_geometry and (model.is_trained or args.geometry == "vggt")
    predict = model.predict_geometry if is_of_use else None
    provider = choose_provider(
        GeometryConfig(provider=args.geometry), has_depth=has_depth, has_pose=has_pose, predict=predict
    )
    return model, provider


def _select(
    selector: KeyframeSelector, frames: Sequence[Frame], provider: PointMapProvider | None, progress: Progress
) -> Selection:
    maps = [None] * len(frames)
    if provider is not None:
        size = len(frames) if provider.name == "vggt" else 1  # VGGT cuts its chunks itself
        pieces = [frames[start : start + size] for start in range(0, len(frames), size)]
        tracked = progress.track(pieces, description=f"point maps from {provider.name}")
        maps = [point_map for piece in tracked for point_map in provider.point_maps(piece)]
    for frame, point_map in zip(frames, maps, strict=True):
        selector.add(frame, point_map)
    return selector.select()


def _ask(reasoner: Reasoner, question: str, is_quiet: bool) -> Answer:
    from spatial_mllm_ros.reasoning import AnswerStatus

    stream = reasoner.ask(question)
    if not is_quiet:
        print(f"\nquestion   {_printable(question)}\nanswer     ", end="", flush=True)
        for piece in stream:
            print(_printable(piece), end="", flush=True)
        print()
    answer = stream.result()
    if answer.status == AnswerStatus.INVALID_QUESTION:
        raise InputError(answer.message)
    if not is_quiet:
        print(f"status     {answer.status.name} {answer.message}".rstrip())
        print(f"time, ms   {_milliseconds(_own_times(answer))}")
    return answer


def _print_keyframes(seen: _Seen) -> None:
    selection = seen.prefix.selection
    first_ns = selection.frames[0].stamp_ns
    since = ", ".join(f"{(frame.stamp_ns - first_ns) / 1e9:.1f}" for frame in selection.frames[1:])
    coverage = "unknown"
    if seen.coverage is not None:
        coverage = f"{seen.coverage:.0%} of the space that the candidates see"
    count = f"{len(selection.frames)} of {seen.num_candidates} candidates"
    print(f"keyframes  {count} from {seen.path}, {selection.method}")
    print(f"           the first at {first_ns / 1e9:.2f} s, the others {since} s later")
    print(f"coverage   {coverage} (geometry: {seen.geometry or 'none'})")
    print(f"time, ms   {_milliseconds(seen.prefix.stage_times)}")


def _as_json(seen: _Seen, model: SpatialMLLM, answers: Sequence[Answer]) -> dict[str, Any]:
    selection = seen.prefix.selection
    return {
        "input": str(seen.path),
        "model": model.name,
        "meaningful": model.is_trained,
        "note": "" if model.is_trained else _UNTRAINED,
        "method": selection.method,
        "geometry": seen.geometry,
        "num_candidates": seen.num_candidates,
        "keyframe_stamps_ns": [frame.stamp_ns for frame in selection.frames],
        "coverage": seen.coverage,
        "encode_times_s": {stage.removeprefix("prefix_"): seconds for stage, seconds in seen.prefix.stage_times},
        "answers": [
            {
                "question": answer.question,
                "answer": answer.text,
                "status": answer.status.name,
                "message": answer.message,
                "num_tokens": answer.num_tokens,
                "stage_times_s": dict(_own_times(answer)),
            }
            for answer in answers
        ],
    }


def _own_times(answer: Answer) -> list[tuple[str, float]]:
    """Stages of the answer, without those of the prefix that all answers share."""
    return [(stage, seconds) for stage, seconds in answer.stage_times if not stage.startswith("prefix_")]


def _milliseconds(times: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{stage.removeprefix('prefix_')} {1e3 * seconds:.1f}" for stage, seconds in times)


def _printable(text: str) -> str:
    """Keep a model's words from steering the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
