"""What the live selector gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.sampling.world_voxels import voxel_centres

__all__ = ["Selection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Keyframes, and how much of the window's space they see.

    Attributes:
        frames: the keyframes, in order of time; an even number, but for a window of one frame.
        indices: their positions in the window, ascending.
        order: the positions of those picked by the method, as picked. The others were filled in, spaced in time.
        gains: voxels that each of `order` adds to those before it.
        voxels: int64 [V], names of the voxels that the keyframes see together; `voxel_centres` says where they are.
        window_voxels: voxels that all frames of the window see together.
        voxel_size: side of a voxel, in the unit of the point maps.
        world_frame_id: the coordinate frame of the voxels; empty if no frame of the window has a point map.
        window_frames: number of frames in the window.
        version: grows by one when the set of keyframes changes.
        method: how they were picked: "space-aware", "uniform" or "recent". "uniform" is also what is done instead of
            "space-aware" while no frame of the window has a point map.
    """

    frames: tuple[Frame, ...]
    indices: tuple[int, ...]
    order: tuple[int, ...]
    gains: tuple[int, ...]
    voxels: NDArray[np.int64]
    window_voxels: int
    voxel_size: float
    world_frame_id: str
    window_frames: int
    version: int
    method: str

    @property
    def covered_voxels(self) -> int:
        """Number of voxels that the keyframes see together."""
        return len(self.voxels)

    @property
    def voxel_centres(self) -> NDArray[np.float32]:
        """Middle of each of `voxels`: float32 [V,3] in `world_frame_id`."""
        return voxel_centres(self.voxels, self.voxel_size)

    @property
    def coverage(self) -> float:
        """Share of the window's voxels that the keyframes see, in [0, 1]; 0 if there are none."""
        return self.covered_voxels / self.window_voxels if self.window_voxels else 0.0
