"""What a generated room is: an outline with openings, furniture in its place, and how it is painted and lit.

World frame: metres, z up, origin on the floor in the middle of the room's bounding rectangle, walls along x and y.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.footprints import FloorMap, area_of, corners_of
from spatial_mllm_ros.training.scenes.shapes import Colour, Part

__all__ = ["Furniture", "Light", "Opening", "Room"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Furniture:
    """A piece of furniture in its place.

    Attributes:
        category: its name, such as "chair".
        look: which of its category's looks it has.
        centre: world x, y, z of the middle of its box, metres; it stands on the floor.
        size: its box along its own x (to its front), y and z, metres.
        yaw: world_from_local rotation about z, radians.
        parts: its primitives, in the world.
    """

    category: str
    look: int
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    parts: tuple[Part, ...]

    def corners(self, margin_m: float = 0.0) -> NDArray[np.float64]:
        """Return the corners of its footprint, grown by a margin: float64 [4,2] in the world."""
        return corners_of(self.centre, self.size, self.yaw, margin_m)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A door or a window.

    Attributes:
        kind: "door" or "window".
        wall: index of the outline's edge that it is in.
        middle: along that edge from its first corner, metres.
        width, bottom, top: metres; heights above the floor.
    """

    kind: str
    wall: int
    middle: float
    width: float
    bottom: float
    top: float


@dataclass(frozen=True, kw_only=True)
class Light:
    """How a room is lit: colours are strengths in [0, 1], `direction` is that in which daylight shines."""

    ambient: Colour
    daylight: Colour
    lamp: Colour
    direction: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """A furnished room.

    Attributes:
        seed, split: what it was drawn from.
        outline: float64 [n,2], corners counter-clockwise seen from above; 4 for a rectangle, 6 for an L.
        height: metres.
        openings: doors and windows.
        furniture: what stands in it; an object's id is its index here.
        structure: walls, floor, ceiling and what is fixed to them, as primitives in the world.
        light: how it is lit.
    """

    seed: int
    split: str
    outline: NDArray[np.float64]
    height: float
    openings: tuple[Opening, ...]
    furniture: tuple[Furniture, ...]
    structure: tuple[Part, ...]
    light: Light

    @property
    def area_m2(self) -> float:
        """Floor area, square metres."""
        return area_of(self.outline)

    def counts(self) -> dict[str, int]:
        """Return how many pieces there are of each category that is there, by name."""
        return dict(sorted(Counter(piece.category for piece in self.furniture).items()))

    def floor_map(self) -> FloorMap:
        """Return where a robot fits."""
        return FloorMap(self.outline, [piece.corners() for piece in self.furniture])
