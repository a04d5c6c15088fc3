"""`spatial-mllm verify --spec S`: the encoders of a spec, run on this machine, against torch.

With a GPU, the spec's own engines are built if they are not there, run and compared. The exported graphs are compared
on the CPU on every machine, in float32 by ONNX Runtime, which shows that the export is right and nothing of an engine.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from spatial_mllm_ros.cli.engine_options import print_table, progress, spec_from

if TYPE_CHECKING:
    from spatial_mllm_ros.runtime.parity import Parity
    from spatial_mllm_ros.runtime.spec import EngineSpec

__all__ = ["verify_engines"]

_MAX_BYTES = 16 << 30


def verify_engines(args: argparse.Namespace) -> int:
    """Compare, print, and return 0 if all is within its tolerance, else 1.

    Raises:
        SpatialMLLMError: if the spec or the checkpoint is of no use, or a library is missing.
    """
    from spatial_mllm_ros.bench.full_size import checkpoint_at
    from spatial_mllm_ros.cli.verify import versions
    from spatial_mllm_ros.runtime import pick_device
    from spatial_mllm_ros.runtime.verification import verify_export

    spec, device = spec_from(args), pick_device(args.device)
    problem = not_run = ""
    with checkpoint_at(args.checkpoint) as checkpoint, progress() as report:
        parities = verify_export(checkpoint, spec, report)
        if spec.runtime != "onnxruntime" and device == "cpu":
            not_run = f"the engines of {spec.runtime} were not run: there is no GPU that torch can use"
        elif spec.runtime != "onnxruntime":
            found, problem = _on_gpu(checkpoint, spec, device, args, report)
            parities += found
    passed = not problem and all(parity.passed for parity in parities)
    if args.json:
        result = {"passed": passed, "problem": problem, "not_run": not_run, **versions()}
        rows = [{**vars(parity), "tolerance": vars(parity.tolerance)} for parity in parities]
        print(json.dumps({**result, "spec": spec.model_dump(), "stages": rows}, indent=2))
    else:
        _print(parities, problem, not_run)
    return 0 if passed else 1


def _on_gpu(checkpoint: str, spec: EngineSpec, device: str, args, report) -> tuple[list[Parity], str]:
    """Build what is missing, run the engines and compare; also say why they could not be run."""
    from spatial_mllm_ros.model import ENCODERS, load_spatial_mllm
    from spatial_mllm_ros.runtime.backends import open_encoders
    from spatial_mllm_ros.runtime.engine_cache import default_cache_folder
    from spatial_mllm_ros.runtime.preparation_process import PreparationProcess

    opened = open_encoders(
        load_spatial_mllm(checkpoint, device, spec.dtype, parts=ENCODERS),
        spec,
        "tensorrt",
        folder=args.engines or default_cache_folder(),
        max_bytes=_MAX_BYTES,
        prepare=lambda wanted: PreparationProcess().run(wanted, report),
        report=report,
    )
    return list(opened.parities), opened.problem


def _print(parities: list[Parity], problem: str, not_run: str) -> None:
    rows = [
        (
            parity.stage,
            parity.backend,
            parity.input_name,
            f"{parity.cosine:.7f}",
            f"{parity.tolerance.cosine}",
            f"{parity.largest_relative_error:.1e}",
            f"{parity.tolerance.relative_error:.0e}",
            "yes" if parity.is_finite else "NO",
            "[green]ok[/]" if parity.passed else "[red]FAILED[/]",
        )
        for parity in parities
    ]
    headings = ("encoder", "run by", "worst input", "cosine", "at least", "relative error", "at most", "finite", "")
    print_table(headings, rows)
    for line in filter(None, (problem, not_run)):
        print(line)
