"""The small random model's encoders as ONNX, each exported once in a run: an export takes seconds."""

from __future__ import annotations

from pathlib import Path

from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.runtime.graphs import encoder_graph
from spatial_mllm_ros.runtime.onnx_export import ExportedGraph, export_encoder
from spatial_mllm_ros.runtime.spec import EngineSpec, changed_spec, default_specs_folder, load_spec
from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

STAGES = ("encoder_2d", "spatial_encoder")
SMALL = {"height": 84, "width": 112, "num_keyframes": 4}  # windows of two sizes, two pairs of frames


def small_spec(name: str) -> EngineSpec:
    """A spec of the package for frames of the small model."""
    return changed_spec(load_spec(name, default_specs_folder()), **SMALL)


class ExportedEncoders:
    """Exports on demand, and keeps what was exported."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._graphs, self._models = folder, {}, {}

    def graph(self, stage: str, spec: EngineSpec) -> ExportedGraph:
        key = (stage, spec.dtype, spec.opset)
        if key not in self._graphs:
            folder = self._folder / "-".join(map(str, key))
            folder.mkdir(parents=True)
            self._graphs[key] = export_encoder(self.model(spec.dtype), stage, spec, folder)
        return self._graphs[key]

    def model(self, dtype: str):
        if dtype not in self._models:
            self._models[dtype] = load_spatial_mllm("random-small", dtype=dtype)
        return self._models[dtype]

    def reference(self, stage: str, spec: EngineSpec) -> TorchEncoder:
        return TorchEncoder(encoder_graph(self.model(spec.dtype), stage, spec))
