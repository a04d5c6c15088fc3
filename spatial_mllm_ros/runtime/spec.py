"""Engine specs: which encoders to compile, for which shapes, numbers and machine. One YAML file per machine class.

Takes a YAML file from `engines/` (or a path); gives a frozen, checked `EngineSpec`. Knows neither torch nor TensorRT.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spatial_mllm_ros.errors import EngineError, InputError

__all__ = ["EngineSpec", "Stage", "changed_spec", "default_specs_folder", "list_specs", "load_spec"]

Stage = Literal["encoder_2d", "spatial_encoder"]
_MIB = 1 << 20
_PATCHES_MERGED = 28  # a side in pixels must hold whole 2x2 groups of 14-pixel patches


class EngineSpec(BaseModel):
    """What to compile, as one YAML file says it. All shapes are static (DESIGN.md, decision 5).

    Raises:
        pydantic.ValidationError: on construction, if a field is missing, unknown or out of its limits; `load_spec`
            turns it into an `InputError` that names the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field(description="one line: the machine class and what was assumed of it")
    runtime: Literal["tensorrt", "tensorrt_rtx", "onnxruntime"] = Field(description="what runs the encoders")
    target: str = Field(description="native (this machine's GPU), a compute capability such as sm_89, or cpu")
    stages: tuple[Stage, ...] = Field(default=("encoder_2d", "spatial_encoder"), description="encoders to compile")
    height: int = Field(ge=28, le=1540, description="frame height, pixels; a multiple of 28")
    width: int = Field(ge=28, le=1540, description="frame width, pixels; a multiple of 28")
    num_keyframes: int = Field(ge=2, le=32, description="frames in one pass; even, since frames are merged in pairs")
    dtype: Literal["bfloat16", "float16", "float32"] = Field(description="numbers of weights and activations")
    opset: int = Field(ge=17, le=24, description="ONNX operator set; 23 has attention as one operator")
    device_memory_budget_mib: int = Field(ge=64, description="most memory one engine may need besides weights, MiB")

    @field_validator("height", "width")
    @classmethod
    def _whole_patch_groups(cls, side: int) -> int:
        if side % _PATCHES_MERGED:
            raise ValueError(f"must be a multiple of {_PATCHES_MERGED}, not {side}")
        return side

    @field_validator("num_keyframes")
    @classmethod
    def _even(cls, count: int) -> int:
        if count % 2:
            raise ValueError(f"must be even, not {count}")
        return count

    @field_validator("target")
    @classmethod
    def _known_target(cls, target: str) -> str:
        if target not in ("native", "cpu") and not (target.startswith("sm_") and target[3:].isdigit()):
            raise ValueError(f'must be "native", "cpu" or a compute capability such as "sm_89", not {target!r}')
        return target

    @model_validator(mode="after")
    def _dtype_fits(self) -> EngineSpec:
        if (self.target == "cpu") != (self.runtime == "onnxruntime"):
            raise ValueError('target "cpu" goes with runtime "onnxruntime", and every other target with TensorRT')
        if self.target == "cpu" and self.dtype != "float32":
            raise ValueError("ONNX Runtime on a CPU runs float32 only")
        if self.runtime == "tensorrt_rtx" and self.dtype == "float32" and self.opset >= 23:
            raise ValueError("TensorRT-RTX has no float32 kernel for opset 23's attention; use opset 20")
        return self

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) over what shapes the engine: every field but the description."""
        fields = self.model_dump(exclude={"description"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def require_memory(self, stage: Stage, num_bytes: int, library: str) -> None:
        """Refuse an engine that needs more device memory than the spec allows.

        Raises:
            EngineError: naming stage, need and budget.
        """
        if num_bytes > self.device_memory_budget_mib * _MIB:
            raise EngineError(
                f"the engine of {stage} needs {num_bytes / _MIB:.0f} MiB besides weights, its spec allows "
                f"{self.device_memory_budget_mib}; {library} has not fused its attention"
            )


def load_spec(name_or_path: str | Path, folder: Path) -> EngineSpec:
    """Read a spec by its name in `folder` ("agx_orin") or by the path of a YAML file.

    Raises:
        InputError: if there is no such spec, or a field of it is wrong; names the file and the field.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = folder / f"{name_or_path}.yaml"
    try:
        fields = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        known = ", ".join(list_specs(folder)) or "none"
        raise InputError(f"there is no engine spec {path}; specs in {folder}: {known}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{path} must hold a mapping of fields, such as `height: 476`")
    return _checked(fields, str(path))


def changed_spec(spec: EngineSpec, **changes: object) -> EngineSpec:
    """Give a copy with other values, checked as a file's are.

    Raises:
        InputError: if a value is wrong, or does not go with the others.
    """
    return _checked({**spec.model_dump(), **changes}, f"{spec.description}, with {changes}")


def _checked(fields: dict, source: str) -> EngineSpec:
    try:
        return EngineSpec(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'spec'}: {e['msg']}" for e in error.errors())
        raise InputError(f"{source}: {faults}") from error


def default_specs_folder() -> Path:
    """Return the folder of the specs that come with the package: `engines/` here, or `share/` of where it is installed.

    Raises:
        InputError: if it is in neither place.
    """
    for parent in Path(__file__).resolve().parents:
        for folder in (parent / "engines", parent / "share" / "spatial_mllm_ros" / "engines"):
            if (folder / "cpu.yaml").is_file():
                return folder
    raise InputError("the engine specs are not installed; give the path of a YAML file")


def list_specs(folder: Path) -> list[str]:
    """Return the names of the specs in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))
