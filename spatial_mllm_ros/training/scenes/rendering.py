"""Render a whole tour into arrays, with which object is to be seen when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.renderer import RoomRenderer
from spatial_mllm_ros.training.scenes.room import Room
from spatial_mllm_ros.training.scenes.tour import Tour

__all__ = ["RenderedTour", "render_tour"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedTour:
    """What a camera saw on a tour.

    Attributes:
        images: uint8 [T,H,W,3] RGB.
        depth_m: float32 [T,H,W], metres along the optical axis.
        furniture: int16 [T,H,W], index into `Room.furniture`; -1 for walls, floor and ceiling.
        intrinsics: float64 [3,3], pixels, pixel centres at integers (OpenCV).
        world_from_camera: float64 [T,4,4], axes x right, y down, z forward.
        times_s: float64 [T], since the start.
    """

    images: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    furniture: NDArray[np.int16]
    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]
    times_s: NDArray[np.float64]

    def visible_share(self, num_furniture: int) -> NDArray[np.float64]:
        """Return the share of each image that each piece of furniture covers: float64 [T,num_furniture]."""
        pixels = self.furniture[0].size
        counts = [np.bincount(view.ravel() + 1, minlength=num_furniture + 1)[1:] for view in self.furniture]
        return np.array(counts, np.float64) / pixels


def render_tour(
    room: Room, tour: Tour, renderer: RoomRenderer, on_frame: Callable[[int], object] = lambda _: None
) -> RenderedTour:
    """Render every pose of a tour.

    Args:
        room: what to show.
        tour: where from.
        renderer: its size and field of view are those of the images; may be used for one room after another.
        on_frame: called with the index of every frame rendered.
    """
    shape = (len(tour), renderer.height, renderer.width)
    images = np.empty((*shape, 3), np.uint8)
    depth_m, furniture = np.empty(shape, np.float32), np.empty(shape, np.int16)
    renderer.show(room)
    for index, pose in enumerate(tour.world_from_camera):
        images[index] = renderer.image(pose)
        depth_m[index], furniture[index] = renderer.geometry(pose)
        on_frame(index)
    return RenderedTour(
        images=images,
        depth_m=depth_m,
        furniture=furniture,
        intrinsics=renderer.intrinsics,
        world_from_camera=tour.world_from_camera,
        times_s=tour.times_s,
    )
