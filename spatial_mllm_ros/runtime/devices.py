"""Pick where the network runs, with which numbers, by what, and with which engines."""

from __future__ import annotations

import platform

from spatial_mllm_ros.errors import InputError

__all__ = ["pick_backend", "pick_device", "pick_dtype", "pick_spec"]


def pick_device(wanted: str) -> str:
    """Resolve "auto" to "cuda" if a CUDA GPU can be used, else "cpu".

    Raises:
        InputError: if a device is asked for that is not there or not known.
    """
    import torch  # here, so that `runtime` can be imported, and `doctor` run, without it

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise InputError(f'device must be "auto", "cpu", "cuda" or "cuda:N", not {wanted!r}') from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {wanted} is not there; `spatial-mllm doctor` says what is, and cpu always is")
    return wanted


def pick_dtype(wanted: str, device: str) -> str:
    """Resolve "auto" to "bfloat16" on a GPU (float16 overflows in the vision tower) and "float32" on a CPU."""
    if wanted != "auto":
        return wanted
    return "float32" if device.startswith("cpu") else "bfloat16"


def pick_backend(wanted: str, device: str) -> str:
    """Resolve "auto" to "tensorrt" on a GPU and "torch" on a CPU; torch serves where TensorRT cannot be had."""
    if wanted != "auto":
        return wanted
    return "torch" if device.startswith("cpu") else "tensorrt"


def pick_spec(wanted: str, device: str) -> str:
    """Resolve "auto" to the engine spec of the machine's class: "cpu", "desktop_rtx", "agx_orin" (ARM with a GPU)."""
    if wanted != "auto":
        return wanted
    if device.startswith("cpu"):
        return "cpu"
    return "agx_orin" if platform.machine() == "aarch64" else "desktop_rtx"
