"""`spatial-mllm export --spec S --checkpoint C`: write the encoders as ONNX, for whoever builds engines of them.

`build` does this by itself. Exit status 0 if all is written, 2 for bad input.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from dataclasses import asdict
from pathlib import Path

from spatial_mllm_ros.cli.engine_options import (
    CHECKPOINT_HELP,
    add_spec_arguments,
    folder_argument,
    mib,
    print_table,
    progress,
    spec_from,
)

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    parser.add_argument("--spec", required=True, metavar="SPEC", help="name of one in engines/, or path of a YAML file")
    parser.add_argument("--checkpoint", required=True, metavar="PATH", help=CHECKPOINT_HELP)
    parser.add_argument("--out", type=folder_argument, default=Path("onnx"), metavar="DIR", help="default: ./onnx")
    add_spec_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: argparse.Namespace) -> int:
    """Export every stage of the spec, and print what it took."""
    from spatial_mllm_ros.bench.full_size import checkpoint_at
    from spatial_mllm_ros.errors import InputError
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.runtime.onnx_export import export_encoder

    spec = spec_from(args)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{args.out}: cannot be made: {error.strerror}") from error
    written = []
    with checkpoint_at(args.checkpoint) as checkpoint, progress() as report:
        for stage in spec.stages:
            started = time.monotonic()
            report(f"loading {stage}")
            model = load_spatial_mllm(checkpoint, "cpu", spec.dtype, parts=(stage,))
            graph = export_encoder(model, stage, spec, args.out, report)
            seconds = time.monotonic() - started
            written.append({"stage": stage, **asdict(graph), "path": str(graph.path), "seconds": seconds})
            del model
            gc.collect()  # the next encoder's weights take their place
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if args.json:
        print(json.dumps({"spec": spec.model_dump(), "peak_host_bytes": peak_bytes, "graphs": written}, indent=2))
    else:
        _print(written, peak_bytes)
    return 0


def _print(written: list[dict], peak_bytes: int) -> None:
    rows = []
    for graph in written:
        data = Path(f"{graph['path']}.data")
        rows.append(
            (
                Path(graph["path"]).name,
                f"{graph['num_parameters'] / 1e6:.1f} M",
                mib(data.stat().st_size),
                f"{graph['seconds']:.1f} s",
                graph["sha256"][:16],
            )
        )
    print_table(("file", "numbers", "weights", "time", "sha256"), rows)
    print(f"in {Path(written[0]['path']).parent}; peak host memory {mib(peak_bytes)}")
