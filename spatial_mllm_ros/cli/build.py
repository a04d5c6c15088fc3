"""`spatial-mllm build --spec S --checkpoint C`: export the encoders and build engines of them, before the first start.

What is there already is kept. Engines for this machine's GPU are compared with torch at once; engines for another GPU
(`--target sm_89`) are compared by the machine that has it, before they serve. Exit status 0 if all engines are there
(and right, where that could be seen), 1 if one cannot be built or is wrong, 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import TYPE_CHECKING

from spatial_mllm_ros.cli.engine_options import (
    CHECKPOINT_HELP,
    add_spec_arguments,
    folder_argument,
    mib,
    print_table,
    progress,
    spec_from,
)
from spatial_mllm_ros.errors import EngineError, InputError

if TYPE_CHECKING:
    from spatial_mllm_ros.runtime.preparation import Preparation
    from spatial_mllm_ros.runtime.spec import EngineSpec
    from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

__all__ = ["add_arguments", "run"]

_GIB = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `build`."""
    parser.add_argument("--spec", required=True, metavar="SPEC", help="name of one in engines/, or path of a YAML file")
    parser.add_argument("--checkpoint", required=True, metavar="PATH", help=CHECKPOINT_HELP)
    parser.add_argument("--target", metavar="SM", help="compute capability such as sm_89, instead of the spec's")
    parser.add_argument(
        "--engines", type=folder_argument, metavar="DIR", help="engine folder; the node's own if not given"
    )
    parser.add_argument("--cache-gib", type=float, default=16.0, metavar="X", help="most space for engines there (16)")
    add_spec_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print what was built as JSON")


def run(args: argparse.Namespace) -> int:
    """Export, build, print what it took, and compare with torch if the GPU is here."""
    from spatial_mllm_ros.bench.full_size import checkpoint_at
    from spatial_mllm_ros.runtime.engine_key import engine_key
    from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt, known_fault

    spec = spec_from(args, target=args.target)
    if spec.runtime == "onnxruntime":
        raise InputError(
            f"{args.spec} is for ONNX Runtime, which needs no engines; `spatial-mllm export` writes graphs"
        )
    tensorrt = find_tensorrt(spec.runtime)
    tensorrt.check_target(spec.target)
    engine_key("encoder_2d", "", spec, tensorrt)  # says at once if the target is a GPU that is not here
    fault = known_fault(f"{tensorrt.flavour} {tensorrt.version}")
    if fault:
        print(f"spatial-mllm build: warning: {fault}", file=sys.stderr)
    with checkpoint_at(args.checkpoint) as checkpoint, progress() as report:
        try:
            wanted, seconds = _prepare(checkpoint, spec, args, report)
        except EngineError as error:
            print(f"spatial-mllm build: {error}", file=sys.stderr)
            return 1
        built = _built(wanted, tensorrt)
        problem = _prove(wanted, checkpoint, spec, args, report) if spec.target == "native" else ""
    _print(args, spec, tensorrt, built, seconds)
    if problem:
        print(f"spatial-mllm build: {problem}", file=sys.stderr)
    return 1 if problem else 0


def _prepare(checkpoint: str, spec: EngineSpec, args: argparse.Namespace, report) -> tuple[Preparation, float]:
    from spatial_mllm_ros.model import ENCODERS, load_spatial_mllm
    from spatial_mllm_ros.runtime.engine_cache import default_cache_folder
    from spatial_mllm_ros.runtime.graph_store import weights_sha256
    from spatial_mllm_ros.runtime.preparation import Preparation
    from spatial_mllm_ros.runtime.preparation_process import PreparationProcess

    report(f"reading {args.checkpoint}")
    started = time.monotonic()
    wanted = Preparation(
        checkpoint=checkpoint,
        weights_sha256=weights_sha256(load_spatial_mllm(checkpoint, "cpu", spec.dtype, parts=ENCODERS), spec.dtype),
        spec=spec,
        folder=args.engines or default_cache_folder(),
        max_bytes=int(args.cache_gib * _GIB),
    )
    PreparationProcess().run(wanted, report)
    return wanted, time.monotonic() - started


def _built(wanted: Preparation, tensorrt: TensorRT) -> list[dict]:
    """Look the engines up in the cache, which proves them by their hashes, and give what it took to build them."""
    from spatial_mllm_ros.runtime.engine_cache import CacheMiss, EngineCache
    from spatial_mllm_ros.runtime.engine_key import engine_key

    store, cache = wanted.graphs(), EngineCache(wanted.folder, wanted.max_bytes)
    built = []
    for stage in wanted.spec.stages:
        graph = store.find(wanted.graph_key(stage))
        key = engine_key(stage, graph.sha256 if graph else "", wanted.spec, tensorrt)
        engine = cache.load(key)
        if isinstance(engine, CacheMiss):
            raise EngineError(f"{engine.reason}; is --cache-gib large enough for all engines?")
        built.append({"stage": stage, "path": str(engine.path), **engine.details})
    return built


def _prove(wanted: Preparation, checkpoint: str, spec: EngineSpec, args: argparse.Namespace, report) -> str:
    from spatial_mllm_ros.model import ENCODERS, load_spatial_mllm
    from spatial_mllm_ros.runtime.backends import open_encoders

    model = load_spatial_mllm(checkpoint, "cuda", spec.dtype, parts=ENCODERS)
    opened = open_encoders(
        model, spec, "tensorrt", folder=wanted.folder, max_bytes=wanted.max_bytes, report=report, prepare=None
    )
    return opened.problem


def _print(args: argparse.Namespace, spec: EngineSpec, tensorrt: TensorRT, built: list[dict], seconds: float) -> None:
    peak_bytes = (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) << 10
    )
    library = f"{tensorrt.flavour} {tensorrt.version}"
    if args.json:
        result = {"library": library, "seconds": seconds, "peak_host_bytes": peak_bytes, "engines": built}
        print(json.dumps({**result, "spec": spec.model_dump()}, indent=2))
        return
    rows = [
        (
            engine["stage"],
            f"{engine['seconds']:.1f} s",
            mib(engine["engine_bytes"]),
            mib(engine["activation_bytes"]),
            f"{spec.device_memory_budget_mib} MiB",
            str(engine["num_layers"]),
        )
        for engine in built
    ]
    print_table(("engine", "built in", "size", "device memory besides", "allowed", "layers"), rows)
    for engine in built:
        print(engine["path"])
    print(f"{library}, {spec.target}; in all {seconds:.1f} s, peak host memory {mib(peak_bytes)}")
    if spec.target != "native":
        print(f"Not run here: a machine with {spec.target} compares them with torch before they serve.")
