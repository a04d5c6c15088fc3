"""Time and memory of every stage of the model, beside transformers' own Qwen2.5-VL with the same weights.

One run, in turns: each round runs every stage of ours, then the stages that transformers has. Its vision tower stands
against `encode_2d`, its language model against `prefill` and `decode`. It has no spatial encoder. Both compute logits
of the last position only. Memory is the most that a stage holds beyond what was held before it. On a machine that
others use as well, processor seconds compare better than those of the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from spatial_mllm_ros.bench.machine import describe_machine
from spatial_mllm_ros.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from spatial_mllm_ros.bench.stage_meter import Reading
    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["HELP", "add_arguments", "run"]

HELP = "time and memory per stage of the model, beside transformers' Qwen2.5-VL"

STAGES = ("preprocess", "encode_2d", "encode_spatial", "fuse", "prefill", "decode")
_QUESTION = "How many chairs are in this room?"
_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench model`."""
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="folder or hub id, with a tokenizer; a random model of about 300 million parameters if not given",
    )
    parser.add_argument("--frames", type=int, default=8, help="frames in one prefix; even (default: 8)")
    parser.add_argument("--size", default="252x196", metavar="WxH", help="in multiples of 28 (default: 252x196)")
    parser.add_argument("--tokens", type=int, default=16, help="tokens of one answer (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds after a first one (default: 3)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    parser.add_argument("--threads", type=int, help="torch's threads on the CPU; as torch chooses if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds to this file")


@dataclass(frozen=True, kw_only=True)
class _StageResult:
    """One stage of one side: medians over the rounds, and the seconds of every round."""

    stage: str
    side: str
    seconds: float
    cpu_seconds: float
    memory_mib: float | None
    rounds: tuple[float, ...]


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write JSON if asked to."""
    import torch

    from spatial_mllm_ros.bench.mid_size import write_mid_size
    from spatial_mllm_ros.model import load_spatial_mllm

    height, width = _size(args.size)
    if args.frames < 2 or args.frames % 2 or args.rounds < 1 or args.tokens < 2:
        raise InputError("bench model takes an even number of frames, at least one round and at least two tokens")
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="spatial_mllm_") as folder:
        if args.checkpoint is None:
            write_mid_size(Path(folder), height, width)
        model = load_spatial_mllm(args.checkpoint or folder, args.device, args.dtype)
    setup = {
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "frames": args.frames,
        "size": args.size,
        "dtype": args.dtype,
        "device": args.device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **describe_machine(),
    }
    results, agreement = _measure(model, args)
    _print(results, setup, agreement)
    if args.json:
        content = {**setup, **agreement, "stages": [asdict(result) for result in results]}
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _size(text: str) -> tuple[int, int]:
    """Read a size as height and width, pixels."""
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise InputError(f"--size is WxH, such as 252x196, not {text!r}") from None
    if height % 28 or width % 28 or min(height, width) < 28:
        raise InputError(f"--size must have sides that are multiples of 28, not {text!r}")
    return height, width


def _measure(model: SpatialMLLM, args: argparse.Namespace) -> tuple[list[_StageResult], dict[str, float]]:
    """Run all rounds, and say how far both sides differ in what they compute."""
    from spatial_mllm_ros.bench.stage_meter import StageMeter
    from spatial_mllm_ros.bench.ways import noise_images

    height, width = _size(args.size)
    images = noise_images(args.frames, (width, height))
    ours, theirs = _Ours(model, images, args.tokens), _Theirs(model, args.tokens)
    readings: dict[tuple[str, str], list[Reading]] = {}
    for number in range(args.rounds + 1):
        meter = StageMeter(model.device)
        for side, stages in (("ours", ours.stages()), ("transformers", theirs.stages(ours))):
            for stage, work in stages:
                reading = meter.measure(work)
                if number:
                    readings.setdefault((stage, side), []).append(reading)
    results = [_summary(stage, side, rounds) for (stage, side), rounds in readings.items()]
    return results, {"visual_difference": theirs.visual_difference, "logits_difference": theirs.logits_difference}


def _summary(stage: str, side: str, rounds: list[Reading]) -> _StageResult:
    memory = [reading.memory_bytes for reading in rounds if reading.memory_bytes is not None]
    seconds = tuple(reading.seconds for reading in rounds)
    return _StageResult(
        stage=stage,
        side=side,
        seconds=median(seconds),
        cpu_seconds=median(reading.cpu_seconds for reading in rounds),
        memory_mib=median(memory) / _MIB if memory else None,
        rounds=seconds,
    )


class _Ours:
    """One round of our stages; keeps what later stages and the other side need."""

    def __init__(self, model: SpatialMLLM, images: list, tokens: int) -> None:
        self.model, self.images, self.tokens = model, images, tokens

    def stages(self) -> Iterator[tuple[str, Callable[[], None]]]:
        return zip(
            STAGES, (self._preprocess, self._encode_2d, self._encode_spatial, self._fuse, self._prefill, self._decode)
        )

    def _preprocess(self) -> None:
        import torch

        self.inputs = self.model.visual_inputs(self.images)
        prompt = self.model.prompt
        ids = (prompt.prefix_ids(self.inputs.grid_thw), prompt.question_ids(_QUESTION))
        self.input_ids = torch.cat(ids, dim=1)

    def _encode_2d(self) -> None:
        self.visual = self.model.encode_2d(self.inputs.pixel_values, self.inputs.grid_thw)

    def _encode_spatial(self) -> None:
        self.spatial = self.model.encode_spatial(self.inputs.video)

    def _fuse(self) -> None:
        self.fused = self.model.fuse(self.visual, self.spatial, self.inputs.grid_thw)

    def _prefill(self) -> None:
        self.state = self.model.prefill(self.input_ids, fused=self.fused, grid_thw=self.inputs.grid_thw)
        self.logits = self.state.logits
        self.positions = self.state.positions

    def _decode(self) -> None:
        for _ in self.model.generate(self.state, max_new_tokens=self.tokens, stop_ids=()):
            pass


class _Theirs:
    """One round of the stages that transformers has, on the same inputs and weights."""

    def __init__(self, model: SpatialMLLM, tokens: int) -> None:
        from spatial_mllm_ros.bench.transformers_qwen import ReferenceText, ReferenceVision

        self.model, self.tokens = model, tokens
        self.vision = ReferenceVision(model.config.vision, model.network.visual)
        self.text = ReferenceText(model.config.text, model.network.model)
        self.visual_difference = self.logits_difference = 0.0

    def stages(self, ours: _Ours) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "encode_2d", lambda: self._encode_2d(ours)
        yield "prefill", lambda: self._prefill(ours)
        yield "decode", self._decode

    def _encode_2d(self, ours: _Ours) -> None:
        pixels = ours.inputs.pixel_values.to(self.model.device, self.model.dtype)
        visual = self.vision(pixels, [ours.inputs.grid_thw])
        self.visual_difference = _difference(visual, ours.visual)

    def _prefill(self, ours: _Ours) -> None:
        embeds = self.model.embed(ours.input_ids, ours.fused)
        hidden, self.past = self.text(embeds, ours.positions)
        self.logits = self.model.network.lm_head(hidden[:, -1]).detach()
        self.position = int(ours.positions.max()) + 1
        self.logits_difference = _difference(self.logits, ours.logits)

    def _decode(self) -> None:
        import torch

        for step in range(self.tokens - 1):  # like ours, the last token is chosen and not read
            token = self.logits.argmax(-1, keepdim=True)
            positions = torch.full((3, 1, 1), self.position + step, device=self.model.device)
            hidden, self.past = self.text(self.model.embed(token), positions, past=self.past)
            self.logits = self.model.network.lm_head(hidden[:, -1])


def _difference(one: Tensor, other: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((one - other).abs().max() / other.abs().max())


def _print(results: list[_StageResult], setup: dict[str, Any], agreement: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    by_key = {(result.stage, result.side): result for result in results}
    table = Table(box=None)
    for heading in ("stage", "ours, s", "CPU s", "MiB", "transformers, s", "CPU s", "MiB"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in STAGES:
        table.add_row(stage, *_cells(by_key[stage, "ours"]), *_cells(by_key.get((stage, "transformers"))))
    console = Console()
    console.print(", ".join(f"{name} {value}" for name, value in setup.items()))
    console.print(table)
    console.print(
        f"largest difference between both sides: {agreement['visual_difference']:.1e} of the 2D embeddings' largest "
        f"value, {agreement['logits_difference']:.1e} of the logits'"
    )


def _cells(result: _StageResult | None) -> tuple[str, str, str]:
    if result is None:
        return "-", "-", "-"
    memory = "-" if result.memory_mib is None else f"{result.memory_mib:.0f}"
    return f"{result.seconds:.3f}", f"{result.cpu_seconds:.3f}", memory
