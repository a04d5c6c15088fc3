"""What runs the encoders, and where engines are kept: declared once."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["RuntimeConfig"]


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Which backend runs the encoders.

    Raises:
        InputError: naming the first value outside its limits.
    """

    backend: str = param(
        "auto",
        "What runs the encoders: auto is tensorrt on a GPU and torch on a CPU; torch serves where another fails",
        choices=("auto", "torch", "onnxruntime", "tensorrt"),
    )
    spec: str = param(
        "auto", "Engine spec: the name of one in engines/, or the path of a YAML file; auto takes the machine's class"
    )
    engine_folder: str = param(
        "", "Folder for engines, readable by this user alone; empty: ~/.cache/spatial_mllm_ros/engines"
    )
    cache_gib: float = param(
        16.0, "Most space for engines in that folder, GiB; what was not used for longest goes", ge=0.01, le=1024.0
    )
    builds: bool = param(True, "Export and build what is missing, beside the node; false takes what is there or torch")

    def __post_init__(self) -> None:
        check_parameters(self)
