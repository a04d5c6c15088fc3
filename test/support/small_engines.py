"""An engine spec for the small random model on a CPU, and one cache for all tests of a run: exporting takes seconds."""

from __future__ import annotations

from pathlib import Path

from spatial_mllm_ros.runtime.spec import EngineSpec

SPEC = EngineSpec(
    description="small random model on a CPU",
    runtime="onnxruntime",
    target="cpu",
    height=84,
    width=112,
    num_keyframes=4,
    dtype="float32",
    opset=20,
    device_memory_budget_mib=1024,
)


def folder_of_engines(tmp_path_factory) -> Path:
    """The cache that all test modules of this run share."""
    return tmp_path_factory.getbasetemp() / "small_engines"


def write_spec(folder: Path) -> Path:
    """Write the spec as a YAML file."""
    path = folder / "small.yaml"
    fields = SPEC.model_dump(exclude={"stages"})
    path.write_text("\n".join(f"{name}: {value}" for name, value in fields.items()))
    return path
