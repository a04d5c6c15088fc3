"""How a room is painted and lit, drawn together from palettes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.room import Light
from spatial_mllm_ros.training.scenes.shapes import Colour, Paint

__all__ = ["WHITE", "Style", "draw_light", "draw_style"]

WHITE = Paint(colour=(0.95, 0.94, 0.92))
_PAINTS: tuple[Colour, ...] = (
    (0.96, 0.93, 0.86), (0.84, 0.9, 0.94), (0.87, 0.92, 0.84), (0.96, 0.88, 0.82), (0.93, 0.93, 0.93),
    (0.9, 0.86, 0.93), (0.97, 0.92, 0.72), (0.74, 0.84, 0.86),
)  # fmt: skip
_ACCENTS: tuple[Colour, ...] = (
    (0.45, 0.62, 0.66), (0.8, 0.52, 0.4), (0.55, 0.65, 0.48), (0.5, 0.52, 0.68), (0.85, 0.7, 0.42),
)  # fmt: skip
_FLOORS: tuple[tuple[str, Colour], ...] = (
    ("planks", (0.86, 0.68, 0.47)), ("planks", (0.62, 0.43, 0.28)), ("basket", (0.8, 0.6, 0.4)),
    ("planks", (0.8, 0.76, 0.7)), ("tiles", (0.86, 0.82, 0.76)), ("checker", (0.85, 0.83, 0.8)),
    ("carpet", (0.66, 0.62, 0.58)),
    ("carpet", (0.5, 0.56, 0.64)), ("marble", (0.9, 0.88, 0.85)),
)  # fmt: skip
_WALLPAPERS = ("plaster", "plaster", "plaster", "stripes", "pinstripe", "motif")
_RUGS = ("rug_bands", "rug_rings", "plaid", "dots")
_ART = ("landscape", "abstract", "stripe_art", "portrait")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a room is painted: one paint per wall, and the rest."""

    walls: tuple[Paint, ...]
    floor: Paint
    ceiling: Paint
    trim: Paint
    door: Paint
    rug: Paint | None
    art: tuple[str, ...]


def draw_style(rng: np.random.Generator, num_walls: int) -> Style:
    """Draw how a room is painted."""
    base = Paint(colour=_PAINTS[rng.integers(len(_PAINTS))], texture=_WALLPAPERS[rng.integers(len(_WALLPAPERS))])
    walls = [base] * num_walls
    if rng.random() < 0.6:
        texture = ("plaster", "brick", "motif", "plaster")[rng.integers(4)]
        walls[rng.integers(num_walls)] = Paint(colour=_ACCENTS[rng.integers(len(_ACCENTS))], texture=texture)
    texture, colour = _FLOORS[rng.integers(len(_FLOORS))]
    rug = Paint(colour=_ACCENTS[rng.integers(len(_ACCENTS))], texture=_RUGS[rng.integers(len(_RUGS))]).darker(1.15)
    has_rug = rng.random() < 0.7
    doors = (
        Paint(colour=(0.62, 0.42, 0.27), texture="wood"),
        Paint(colour=(0.92, 0.92, 0.9)),
        Paint(colour=(0.45, 0.52, 0.5)),
    )
    return Style(
        walls=tuple(walls),
        floor=Paint(colour=colour, texture=texture),
        ceiling=Paint(colour=(0.96, 0.96, 0.95), texture="plaster", glow=0.16),
        trim=WHITE if rng.random() < 0.7 else Paint(colour=(0.5, 0.36, 0.25)),
        door=doors[rng.integers(len(doors))],
        rug=rug if has_rug else None,
        art=tuple(str(name) for name in rng.permutation(_ART)),
    )


def draw_light(rng: np.random.Generator) -> Light:
    """Draw how a room is lit: bright to dim, warm to cool."""
    level, warmth = rng.uniform(0.88, 1.08), rng.uniform(-0.05, 0.07)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    angle, slope = rng.uniform(-math.pi, math.pi), -1.0
    direction = np.array([0.75 * math.cos(angle), 0.75 * math.sin(angle), slope])
    direction /= np.linalg.norm(direction)
    return Light(
        ambient=_colour(0.56 * level * tint),
        daylight=_colour(0.4 * level * np.array([1.0, 1.0, 1.02])),
        lamp=_colour(0.42 * level * tint),
        direction=tuple(float(value) for value in direction),
    )


def _colour(values: NDArray[np.float64]) -> Colour:
    return tuple(float(value) for value in np.clip(values, 0.0, 1.0))
