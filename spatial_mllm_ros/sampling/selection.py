"""What the live selector gives."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.frames.frame import Frame

__all__ = ["Selection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Keyframes, and how much of the window's space they see.

    Attributes:
        frames: the keyframes, in order of time; an even number, but for a window of one frame.
        indices: their positions in the window, ascending.
        order: the positions of those picked by the method, as picked. The others were filled in, spaced in time.
        gains: voxels that each of `order` adds to those before it.
        covered_voxels: voxels that the keyframes see together.
        window_voxels: voxels that all frames of the window see together.
        voxel_size: side of a voxel, in the unit of the point maps.
        window_frames: number of frames in the window.
        version: grows by one when the set of keyframes changes.
        method: how they were picked: "space-aware", "uniform" or "recent". "uniform" is also what is done instead of
            "space-aware" while no frame of the window has a point map.
    """

    frames: tuple[Frame, ...]
    indices: tuple[int, ...]
    order: tuple[int, ...]
    gains: tuple[int, ...]
    covered_voxels: int
    window_voxels: int
    voxel_size: float
    window_frames: int
    version: int
    method: str

    @property
    def coverage(self) -> float:
        """Share of the window's voxels that the keyframes see, in [0, 1]; 0 if there are none."""
        return self.covered_voxels / self.window_voxels if self.window_voxels else 0.0
