"""What can run a network on this machine: found once, in one place, without loading more than it takes to know."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt

__all__ = ["Finding", "probe_onnxruntime", "probe_tensorrt", "probe_torch"]


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


def probe_torch() -> tuple[Finding, Finding]:
    """Look for torch, and for a CUDA GPU that it can use."""
    get_torch = "pip install torch (on a Jetson: NVIDIA's wheel for your JetPack)"
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        missing = Finding(part="torch", is_found=False, detail=str(error), is_needed=True, fix=get_torch)
        return missing, Finding(part="CUDA GPU", is_found=False, detail="torch is missing", fix=get_torch)
    found = Finding(part="torch", is_found=True, detail=torch.__version__, is_needed=True)
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        major, minor = torch.cuda.get_device_capability()
        detail = f"{name}, sm_{major}{minor}, CUDA {torch.version.cuda}"
        return found, Finding(part="CUDA GPU", is_found=True, detail=detail)
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    fix = "nothing to do without an NVIDIA GPU; with one, install its driver and a CUDA build of torch"
    return found, Finding(part="CUDA GPU", is_found=False, detail=f"none; torch is built for {built_for}", fix=fix)


def probe_tensorrt() -> tuple[Finding, ...]:
    """Look for both flavours of TensorRT."""
    findings = []
    for flavour in ("tensorrt", "tensorrt_rtx"):
        try:
            version = find_tensorrt(flavour).version
        except DependencyError as error:
            reason, _, fix = str(error).partition("; ")
            findings.append(Finding(part=flavour, is_found=False, detail=reason, fix=fix))
        else:
            findings.append(Finding(part=flavour, is_found=True, detail=version))
    return tuple(findings)


def probe_onnxruntime() -> Finding:
    """Look for ONNX Runtime and what it can run on."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except (ImportError, OSError) as error:
        return Finding(part="ONNX Runtime", is_found=False, detail=str(error), fix="pip install onnxruntime")
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    return Finding(part="ONNX Runtime", is_found=True, detail=f"{onnxruntime.__version__} ({providers})")
