"""What makes point maps, and which of them to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.geometry.config import GeometryConfig
from spatial_mllm_ros.geometry.depth import DepthProvider
from spatial_mllm_ros.geometry.point_map import PointMap
from spatial_mllm_ros.geometry.vggt import VggtPrediction, VggtProvider

__all__ = ["DepthElseVggt", "PointMapProvider", "choose_provider"]

_PATIENCE_FRAMES = 30  # without depth, before none is taken to come


class PointMapProvider(Protocol):
    """Says where the pixels of frames lie in the world.

    Attributes:
        name: short name for reports.
    """

    name: str

    def point_maps(self, frames: Sequence[Frame]) -> list[PointMap | None]:
        """Make a point map of each frame, in order of time; None where that cannot be done."""

    def clear(self) -> None:
        """Forget the frames so far, as after a jump back in time."""


class DepthElseVggt:
    """Makes point maps of depth where it comes, and by the network where it stays away.

    For a live camera, where nobody can tell beforehand what will come. Frames without depth get no map at first; after
    30 of them in a row the network takes over, in a world of its own unless there is odometry, until depth comes.
    """

    def __init__(self, depth: DepthProvider, vggt: VggtProvider) -> None:
        self._depth, self._vggt = depth, vggt
        self.clear()

    @property
    def name(self) -> str:
        """What made the newest maps: "depth" or "vggt"."""
        return "depth" if self._frames_since_depth < _PATIENCE_FRAMES else "vggt"

    def point_maps(self, frames: Sequence[Frame]) -> list[PointMap | None]:
        """Make a point map of each frame, in order of time; None where that cannot be done."""
        maps = self._depth.point_maps(frames)
        if any(point_map is not None for point_map in maps):
            if self.name == "vggt":
                self._vggt.clear()  # what it has seen is of another world
            self._frames_since_depth = 0
            return maps
        self._frames_since_depth += len(frames)
        return maps if self.name == "depth" else self._vggt.point_maps(frames)

    def clear(self) -> None:
        """Forget the frames so far."""
        self._frames_since_depth = 0
        self._vggt.clear()


def choose_provider(
    config: GeometryConfig,
    *,
    has_depth: bool,
    has_pose: bool,
    predict: Callable[[NDArray[np.uint8]], VggtPrediction] | None,
) -> PointMapProvider | None:
    """Make the provider that the configuration asks for; for "auto", the best that the inputs allow.

    Args:
        config: `provider` and its limits.
        has_depth: depth images and intrinsics are there, or sure to come.
        has_pose: camera poses are there, or sure to come.
        predict: runs VGGT, or None if it is not loaded.

    Returns:
        The provider; None for "none", and for "auto" if there is nothing to make point maps from.

    Raises:
        InputError: if a provider is asked for by name and lacks an input.
    """
    lacking = [name for name, is_there in (("depth with intrinsics", has_depth), ("poses", has_pose)) if not is_there]
    if config.provider == "depth" and lacking:
        raise InputError(
            f"geometry from depth needs depth with intrinsics, and poses; there are no {' and no '.join(lacking)}"
        )
    if config.provider == "vggt" and predict is None:
        raise InputError("geometry from VGGT needs a checkpoint with VGGT's geometry heads; none is loaded")
    if config.provider == "depth" or (config.provider == "auto" and not lacking):
        return DepthProvider(config)
    if predict is not None and config.provider in ("auto", "vggt"):
        return VggtProvider(predict, config)
    return None
