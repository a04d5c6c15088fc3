"""Furniture by category: each draws one piece with sizes and looks of its own.

A piece is a list of `Part`s in its local frame (origin on the floor under its middle, x towards its front, z up).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["AGAINST_WALL", "CATALOGUE"]

_WOODS = ((0.62, 0.42, 0.25), (0.78, 0.6, 0.4), (0.42, 0.27, 0.17), (0.9, 0.84, 0.74))
_FABRICS = (
    (0.62, 0.2, 0.18), (0.2, 0.32, 0.58), (0.25, 0.45, 0.3), (0.55, 0.55, 0.58), (0.85, 0.75, 0.55),
    (0.45, 0.25, 0.45), (0.88, 0.58, 0.2), (0.2, 0.5, 0.52),
)  # fmt: skip
_METAL = Paint(colour=(0.25, 0.25, 0.27), shine=0.5)


def _wood(rng: np.random.Generator) -> Paint:
    return Paint(colour=_pick(rng, _WOODS), texture="wood", shine=0.15)


def _fabric(rng: np.random.Generator) -> Paint:
    return Paint(colour=_pick(rng, _FABRICS), texture=str(rng.choice(["weave", "plaid", "leather"])))


def _pick(rng: np.random.Generator, choices: tuple) -> tuple[float, float, float]:
    return choices[rng.integers(len(choices))]


def _legs(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    corners = [(a * (x / 2 - radius), b * (y / 2 - radius)) for a in (-1, 1) for b in (-1, 1)]
    return [cylinder(cx, cy, (0, height), radius, paint) for cx, cy in corners]


def _chair(rng: np.random.Generator) -> list[Part]:
    side, seat, top = rng.uniform(0.4, 0.52), rng.uniform(0.42, 0.48), rng.uniform(0.82, 1.0)
    frame, cover, half = _wood(rng), _fabric(rng), side / 2
    posts = [cylinder(-half + 0.03, y, (seat, top), 0.018, frame) for y in (-half + 0.03, half - 0.03)]
    back = box((-half, -half + 0.04), (-half, half), (top - 0.3, top), cover)
    cushion = box((-half, half), (-half, half), (seat - 0.05, seat), cover)
    return [*_legs(side, side, seat, 0.02, frame), *posts, back, cushion]


def _table(rng: np.random.Generator) -> list[Part]:
    x, y, height, paint = rng.uniform(0.75, 0.95), rng.uniform(1.2, 1.8), rng.uniform(0.72, 0.77), _wood(rng)
    top = box((-x / 2, x / 2), (-y / 2, y / 2), (height - 0.04, height), paint)
    return [*_legs(x - 0.06, y - 0.06, height - 0.04, 0.035, paint.darker(0.8)), top]


def _sofa(rng: np.random.Generator) -> list[Part]:
    x, y, seat, top, paint = rng.uniform(0.85, 0.95), rng.uniform(1.7, 2.2), 0.42, rng.uniform(0.78, 0.88), _fabric(rng)
    arms = [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 - 0.16)), (0.06, 0.6), paint.darker(0.85)) for s in (-1, 1)]
    base = box((-x / 2, x / 2), (-y / 2, y / 2), (0.06, 0.28), paint.darker(0.8))
    back = box((-x / 2, -x / 2 + 0.2), (-y / 2 + 0.16, y / 2 - 0.16), (0.28, top), paint)
    width = (y - 0.32) / 2
    cushions = [
        box((-x / 2 + 0.2, x / 2), (side, side + width - 0.01), (0.28, seat), paint.darker(1.1))
        for side in (-y / 2 + 0.16, -y / 2 + 0.16 + width)
    ]
    return [base, back, *arms, *cushions]


def _bed(rng: np.random.Generator) -> list[Part]:
    x, y, frame = 2.05, rng.uniform(1.2, 1.7), _wood(rng)
    cover = Paint(colour=_pick(rng, _FABRICS), texture="quilt")
    white = Paint(colour=(0.96, 0.96, 0.94), texture="weave")
    pillows = [ellipsoid((-x / 2 + 0.35, side * y / 4, 0.56), (0.2, 0.3, 0.09), white) for side in (-1, 1)]
    return [
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.1, 0.32), frame),
        box((-x / 2 + 0.03, x / 2 - 0.02), (-y / 2 + 0.02, y / 2 - 0.02), (0.32, 0.5), white),
        box((-x / 2 + 0.65, x / 2), (-y / 2 - 0.01, y / 2 + 0.01), (0.3, 0.53), cover),
        box((-x / 2 - 0.05, -x / 2), (-y / 2, y / 2), (0, 0.95), frame.darker(0.85)),
        *pillows,
    ]


def _cabinet(rng: np.random.Generator) -> list[Part]:
    x, y, height, paint = rng.uniform(0.4, 0.5), rng.uniform(0.9, 1.3), rng.uniform(0.8, 1.1), _wood(rng)
    gap = box((x / 2, x / 2 + 0.003), (-0.006, 0.006), (0.05, height - 0.05), paint.darker(0.3))
    knobs = [ellipsoid((x / 2 + 0.02, side * 0.06, height * 0.6), (0.018, 0.018, 0.018), _METAL) for side in (-1, 1)]
    return [box((-x / 2, x / 2), (-y / 2, y / 2), (0.03, height), paint), gap, *knobs]


def _shelf(rng: np.random.Generator) -> list[Part]:
    x, y, height, paint = 0.32, rng.uniform(0.8, 1.1), rng.uniform(1.6, 1.9), _wood(rng)
    sides = [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 - 0.03)), (0, height), paint) for s in (-1, 1)]
    back = box((-x / 2, -x / 2 + 0.015), (-y / 2, y / 2), (0, height), paint.darker(0.75))
    levels = np.linspace(0.08, height - 0.03, 5)
    boards = [box((-x / 2, x / 2), (-y / 2, y / 2), (z, z + 0.025), paint) for z in levels]
    books, spines = [], Paint(colour=(1.0, 1.0, 1.0), texture="books")
    for z in levels[:-1]:
        width = rng.uniform(0.4, 0.85) * (y - 0.08)
        span = (-y / 2 + 0.04, -y / 2 + 0.04 + width)
        books.append(box((-x / 2 + 0.02, x / 2 - 0.07), span, (z + 0.025, z + 0.27), spines))
    return [*sides, back, *boards, *books]


def _lamp(rng: np.random.Generator) -> list[Part]:
    height, shade = rng.uniform(1.45, 1.75), Paint(colour=(1.0, 0.93, 0.75), texture="weave", glow=0.6)
    radius = rng.uniform(0.17, 0.22)
    pole = [cylinder(0, 0, (0, 0.025), 0.14, _METAL), cylinder(0, 0, (0.025, height - 0.1), 0.013, _METAL)]
    return [*pole, *cone(0, 0, (height - 0.28, height), (radius, radius * 0.7), shade)]


def _plant(rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(0.9, 1.4)
    pot = Paint(colour=_pick(rng, ((0.75, 0.4, 0.28), (0.9, 0.9, 0.88), (0.35, 0.37, 0.4))), texture="concrete")
    parts = cone(0, 0, (0, 0.32), (0.13, 0.19), pot)
    for _ in range(11):
        angle, reach, z = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.3), rng.uniform(0.5, height)
        tip = (reach * math.cos(angle), reach * math.sin(angle), z)
        green = Paint(colour=(rng.uniform(0.12, 0.25), rng.uniform(0.38, 0.55), rng.uniform(0.12, 0.22)))
        parts += [rod((0, 0, 0.3), tip, 0.008, green.darker(0.6)), ellipsoid(tip, (0.13, 0.07, 0.1), green, lean=angle)]
    return parts


def _bin(rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(0.35, 0.5), rng.uniform(0.14, 0.18)
    colour = _pick(rng, ((0.35, 0.37, 0.4), (0.2, 0.38, 0.62), (0.85, 0.85, 0.86)))
    paint = Paint(colour=colour, texture="brushed", shine=0.4)
    inside = cylinder(0, 0, (height, height + 0.004), radius * 0.88, Paint(colour=(0.05, 0.05, 0.05)))
    return [*cone(0, 0, (0, height), (radius * 0.85, radius), paint), inside]


def _tv(rng: np.random.Generator) -> list[Part]:
    y, stand, paint = rng.uniform(1.1, 1.5), rng.uniform(0.45, 0.55), _wood(rng)
    tall, black = 0.56 * y, Paint(colour=(0.04, 0.04, 0.05), shine=0.6)
    screen = Paint(colour=(1.0, 1.0, 1.0), texture="screen", glow=0.5)
    return [
        box((-0.2, 0.2), (-y * 0.6, y * 0.6), (0.05, stand), paint),
        box((-0.02, 0.02), (-0.15, 0.15), (stand, stand + 0.06), black),
        box((-0.025, 0.025), (-y / 2, y / 2), (stand + 0.06, stand + 0.06 + tall), black),
        box((0.025, 0.028), (-y / 2 + 0.02, y / 2 - 0.02), (stand + 0.08, stand + 0.04 + tall), screen, "+x"),
    ]


def _stool(rng: np.random.Generator) -> list[Part]:
    height, radius, seat = rng.uniform(0.45, 0.65), rng.uniform(0.16, 0.2), _fabric(rng)
    feet = [(radius * math.cos(a), radius * math.sin(a), 0) for a in (0.0, 2.1, 4.2)]
    legs = [rod(foot, (0.5 * foot[0], 0.5 * foot[1], height - 0.04), 0.014, _METAL) for foot in feet]
    return [*legs, cylinder(0, 0, (height - 0.05, height), radius, seat)]


def _fridge(rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.65, rng.uniform(0.6, 0.72), rng.uniform(1.6, 1.85)
    colour = _pick(rng, ((0.95, 0.95, 0.95), (0.72, 0.74, 0.77), (0.72, 0.2, 0.2)))
    paint = Paint(colour=colour, texture="brushed", shine=0.5)
    split = 0.62 * height
    handles = [rod((x / 2 + 0.03, y / 2 - 0.06, a), (x / 2 + 0.03, y / 2 - 0.06, b), 0.012, _METAL)
               for a, b in ((split + 0.06, split + 0.36), (split - 0.4, split - 0.06))]  # fmt: skip
    gap = box((x / 2, x / 2 + 0.003), (-y / 2, y / 2), (split - 0.006, split + 0.006), paint.darker(0.3))
    return [box((-x / 2, x / 2), (-y / 2, y / 2), (0.03, height), paint), gap, *handles]


CATALOGUE: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "bed": _bed,
    "bin": _bin,
    "cabinet": _cabinet,
    "chair": _chair,
    "fridge": _fridge,
    "lamp": _lamp,
    "plant": _plant,
    "shelf": _shelf,
    "sofa": _sofa,
    "stool": _stool,
    "table": _table,
    "tv": _tv,
}
AGAINST_WALL = ("bed", "cabinet", "fridge", "shelf", "sofa", "tv")
