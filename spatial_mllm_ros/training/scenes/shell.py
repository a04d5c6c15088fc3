"""The parts of a room that do not move: floor, walls, ceiling, skirting, doors, windows, pictures, soft shadows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.room import Furniture, Opening
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, cylinder, panel
from spatial_mllm_ros.training.scenes.style import WHITE, Style

__all__ = ["Wall", "build_shell", "walls_of"]

_UP = np.array([0, 0, 1.0])
_CREASE_M = 0.45
_CONTACT_M = 0.14


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """One wall seen from inside: `right` and `inward` are unit vectors [2], `middle` the centre of its foot [2]."""

    middle: NDArray[np.float64]
    right: NDArray[np.float64]
    inward: NDArray[np.float64]
    length: float

    def at(self, along: float, out: float, height: float) -> NDArray[np.float64]:
        """Return the world point [3] `along` to the right of the middle, `out` into the room, `height` up."""
        return np.array([*(self.middle + along * self.right + out * self.inward), height])

    def board(self, along: float, height: float, half: Sequence[float], out: float, paint: Paint) -> Part:
        """Make a flat picture of half width and height `half` on the wall, `out` metres in front of it."""
        right = np.array([*self.right, 0.0]) * half[0]
        return panel(self.at(along, out, height), right, _UP * half[1], paint)

    def block(self, along: float, height: float, half: Sequence[float], depth: float, paint: Paint) -> Part:
        """Make a box of half width and height `half` that stands out from the wall by `depth`."""
        rotation = np.stack([np.array([*self.right, 0.0]), _UP, np.array([*self.inward, 0.0])], axis=1)
        half_size, centre = (half[0], half[1], depth / 2), tuple(self.at(along, depth / 2, height))
        return Part(kind="box", half_size=half_size, centre=centre, paint=paint, rotation=rotation)


def walls_of(outline: NDArray[np.float64]) -> tuple[Wall, ...]:
    """Return the walls of an outline [n,2], one per edge, in its order."""
    walls = []
    for start, end in zip(outline, np.roll(outline, -1, axis=0)):
        length = float(np.linalg.norm(end - start))
        along = (end - start) / length
        inward = np.array([-along[1], along[0]])
        walls.append(Wall(middle=(start + end) / 2, right=-along, inward=inward, length=length))
    return tuple(walls)


def build_shell(
    outline: NDArray[np.float64],
    height: float,
    openings: Sequence[Opening],
    furniture: Sequence[Furniture],
    style: Style,
    rng: np.random.Generator,
) -> tuple[Part, ...]:
    """Build everything of a room that is not furniture.

    Args:
        outline: float64 [n,2], counter-clockwise.
        height: metres.
        openings: doors and windows, which get leaves, panes and frames.
        furniture: what stands in the room, for shadows under it and for pictures that must stay visible.
        style: paints.
        rng: for what is hung on the walls.
    """
    walls = walls_of(outline)
    parts = _surfaces(outline, walls, height, style)
    for opening in openings:
        wall = walls[opening.wall]
        along = wall.length / 2 - opening.middle
        parts += _door(wall, along, opening, style) if opening.kind == "door" else _window(wall, along, opening, style)
    parts += _pictures(walls, openings, furniture, style, rng)
    parts += _ceiling_lamps(outline, height)
    if style.rug is not None:
        parts += _rug(outline, furniture, style.rug, rng)
    return (*parts, *_creases(outline, walls, height), *_contacts(furniture))


def _surfaces(outline: NDArray, walls: Sequence[Wall], height: float, style: Style) -> list[Part]:
    low, high = outline.min(0), outline.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    x, y = np.array([half[0], 0, 0]), np.array([0, half[1], 0])
    parts = [panel((*middle, 0.0), x, y, style.floor), panel((*middle, height), x, -y, style.ceiling)]
    for wall, paint in zip(walls, style.walls):
        parts += [
            wall.board(0, height / 2, (wall.length / 2, height / 2), 0.0, paint),
            wall.block(0, 0.045, (wall.length / 2, 0.045), 0.014, style.trim),
            wall.block(0, height - 0.03, (wall.length / 2, 0.03), 0.03, WHITE),
        ]
    return parts


def _door(wall: Wall, along: float, opening: Opening, style: Style) -> list[Part]:
    half, top = opening.width / 2, opening.top
    knob_side = -half + 0.09
    parts = [wall.block(along, top / 2, (half, top / 2), 0.03, style.door)]
    for low, high in ((0.12, 0.9), (1.0, top - 0.12)):
        parts += [wall.block(along, (low + high) / 2, (half - 0.12, (high - low) / 2), 0.038, style.door.darker(0.88))]
    parts += [wall.block(along + knob_side, 1.0, (0.03, 0.014), 0.075, Paint(colour=(0.75, 0.65, 0.4), shine=0.7))]
    return parts + _frame(wall, along, half, (0.0, top), style.trim)


def _window(wall: Wall, along: float, opening: Opening, style: Style) -> list[Part]:
    half, middle = opening.width / 2, (opening.bottom + opening.top) / 2
    tall = (opening.top - opening.bottom) / 2
    sky = Paint(colour=(1.0, 1.0, 1.0), texture="sky", glow=0.5)
    cloth = style.rug or Paint(colour=(0.75, 0.7, 0.62))
    curtain = Paint(colour=cloth.colour, texture="stripes").darker(1.2)
    return [
        wall.board(along, middle, (half, tall), 0.008, sky),
        wall.block(along, middle, (0.02, tall), 0.03, WHITE),
        wall.block(along, middle, (half, 0.02), 0.03, WHITE),
        *_frame(wall, along, half, (opening.bottom, opening.top), WHITE),
        wall.block(along, opening.bottom - 0.03, (half + 0.1, 0.025), 0.14, WHITE),
        *(wall.block(along + side * (half + 0.12), middle, (0.13, tall + 0.22), 0.06, curtain) for side in (-1, 1)),
        wall.block(along, opening.top + 0.22, (half + 0.32, 0.015), 0.09, Paint(colour=(0.3, 0.25, 0.2))),
    ]


def _frame(wall: Wall, along: float, half: float, span: tuple[float, float], paint: Paint) -> list[Part]:
    low, high = span
    sides = [
        wall.block(along + s * (half + 0.035), (low + high) / 2, (0.035, (high - low) / 2), 0.05, paint)
        for s in (-1, 1)
    ]
    return [*sides, wall.block(along, high + 0.035, (half + 0.07, 0.035), 0.05, paint)]


def _pictures(
    walls: Sequence[Wall],
    openings: Sequence[Opening],
    furniture: Sequence[Furniture],
    style: Style,
    rng: np.random.Generator,
) -> list[Part]:
    """Hang a picture on some walls, clear of openings and of what stands tall before them."""
    parts, names = [], list(style.art)
    for index, wall in enumerate(walls):
        half = rng.uniform(0.26, 0.42)
        shape, along = (half, half * rng.uniform(0.7, 1.2)), rng.uniform(-0.3, 0.3) * wall.length
        taken = [(wall.length / 2 - o.middle, o.width / 2 + 0.5) for o in openings if o.wall == index]
        for piece in furniture:
            offset = piece.corners() - wall.middle
            if piece.size[2] > 1.15 and (offset @ wall.inward).min() < 0.8:
                span = offset @ wall.right
                taken.append(((span.min() + span.max()) / 2, (span.max() - span.min()) / 2 + 0.05))
        is_free = all(abs(along - middle) > half + reach for middle, reach in taken)
        if names and is_free and abs(along) + half + 0.3 < wall.length / 2 and rng.random() < 0.8:
            picture = Paint(colour=(1.0, 1.0, 1.0), texture=names.pop())
            parts += [
                wall.block(along, 1.55, (half + 0.008, shape[1] + 0.008), 0.02, Paint(colour=(0.12, 0.1, 0.1))),
                wall.board(along, 1.55, shape, 0.024, picture),
            ]
    return parts


def _ceiling_lamps(outline: NDArray, height: float) -> list[Part]:
    low, high = outline.min(0), outline.max(0)
    lamp, parts = Paint(colour=(1.0, 0.98, 0.92), glow=0.8), []
    for share in (0.3, 0.7) if max(high - low) > 5.0 else (0.5,):
        axis = int(np.argmax(high - low))
        x, y = (low + high) / 2 + (np.eye(2)[axis] * (high - low) * (share - 0.5))
        parts += [cylinder(x, y, (height - 0.07, height - 0.01), 0.22, lamp)]
        parts += [cylinder(x, y, (height - 0.02, height), 0.24, Paint(colour=(0.4, 0.4, 0.42)))]
    return parts


def _rug(outline: NDArray, furniture: Sequence[Furniture], paint: Paint, rng: np.random.Generator) -> list[Part]:
    """Lay a rug under the middle of a sofa's or table's front, or in the middle of the room."""
    focus = [piece for piece in furniture if piece.category in ("sofa", "table", "bed")]
    low, high = outline.min(0), outline.max(0)
    spot, yaw, half = (low + high) / 2, 0.0, rng.uniform((0.6, 0.9), (0.85, 1.3))
    if focus:
        piece = focus[0]
        ahead = np.array([math.cos(piece.yaw), math.sin(piece.yaw)])
        spot = np.array(piece.centre[:2]) + ahead * (
            0.0 if piece.category == "table" else piece.size[0] / 2 + half[0] * 0.6
        )
        yaw = piece.yaw
    spot = np.clip(spot, low + half.max() + 0.1, np.maximum(high - half.max() - 0.1, low + half.max() + 0.1))
    c, s = math.cos(yaw), math.sin(yaw)
    right, up = np.array([c, s, 0]) * half[0], np.array([-s, c, 0]) * half[1]
    return [panel((*spot, 0.006), right, up, paint)]


def _creases(outline: NDArray, walls: Sequence[Wall], height: float) -> list[Part]:
    """Darken where walls meet floor, ceiling and each other; the texture is darkest at the lower edge of its panel."""
    paint, parts = Paint(colour=(1.0, 1.0, 1.0), texture="crease"), []
    reach = _CREASE_M / 0.85 / 2  # half the panel; the rest of it is behind the other surface
    offset = _CREASE_M - reach
    edges = np.roll(outline, -1, axis=0) - outline
    is_inner = [
        edges[i - 1, 0] * edges[i, 1] > edges[i - 1, 1] * edges[i, 0] for i in range(len(edges))
    ]  # the corner where edge i begins
    for index, wall in enumerate(walls):
        right, inward = np.array([*wall.right, 0.0]), np.array([*wall.inward, 0.0])
        across, side = right * wall.length / 2, wall.length / 2 - offset
        parts += [
            panel(wall.at(0, offset, 0.008), -across, inward * reach, paint),
            panel(wall.at(0, 0.016, offset), across, _UP * reach, paint),
            panel(wall.at(0, 0.016, height - offset), -across, -_UP * reach, paint),
            panel(wall.at(0, offset, height - 0.004), across, inward * reach, paint),
        ]
        if is_inner[index]:
            parts += [panel(wall.at(side, 0.017, height / 2), _UP * height / 2, -right * reach, paint)]
        if is_inner[(index + 1) % len(walls)]:
            parts += [panel(wall.at(-side, 0.017, height / 2), -_UP * height / 2, right * reach, paint)]
    return parts


def _contacts(furniture: Sequence[Furniture]) -> list[Part]:
    """Darken the floor under furniture."""
    paint, parts = Paint(colour=(1.0, 1.0, 1.0), texture="contact"), []
    for piece in furniture:
        c, s = math.cos(piece.yaw), math.sin(piece.yaw)
        x, y = piece.size[0] / 2 + _CONTACT_M, piece.size[1] / 2 + _CONTACT_M
        parts += [panel((*piece.centre[:2], 0.01), np.array([c, s, 0]) * x, np.array([-s, c, 0]) * y, paint)]
    return parts
