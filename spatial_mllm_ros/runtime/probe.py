"""What can run a network on this machine: found once, in one place, without loading more than it takes to know."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt

__all__ = ["Finding", "probe_runtimes"]

_GET_TORCH = "pip install torch (on a Jetson: NVIDIA's wheel for your JetPack)"
_GET_CUDA = "nothing to do without an NVIDIA GPU; with one, install its driver and a CUDA build of torch"
_GET_ONNXRUNTIME = "pip install onnxruntime"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one part.

    Attributes:
        part: its name.
        is_found: it is there and can be used.
        detail: version and what matters about it; or what was wrong.
        is_needed: the demo does not run without it.
        fix: how to get it, in one line; empty if it is there.
    """

    part: str
    is_found: bool
    detail: str
    is_needed: bool = False
    fix: str = ""


@functools.cache
def probe_runtimes() -> tuple[Finding, ...]:
    """Look for torch, a CUDA GPU that it can use, both flavours of TensorRT, and ONNX Runtime.

    The first call imports those that are there, which takes seconds; later ones return the same findings. It never
    raises: a library that is broken is a finding.
    """
    return (*_torch(), _tensorrt("tensorrt"), _tensorrt("tensorrt_rtx"), _onnxruntime())


def _torch() -> Iterator[Finding]:
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken library may raise anything when it is imported
        yield Finding(part="torch", is_found=False, detail=_reason(error), is_needed=True, fix=_GET_TORCH)
        yield Finding(part="CUDA GPU", is_found=False, detail="torch is missing", fix=_GET_TORCH)
        return
    yield Finding(part="torch", is_found=True, detail=torch.__version__, is_needed=True)
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    try:
        if torch.cuda.is_available():
            major, minor = torch.cuda.get_device_capability()
            detail = f"{torch.cuda.get_device_name()}, sm_{major}{minor}, {built_for}"
            yield Finding(part="CUDA GPU", is_found=True, detail=detail)
            return
        trouble = "none"
    except RuntimeError as error:  # a driver that does not fit, say
        trouble = _reason(error)
    yield Finding(part="CUDA GPU", is_found=False, detail=f"{trouble}; torch is built for {built_for}", fix=_GET_CUDA)


def _tensorrt(flavour: str) -> Finding:
    try:
        return Finding(part=flavour, is_found=True, detail=find_tensorrt(flavour).version)
    except DependencyError as error:
        reason, _, fix = str(error).partition("; ")
        return Finding(part=flavour, is_found=False, detail=reason, fix=fix)
    except Exception as error:  # a broken library may raise anything when it is imported
        return Finding(part=flavour, is_found=False, detail=_reason(error), fix=f"install {flavour} anew")


def _onnxruntime() -> Finding:
    part = "ONNX Runtime"
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    except Exception as error:  # as above
        return Finding(part=part, is_found=False, detail=_reason(error), fix=_GET_ONNXRUNTIME)
    return Finding(part=part, is_found=True, detail=f"{onnxruntime.__version__} for {', '.join(providers)}")


def _reason(error: Exception) -> str:
    """Return the first line of an error, or its type if it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
