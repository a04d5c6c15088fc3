"""Verify what is exported for a spec: ONNX Runtime on the CPU against torch, in float32, one encoder at a time.

What a graph computes can be shown on any machine; what an engine computes, on its GPU only (`backends` does that before
an engine serves). Memory is that of one encoder, since torch has answered and gone before ONNX Runtime loads.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path

from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.runtime.graphs import encoder_graph
from spatial_mllm_ros.runtime.onnx_export import export_encoder
from spatial_mllm_ros.runtime.onnxruntime_encoder import OnnxRuntimeEncoder
from spatial_mllm_ros.runtime.parity import Parity, compare, stored_inputs, worst
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage, changed_spec
from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

__all__ = ["cpu_spec", "verify_export"]


def cpu_spec(spec: EngineSpec) -> EngineSpec:
    """Give the spec as a CPU can run it: ONNX Runtime, float32; shapes, stages and operator set stay."""
    return changed_spec(spec, runtime="onnxruntime", target="cpu", dtype="float32")


def verify_export(checkpoint: str, spec: EngineSpec, report: Callable[[str], object]) -> list[Parity]:
    """Export a spec's encoders in float32 to a temporary folder, and compare ONNX Runtime with torch.

    Args:
        checkpoint: see `load_spatial_mllm`.
        spec: which encoders and shapes, and which operator set.
        report: told each step, in words.

    Returns:
        one for each stage: that of its worst input.

    Raises:
        SpatialMLLMError: if the checkpoint cannot be read, or an encoder not exported or run.
    """
    return [_verify_stage(checkpoint, stage, cpu_spec(spec), report) for stage in spec.stages]


def _verify_stage(checkpoint: str, stage: Stage, spec: EngineSpec, report: Callable[[str], object]) -> Parity:
    inputs = stored_inputs(stage, spec)
    with tempfile.TemporaryDirectory(prefix="spatial_mllm_verify_") as folder:
        report(f"loading {stage}")
        model = load_spatial_mllm(checkpoint, "cpu", spec.dtype, parts=(stage,))
        path = export_encoder(model, stage, spec, Path(folder), report).path
        report(f"running {stage} with torch")
        reference = TorchEncoder(encoder_graph(model, stage, spec))
        expected = [reference(values) for _, values in inputs]
        del model, reference
        gc.collect()
        report(f"running {stage} with ONNX Runtime")
        encoder = OnnxRuntimeEncoder(path)
        return worst(compare(encoder, name, values, wanted) for (name, values), wanted in zip(inputs, expected))
