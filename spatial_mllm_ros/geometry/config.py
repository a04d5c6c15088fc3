"""What can be set about point maps."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["PROVIDERS", "GeometryConfig"]

PROVIDERS = ("auto", "depth", "vggt", "none")


@dataclass(frozen=True, kw_only=True)
class GeometryConfig:
    """Parameters of the point map providers.

    Raises:
        InputError: naming the first value outside its limits, or two that contradict each other.
    """

    provider: str = param(
        "auto",
        "Where point maps come from: depth (depth image and pose), vggt (the network), none; auto: the best there is",
        choices=PROVIDERS,
    )
    grid_width: int = param(50, "Columns of the grid that point maps are subsampled to; rows follow", ge=4, le=2048)
    min_depth_m: float = param(0.1, "Depth in metres below which a measurement does not count", ge=0.0)
    max_depth_m: float = param(8.0, "Depth in metres above which a measurement does not count", ge=0.1)
    chunk_frames: int = param(16, "Frames that VGGT sees at a time, those of the chunk before included", ge=2, le=128)
    overlap_frames: int = param(4, "Frames of the chunk before that VGGT sees again, to align both", ge=1, le=64)
    max_residual: float = param(
        0.1, "Typical misfit of an aligned chunk, as a share of its extent, above which it has failed", ge=0.0, le=1.0
    )
    min_baseline_m: float = param(
        0.1, "Travel in metres within a chunk below which odometry says nothing about its scale", ge=0.0
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.min_depth_m >= self.max_depth_m:
            raise InputError(
                f"parameter min_depth_m must be below max_depth_m, not {self.min_depth_m} and {self.max_depth_m}"
            )
        if self.overlap_frames >= self.chunk_frames:
            raise InputError(
                f"parameter overlap_frames must be below chunk_frames, not {self.overlap_frames} "
                f"and {self.chunk_frames}"
            )
