"""Say what an engine would be built from and for on this machine, so that the cache can find it again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.engine_cache import EngineKey
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

__all__ = ["driver_version", "engine_key"]

_DRIVERS = (  # where Linux says it: a desktop's kernel module, and a Jetson's board support package
    (Path("/proc/driver/nvidia/version"), re.compile(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s")),
    (Path("/etc/nv_tegra_release"), re.compile(r"# (R\d+ \(release\), REVISION: [\d.]+)")),
)


def engine_key(stage: Stage, onnx_sha256: str, spec: EngineSpec, tensorrt: TensorRT, *, cuda: Any = None) -> EngineKey:
    """Put together the key of an engine.

    Args:
        stage: which encoder.
        onnx_sha256: of the ONNX graph and its weights.
        spec: its `target` is "native" for this machine's GPU, or a compute capability.
        tensorrt: the flavour that builds.
        cuda: the module that knows the GPU; `torch.cuda` but for tests without one.

    Raises:
        EngineError: if the target is this machine's GPU and there is none.
    """
    cuda = torch.cuda if cuda is None else cuda
    gpu, capability, driver = "any", spec.target, "any"
    if spec.target == "native":
        if not cuda.is_available():
            raise EngineError(
                f"{tensorrt.flavour} has no GPU here that torch can use; an engine for another machine needs a target "
                "such as sm_89"
            )
        major, minor = cuda.get_device_capability()
        gpu, capability, driver = cuda.get_device_name(), f"sm_{major}{minor}", driver_version()
    return EngineKey(
        stage=stage,
        onnx_sha256=onnx_sha256,
        spec_sha256=spec.sha256,
        builder=tensorrt.flavour,
        builder_version=tensorrt.version,
        gpu=gpu,
        compute_capability=capability,
        driver=driver,
    )


def driver_version() -> str:
    """Return the version of NVIDIA's driver as Linux tells it; "unknown" if it does not."""
    for path, pattern in _DRIVERS:
        try:
            found = pattern.search(path.read_text(errors="replace"))
        except OSError:
            continue
        if found:
            return found[1]
    return "unknown"
