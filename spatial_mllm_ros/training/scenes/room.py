"""Rooms: a floor plan with furniture that does not overlap, drawn from a seed.

World frame: metres, x and y along the walls, z up, origin on the floor in the middle of the room.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.catalogue import AGAINST_WALL, CATALOGUE
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, extents, placed

__all__ = ["Furniture", "Room", "is_free", "make_room"]

_TRIES = 60
_GAP_M = 0.12
_WALL_TINTS = ((0.95, 0.92, 0.85), (0.82, 0.88, 0.92), (0.85, 0.9, 0.82), (0.95, 0.87, 0.82))
_SEVERAL = {"chair": 4, "plant": 2, "stool": 2, "lamp": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class Furniture:
    """A piece of furniture in its place.

    Attributes:
        category: its name, such as "chair".
        centre: world x, y of its middle, metres.
        size: length along its own x, width along its own y, height; metres.
        yaw: world_from_local rotation about z, radians; its front looks along local x.
        parts: its primitives, in the world.
    """

    category: str
    centre: tuple[float, float]
    size: tuple[float, float, float]
    yaw: float
    parts: tuple[Part, ...]

    def corners(self, margin_m: float = 0.0) -> NDArray[np.float64]:
        """Return the four corners of its footprint, grown by a margin: float64 [4,2] in the world."""
        x, y = self.size[0] / 2 + margin_m, self.size[1] / 2 + margin_m
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        local = np.array([(x, y), (-x, y), (-x, -y), (x, -y)])
        return local @ np.array([[c, s], [-s, c]]) + self.centre


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """A rectangular room.

    Attributes:
        seed: what it was drawn from.
        length, width, height: along x, y and z, metres.
        floor, wall: their paint.
        furniture: what stands in it.
    """

    seed: int
    length: float
    width: float
    height: float
    floor: Paint
    wall: Paint
    furniture: tuple[Furniture, ...]

    @property
    def area(self) -> float:
        """Floor area, square metres."""
        return self.length * self.width


def make_room(seed: int, num_pieces: int = 12) -> Room:
    """Draw a room.

    Args:
        seed: the same seed gives the same room.
        num_pieces: pieces of furniture to try to place; a small room may hold fewer.

    Raises:
        InputError: if the seed is negative or `num_pieces` is not positive.
    """
    if seed < 0 or num_pieces < 1:
        raise InputError(f"a room needs a seed of at least 0 and at least one piece, not {seed} and {num_pieces}")
    rng = np.random.default_rng(seed)
    length, width = rng.uniform(4.5, 7.0), rng.uniform(4.0, 6.0)
    floor = Paint(colour=(0.82, 0.7, 0.55), texture=str(rng.choice(["planks", "basket", "tiles", "carpet"])), shine=0.1)
    tint = _WALL_TINTS[rng.integers(len(_WALL_TINTS))]
    wall = Paint(colour=tint, texture=str(rng.choice(["plaster", "stripes", "motif", "pinstripe"])))
    names = map(str, rng.permutation(sorted(CATALOGUE)))
    wanted = [name for name in names for _ in range(rng.integers(1, _SEVERAL.get(name, 1) + 1))]
    wanted = sorted(wanted[:num_pieces], key=lambda name: name not in AGAINST_WALL)
    standing: list[Furniture] = []
    for category in wanted:
        piece = _place(category, length, width, standing, rng)
        if piece is not None:
            standing.append(piece)
    return Room(
        seed=seed, length=length, width=width, height=2.6, floor=floor, wall=wall, furniture=tuple(standing)
    )


def is_free(room: Room, x: float, y: float, margin_m: float) -> bool:
    """Tell whether a disc of radius `margin_m` around a floor point touches neither wall nor furniture."""
    if abs(x) > room.length / 2 - margin_m or abs(y) > room.width / 2 - margin_m:
        return False
    for piece in room.furniture:
        c, s = math.cos(piece.yaw), math.sin(piece.yaw)
        dx, dy = x - piece.centre[0], y - piece.centre[1]
        outside_x = max(abs(c * dx + s * dy) - piece.size[0] / 2, 0.0)
        outside_y = max(abs(c * dy - s * dx) - piece.size[1] / 2, 0.0)
        if math.hypot(outside_x, outside_y) < margin_m:
            return False
    return True


def _place(
    category: str, length: float, width: float, standing: list[Furniture], rng: np.random.Generator
) -> Furniture | None:
    local = CATALOGUE[category](rng)
    low, high = extents(local)
    size = tuple(float(2 * max(-low[axis], high[axis])) for axis in (0, 1)) + (float(high[2]),)
    for _ in range(_TRIES):
        if category in AGAINST_WALL:
            x, y, yaw = _spot_at_wall(length, width, size, rng)
        else:
            x, y = rng.uniform(-length / 2, length / 2), rng.uniform(-width / 2, width / 2)
            yaw = rng.integers(8) * math.pi / 4
        piece = Furniture(
            category=category,
            centre=(float(x), float(y)),
            size=size,
            yaw=float(yaw),
            parts=tuple(placed(part, (x, y, 0.0), yaw) for part in local),
        )
        if _fits(piece, length, width, standing):
            return piece
    return None


def _spot_at_wall(
    length: float, width: float, size: tuple[float, ...], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Draw a place with the back at a wall: x, y and the yaw that looks into the room."""
    wall = rng.integers(4)
    back = size[0] / 2 + 0.02
    along = rng.uniform(-0.5, 0.5)
    if wall % 2 == 0:
        x = (length / 2 - back) * (-1 if wall == 0 else 1)
        return x, along * max(width - size[1], 0.0), 0.0 if wall == 0 else math.pi
    y = (width / 2 - back) * (-1 if wall == 1 else 1)
    return along * max(length - size[1], 0.0), y, math.pi / 2 if wall == 1 else -math.pi / 2


def _fits(piece: Furniture, length: float, width: float, standing: list[Furniture]) -> bool:
    corners = piece.corners()
    if np.abs(corners[:, 0]).max() > length / 2 or np.abs(corners[:, 1]).max() > width / 2:
        return False
    grown = piece.corners(_GAP_M)
    return not any(_overlap(grown, other.corners()) for other in standing)


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Tell whether two convex quadrilaterals overlap (separating axis theorem)."""
    for corners in (first, second):
        edges = np.roll(corners, -1, axis=0) - corners
        for normal in np.stack([-edges[:, 1], edges[:, 0]], axis=1):
            a, b = first @ normal, second @ normal
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True
