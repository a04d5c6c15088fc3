"""What can be set about the node itself, and all configs of all stages together."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from spatial_mllm_ros.frames import AssemblerConfig, BufferConfig, DecodingConfig, GateConfig
from spatial_mllm_ros.geometry import GeometryConfig
from spatial_mllm_ros.parameters import ParameterSpec, check_parameters, param, parameter_specs
from spatial_mllm_ros.reasoning import ReasonerConfig
from spatial_mllm_ros.runtime.config import RuntimeConfig
from spatial_mllm_ros.sampling import SelectorConfig

__all__ = ["Config", "ModelSelection", "NodeConfig", "all_parameters"]


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """What belongs to the node alone."""

    autostart: bool = param(True, "Configure and activate at the start; false waits for a lifecycle manager")
    image_transport: str = param(
        "raw",
        "Form of the colour topic: raw reads ~/image, compressed reads ~/image/compressed",
        choices=("raw", "compressed"),
    )
    depth_transport: str = param(
        "raw",
        "Form of the depth topic: raw reads ~/depth, compressedDepth reads ~/depth/compressedDepth",
        choices=("raw", "compressedDepth"),
    )
    publish_coverage: bool = param(True, "Publish the voxels that the keyframes see on ~/coverage", live=True)
    diagnostics_period_s: float = param(1.0, "Time between two messages on /diagnostics, s", ge=0.1, le=60.0)
    camera_timeout_s: float = param(
        2.0, "Time without an image after which the camera is reported as silent, s", ge=0.1, le=600.0, live=True
    )

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, kw_only=True)
class ModelSelection:
    """Which network is loaded, and onto what."""

    checkpoint: str = param(
        "small", "A checkpoint folder, a Hugging Face id, or small (ships with the package, knows generated rooms)"
    )
    device: str = param("auto", "Where the network runs: auto takes a CUDA GPU if there is one, cpu, cuda or cuda:N")
    dtype: str = param(
        "auto",
        "Numbers of the network: auto takes bfloat16 on a GPU and float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The configs of all stages. A parameter `<prefix>.<field>` belongs to the part whose metadata has that prefix."""

    node: NodeConfig = field(default_factory=NodeConfig, metadata={"prefix": ""})
    buffer: BufferConfig = field(default_factory=BufferConfig, metadata={"prefix": "frames"})
    decoding: DecodingConfig = field(default_factory=DecodingConfig, metadata={"prefix": "frames"})
    gate: GateConfig = field(default_factory=GateConfig, metadata={"prefix": "frames"})
    assembler: AssemblerConfig = field(default_factory=AssemblerConfig, metadata={"prefix": "frames"})
    geometry: GeometryConfig = field(default_factory=GeometryConfig, metadata={"prefix": "geometry"})
    sampling: SelectorConfig = field(default_factory=SelectorConfig, metadata={"prefix": "sampling"})
    model: ModelSelection = field(default_factory=ModelSelection, metadata={"prefix": "model"})
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig, metadata={"prefix": "runtime"})
    reasoning: ReasonerConfig = field(default_factory=ReasonerConfig, metadata={"prefix": "reasoning"})

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Config:
        """Build and check a config from parameter values by full name; those not given keep their defaults.

        Raises:
            InputError: naming the first value that is not allowed.
        """
        parts = {}
        for part in fields(cls):
            prefix, kind = part.metadata["prefix"], part.default_factory
            names = {spec.name: _full_name(prefix, spec.name) for spec in parameter_specs(kind)}
            parts[part.name] = kind(**{name: values[full] for name, full in names.items() if full in values})
        return cls(**parts)


def all_parameters() -> dict[str, ParameterSpec]:
    """Return every parameter by its full ROS name, in the order of the stages."""
    return {
        _full_name(part.metadata["prefix"], spec.name): spec
        for part in fields(Config)
        for spec in parameter_specs(part.default_factory)
    }


def _full_name(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
