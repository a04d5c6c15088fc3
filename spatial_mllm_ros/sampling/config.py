"""What can be set about the live keyframe selector."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.parameters import check_parameters, param
from spatial_mllm_ros.sampling.picking import METHODS

__all__ = ["SelectorConfig"]


@dataclass(frozen=True, kw_only=True)
class SelectorConfig:
    """Parameters of `KeyframeSelector`.

    Raises:
        InputError: naming the first value outside its limits.
    """

    method: str = param(
        "space-aware",
        "How keyframes are picked: those that see the most space, at equal steps, or the newest",
        choices=METHODS,
        live=True,
    )
    num_keyframes: int = param(
        16, "Keyframes in one set; even, because the network merges them in pairs", ge=2, le=64, step=2
    )
    window_frames: int = param(128, "Most frames that are candidates at a time", ge=2, le=512)
    window_s: float = param(
        0.0, "Age in seconds, measured from the newest frame, at which a candidate leaves; 0: never", ge=0.0, live=True
    )
    window_bytes: int = param(1 << 30, "Most bytes of images, depth and voxels in the window", ge=1 << 20)
    window_policy: str = param(
        "recent",
        "Which candidate leaves a full window: the oldest, or (explore) the one whose space the others cover best",
        choices=("recent", "explore"),
        live=True,
    )
    voxel_size_m: float = param(
        0.2, "Side of a voxel in metres; not below the spacing of a map's points", ge=0.005, le=10.0
    )
    voxel_size_unscaled: float = param(
        0.05, "Side of a voxel for point maps without metric scale, in their own unit", ge=1e-6, le=1e6
    )
    confidence_percentile: float = param(
        50.0, "Percentile of a map's confidence below which its points do not count", ge=0.0, le=100.0
    )
    min_confidence: float = param(0.1, "Confidence at or below which a point does not count", ge=0.0)
    min_gain: float = param(
        0.03,
        "Share of voxels that a new set must see more than the present one to replace it; 0: any new set does",
        ge=0.0,
        le=1.0,
        live=True,
    )
    keep_newest: bool = param(
        False, "Always take the newest frame, for questions about what is in front of the camera now", live=True
    )
    newest_age_s: float = param(
        1.0,
        "Age in seconds, from the newest frame, at which a set is out of date (with keep_newest or without geometry), "
        "or its last pair of frames is no longer kept for its own sake",
        ge=0.0,
        live=True,
    )
    fill: bool = param(
        True, "Fill up to num_keyframes with frames spaced in time where fewer add space; else only to an even number"
    )

    def __post_init__(self) -> None:
        check_parameters(self)
