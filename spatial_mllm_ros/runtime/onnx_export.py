"""Write an encoder's graph as ONNX: strongly typed, static shapes, weights in one file beside it.

Takes a loaded model, a stage and a spec; writes `<stage>.onnx` and `<stage>.onnx.data`. Weights are written one at a
time from where the model holds them, so an export needs little more memory than the model itself. Nothing of the
machine gets into the files: the same weights, spec and libraries give the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from spatial_mllm_ros.errors import DependencyError, EngineError, InputError
from spatial_mllm_ros.runtime.graphs import EncoderGraph, encoder_graph, example_inputs
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["ExportedGraph", "export_encoder"]

_TABLE_BYTES = 1 << 20  # constants up to this size are kept once; weights are larger, or differ
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ExportedGraph:
    """An encoder on disk.

    Attributes:
        path: the ONNX file; its weights lie beside it, in `<path>.data`.
        sha256: over graph and weights.
        num_parameters: numbers in the weights, constants included.
    """

    path: Path
    sha256: str
    num_parameters: int


def export_encoder(
    model: SpatialMLLM,
    stage: Stage,
    spec: EngineSpec,
    folder: Path,
    progress: Callable[[str], object] | None = None,
) -> ExportedGraph:
    """Export one encoder, and have the files checked by ONNX's checker and shape inference.

    Args:
        model: loaded on the CPU in the spec's dtype; what is not part of the encoder is not read.
        stage: which encoder.
        spec: shapes, dtype and operator set.
        folder: where to; must exist.
        progress: told each step, in words.

    Raises:
        DependencyError: if torch or onnx cannot export here.
        InputError: if the model has another dtype than the spec.
        EngineError: if the exporter or ONNX's checker fails, with its own last words.
    """
    tell = progress or (lambda step: None)
    wanted = getattr(torch, spec.dtype)
    if model.dtype != wanted:
        raise InputError(f"{model.name} was loaded as {model.dtype}, and the spec says {spec.dtype}")
    onnx = _library()
    tell(f"tracing {stage}")
    program = _trace(encoder_graph(model, stage, spec), example_inputs(stage, spec), spec.opset)
    _tidy(program.model)
    path = folder / f"{stage}.onnx"
    tell(f"writing {path.name}")
    program.save(str(path), external_data=True)
    constants = list(program.model.graph.initializers.values())
    num_parameters = sum(value.const_value.size for value in constants)
    tell(f"checking {path.name}")
    try:
        onnx.checker.check_model(str(path), full_check=True)  # by path, as protobuf ends at 2 GB; infers shapes too
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EngineError(f"{path} is not valid ONNX: {_first_line(error)}") from error
    return ExportedGraph(path=path, sha256=_sha256(path), num_parameters=num_parameters)


def _library() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter imports it
    except ImportError as error:
        raise DependencyError(f"exporting needs ONNX ({error}); pip install onnx onnxscript") from error
    return onnx


def _trace(graph: EncoderGraph, example: torch.Tensor, opset: int) -> Any:
    with _quiet(), torch.no_grad():
        try:
            return torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=opset,
                input_names=[graph.input_name],
                output_names=[graph.output_name],
                verbose=False,
            )
        except Exception as error:  # the exporter raises types of its own and of the libraries below it
            reason = _first_line(error)
            raise EngineError(f"torch {torch.__version__} cannot export {graph.stage}: {reason}") from error


def _tidy(model: Any) -> None:
    """Drop paths and line numbers of this machine, and keep tables once that every layer got a copy of."""
    from onnx_ir.passes import common

    common.DeduplicateInitializersPass(size_limit=_TABLE_BYTES)(model)
    common.ClearMetadataAndDocStringPass()(model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling what it did not find; what goes wrong it raises."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for part in (path, path.with_name(f"{path.name}.data")):
        with part.open("rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):  # noqa: B023 - called within the loop
                digest.update(chunk)
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
