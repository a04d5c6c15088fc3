"""Both encoders on the CPU: torch against ONNX Runtime, in turns in one run, on the same stored images.

Each round runs every encoder once by each side, so that whatever else the machine does meets both. Processor seconds
stand beside those of the clock: on a machine that others use as well, they compare better.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from spatial_mllm_ros.bench.machine import describe_machine
from spatial_mllm_ros.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from spatial_mllm_ros.runtime.encoder import Encoder
    from spatial_mllm_ros.runtime.spec import EngineSpec

__all__ = ["HELP", "add_arguments", "run"]

HELP = "both encoders on the CPU, torch against ONNX Runtime"
SIDES = ("torch", "onnxruntime")
# frames, height and width of the two models that are measured if none is named
_SIZES = {"random-small": (4, 84, 112), "mid-size": (8, 196, 252)}


@dataclass(frozen=True, kw_only=True)
class _Result:
    """One encoder of one model; the times are one for each round."""

    model: str
    stage: str
    seconds: dict[str, list[float]]
    processor_seconds: dict[str, list[float]]

    def ratio(self, times: dict[str, list[float]]) -> float:
        """ONNX Runtime's median over torch's; below 1 it is faster."""
        return median(times["onnxruntime"]) / median(times["torch"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench encoders`."""
    parser.add_argument("--model", nargs="+", choices=tuple(_SIZES), default=list(_SIZES), help="default: both")
    parser.add_argument("--rounds", type=int, default=7, help="rounds after a first one (default: 7)")
    parser.add_argument("--opset", type=int, default=20, help="ONNX operator set (default: 20)")
    parser.add_argument("--threads", type=int, help="threads of both sides; as torch chooses if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds to this file")


def run(args: argparse.Namespace) -> int:
    """Measure, print medians and ratios, and write all rounds if asked to."""
    import torch

    if args.rounds < 1 or (args.threads is not None and args.threads < 1):
        raise InputError("--rounds and --threads must be at least 1")
    if args.threads:
        torch.set_num_threads(args.threads)
    results = [result for name in args.model for result in _measure(name, args)]
    machine = {**describe_machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    _print(results)
    if args.json:
        args.json.write_text(json.dumps({**machine, "encoders": [asdict(result) for result in results]}, indent=2))
    return 0


def _measure(name: str, args: argparse.Namespace) -> Iterator[_Result]:
    from spatial_mllm_ros.model import ENCODERS, load_spatial_mllm
    from spatial_mllm_ros.runtime.graphs import encoder_graph
    from spatial_mllm_ros.runtime.onnx_export import export_encoder
    from spatial_mllm_ros.runtime.onnxruntime_encoder import OnnxRuntimeEncoder
    from spatial_mllm_ros.runtime.parity import stored_inputs
    from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

    spec = _spec(name, args.opset)
    with _checkpoint(name) as checkpoint, tempfile.TemporaryDirectory() as folder:
        model = load_spatial_mllm(checkpoint, parts=ENCODERS)
        for stage in spec.stages:
            graph = export_encoder(model, stage, spec, Path(folder))
            sides = {
                "torch": TorchEncoder(encoder_graph(model, stage, spec)),
                "onnxruntime": OnnxRuntimeEncoder(graph.path),
            }
            yield _in_turns(name, stage, sides, stored_inputs(stage, spec)[0][1], args.rounds)


def _in_turns(name: str, stage: str, sides: dict[str, Encoder], inputs: Tensor, rounds: int) -> _Result:
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    processor: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds + 1):
        for side in SIDES if number % 2 else SIDES[::-1]:
            taken, used = _timed(lambda side=side: sides[side](inputs))
            if number:  # the first round warms up
                seconds[side].append(taken)
                processor[side].append(used)
    return _Result(model=name, stage=stage, seconds=seconds, processor_seconds=processor)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def _spec(name: str, opset: int) -> EngineSpec:
    from spatial_mllm_ros.runtime.spec import changed_spec, default_specs_folder, load_spec

    frames, height, width = _SIZES[name]
    spec = load_spec("cpu", default_specs_folder())
    return changed_spec(spec, num_keyframes=frames, height=height, width=width, opset=opset)


@contextmanager
def _checkpoint(name: str) -> Iterator[str]:
    from spatial_mllm_ros.bench.mid_size import write_mid_size

    if name != "mid-size":
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        write_mid_size(Path(folder), *_SIZES[name][1:])
        yield folder


def _print(results: list[_Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    headings = ("model", "encoder", "torch", "ONNX Runtime", "ratio", "ratio of processor seconds")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index > 1 else "left")
    for result in results:
        medians = (f"{median(result.seconds[side]) * 1000:.1f} ms" for side in SIDES)
        ratios = (f"{result.ratio(times):.2f}" for times in (result.seconds, result.processor_seconds))
        frames, height, width = _SIZES[result.model]
        table.add_row(f"{result.model}, {frames} x {width}x{height}", result.stage, *medians, *ratios)
    console = Console()
    console.width = max(console.width, 120)  # a narrower terminal wraps lines rather than numbers
    console.print(table, highlight=False)
