"""Refrigerators and televisions. Each function builds one look, about as large as the real thing (metres)."""

from __future__ import annotations

import math

import numpy as np

from spatial_mllm_ros.training.scenes.furniture import composed_refrigerators, composed_tvs
from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front, legs
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, rod

__all__ = ["REFRIGERATORS", "TVS"]

_BLACK = Paint(colour=(0.05, 0.05, 0.06), shine=0.6)


def _handle(x: float, y: float, z: tuple[float, float], paint: Paint) -> Part:
    return rod((x + 0.035, y, z[0]), (x + 0.035, y, z[1]), 0.014, paint)


def _two_door_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.64, rng.uniform(0.62, 0.72), rng.uniform(1.65, 1.85)
    body, split = Paint(colour=finish.enamel.colour, texture="brushed", shine=0.5), 0.64 * height
    return [
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.02, height), body),
        box((x / 2, x / 2 + 0.03), (-y / 2, y / 2), (0.06, split - 0.008), body.darker(1.06)),
        box((x / 2, x / 2 + 0.03), (-y / 2, y / 2), (split + 0.008, height), body.darker(1.06)),
        _handle(x / 2 + 0.02, y / 2 - 0.07, (split + 0.06, split + 0.36), finish.metal),
        _handle(x / 2 + 0.02, y / 2 - 0.07, (split - 0.5, split - 0.06), finish.metal),
    ]


def _side_by_side_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.7, rng.uniform(0.88, 0.95), rng.uniform(1.7, 1.8)
    steel = Paint(colour=(0.74, 0.76, 0.79), texture="brushed", shine=0.6)
    doors = [box((x / 2, x / 2 + 0.04), sorted((s * 0.006, s * y / 2)), (0.08, height), steel) for s in (-1, 1)]
    handles = [_handle(x / 2 + 0.03, s * 0.06, (0.7, 1.5), finish.metal) for s in (-1, 1)]
    dispenser = box((x / 2 + 0.03, x / 2 + 0.045), (-0.36, -0.14), (1.0, 1.32), _BLACK)
    return [box((-x / 2, x / 2), (-y / 2, y / 2), (0.02, height), steel.darker(0.7)), *doors, *handles, dispenser]


def _retro_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.6, rng.uniform(0.6, 0.66), rng.uniform(1.35, 1.5)
    paint = finish.enamel
    return [
        *legs(x - 0.1, y - 0.1, 0.1, 0.025, finish.metal),
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.1, height - y / 2), paint),
        rod((-x / 2, 0, height - y / 2), (x / 2, 0, height - y / 2), y / 2, paint),
        box((x / 2, x / 2 + 0.03), (-y / 2 + 0.03, y / 2 - 0.03), (0.14, height - y / 2), paint.darker(1.1)),
        rod((x / 2 + 0.06, y / 2 - 0.14, 0.75), (x / 2 + 0.06, y / 2 - 0.04, 0.75), 0.02, finish.metal),
        front(x / 2 + 0.033, (-0.12, 0.12), (height - y / 2 - 0.1, height - y / 2 - 0.05), finish.metal),
    ]


def _glass_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.58, rng.uniform(0.6, 0.7), rng.uniform(1.55, 1.75)
    light, body = Paint(colour=(0.88, 0.95, 1.0), glow=0.45), finish.enamel
    parts = [
        box((-x / 2, x / 2 - 0.16), (-y / 2, y / 2), (0, height), body),
        box((x / 2 - 0.16, x / 2), (-y / 2, y / 2), (0, 0.22), body),
        box((x / 2 - 0.16, x / 2), (-y / 2, y / 2), (height - 0.16, height), body),
        *(box((x / 2 - 0.16, x / 2), (s * y / 2, s * (y / 2 - 0.05)), (0.22, height - 0.16), body) for s in (-1, 1)),
        front(x / 2 - 0.155, (-y / 2 + 0.05, y / 2 - 0.05), (0.22, height - 0.16), light),
    ]
    for z in np.linspace(0.24, height - 0.5, 4):
        parts += [box((x / 2 - 0.15, x / 2 - 0.02), (-y / 2 + 0.05, y / 2 - 0.05), (z, z + 0.012), finish.metal)]
        for at in np.linspace(-y / 2 + 0.1, y / 2 - 0.1, 5):
            colour = ((0.2, 0.5, 0.25), (0.75, 0.2, 0.15), (0.85, 0.65, 0.2))[rng.integers(3)]
            parts += [cylinder(x / 2 - 0.08, float(at), (z + 0.012, z + 0.2), 0.032, Paint(colour=colour, shine=0.5))]
    return parts


def _screen(x: float, y: float, low: float, tall: float) -> list[Part]:
    """Make a flat screen y wide and `tall` high, its back at x."""
    show = Paint(colour=(1.0, 1.0, 1.0), texture="screen", glow=0.45)
    frame = box((x, x + 0.05), (-y / 2, y / 2), (low, low + tall), _BLACK)
    return [frame, front(x + 0.054, (-y / 2 + 0.025, y / 2 - 0.025), (low + 0.025, low + tall - 0.025), show)]


def _tv_on_board(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, low = rng.uniform(1.1, 1.4), rng.uniform(0.4, 0.5)
    return [
        box((-0.2, 0.2), (-y * 0.58, y * 0.58), (0.08, low), finish.wood),
        box((-0.19, 0.19), (-y * 0.56, y * 0.56), (0, 0.08), _BLACK),
        *(front(0.203, s, (0.12, low - 0.04), finish.enamel) for s in ((-0.54 * y, -0.02), (0.02, 0.54 * y))),
        box((-0.08, 0.08), (-0.2, 0.2), (low, low + 0.02), _BLACK),
        box((-0.03, 0.0), (-0.04, 0.04), (low, low + 0.1), _BLACK),
        *_screen(-0.025, y, low + 0.07, 0.57 * y),
    ]


def _tv_on_easel(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(1.0, 1.3)
    feet = [((0.16, s * 0.3, 0.0), (-0.04, s * 0.12, 0.85)) for s in (-1, 1)] + [((-0.24, 0, 0), (-0.06, 0, 0.85))]
    return [*(rod(a, b, 0.022, finish.wood) for a, b in feet), *_screen(-0.03, y, 0.62, 0.57 * y)]


def _tv_on_pedestal(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(1.2, 1.5)
    return [
        box((-0.2, 0.2), (-0.38, 0.38), (0, 0.03), finish.metal),
        box((-0.05, -0.01), (-0.07, 0.07), (0.03, 0.8), finish.metal),
        box((-0.14, 0.12), (-0.3, 0.3), (0.36, 0.385), finish.wood),
        box((-0.12, 0.1), (-0.16, 0.16), (0.385, 0.45), _BLACK),
        *_screen(-0.01, y, 0.6, 0.57 * y),
    ]


def _tube_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, tall = rng.uniform(0.72, 0.85), rng.uniform(0.52, 0.6)
    glow = Paint(colour=(0.9, 0.95, 1.0), texture="screen", glow=0.35)
    parts = [
        rod((s * 0.18, t * y * 0.42, 0), (s * 0.14, t * y * 0.36, 0.4), 0.02, finish.metal)
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    parts += [box((-0.22, 0.2), (-y / 2, y / 2), (0.4, 0.4 + tall), finish.wood)]
    parts += [box((0.2, 0.215), (-y / 2 + 0.03, y / 2 - 0.03), (0.43, 0.37 + tall), _BLACK)]
    parts += [front(0.218, (-y / 2 + 0.06, y / 2 - 0.2), (0.46, 0.34 + tall), glow)]
    parts += [rod((0.2, y / 2 - 0.11, z), (0.24, y / 2 - 0.11, z), 0.03, finish.metal) for z in (0.52, 0.64)]
    tips = [(-0.05, s * 0.2, 0.4 + tall + 0.32 * math.cos(0.3)) for s in (-1, 1)]
    return parts + [rod((-0.05, 0, 0.4 + tall), tip, 0.008, finish.metal) for tip in tips]


REFRIGERATORS = (
    _two_door_refrigerator,
    _side_by_side_refrigerator,
    _retro_refrigerator,
    *composed_refrigerators.REFRIGERATORS,
    _glass_refrigerator,
)
TVS = (_tv_on_board, _tv_on_easel, _tv_on_pedestal, *composed_tvs.TVS, _tube_tv)
