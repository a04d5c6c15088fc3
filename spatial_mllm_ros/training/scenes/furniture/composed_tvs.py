"""Televisions put together from screens and what carries them."""

from __future__ import annotations

import math

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front, legs
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, arc, chain, pick, plain, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, panel, rod

__all__ = ["TVS"]

_BLACK = Paint(colour=(0.06, 0.06, 0.07), shine=0.5)
_STEEL = Paint(colour=(0.75, 0.77, 0.8), shine=0.6)


def _picture(rng: np.random.Generator) -> Paint:
    """Draw what a screen shows: mostly a programme, else a plain blue or nothing."""
    tint = pick(rng, ((1.0, 1.0, 1.0), (1.0, 0.8, 0.75), (0.7, 0.9, 1.0), (0.75, 1.0, 0.7)))
    shows = [Paint(colour=tint, texture="screen", glow=0.45)] * 4
    shows += [
        Paint(colour=(0.15, 0.35, 0.75), glow=0.4),
        Paint(colour=(0.1, 0.11, 0.14), shine=0.9),
    ]
    return pick(rng, shows)


def _screen(x: float, y: float, low: float, rng: np.random.Generator, bezel: float = 0.02) -> list[Part]:
    tall, frame = (
        y * rng.uniform(0.54, 0.6),
        pick(rng, (_BLACK, _BLACK, Paint(colour=(0.45, 0.46, 0.48), shine=0.5), Paint(colour=(0.93, 0.93, 0.92)))),
    )
    case = box((x, x + 0.045), (-y / 2, y / 2), (low, low + tall), frame)
    bulge = box((x - 0.04, x), (-0.3 * y, 0.3 * y), (low + 0.08, low + 0.6 * tall), _BLACK)
    return [
        case,
        bulge,
        front(x + 0.048, (-y / 2 + bezel, y / 2 - bezel), (low + 1.5 * bezel, low + tall - bezel), _picture(rng)),
    ]


def _neck(kind: str, y: float, low: float, high: float, rng: np.random.Generator) -> list[Part]:
    """Make what a screen stands on, from height low to high."""
    paint = pick(rng, (_BLACK, _STEEL))
    if kind == "feet":
        return [
            rod((a, s * 0.36 * y, low + 0.012), (0, s * 0.33 * y, high + 0.02), 0.012, paint)
            for s in (-1, 1)
            for a in (-0.14, 0.14)
        ]
    if kind == "disc":
        return [cylinder(0, 0, (low, low + 0.02), 0.17, paint), cylinder(0, 0, (low, high + 0.05), 0.035, paint)]
    if kind == "bow":
        bow = [(0.16 * s - 0.02, 0.28 * y * c, low + 0.012) for c, s in arc(0, math.pi, 6)]
        return [
            *chain([(0.14 - p[0], p[1], p[2]) for p in bow], 0.012, paint),
            box((-0.03, 0.0), (-0.07, 0.07), (low, high + 0.05), paint),
        ]
    return [
        box((-0.12, 0.14), (-0.24 * y, 0.24 * y), (low, low + 0.018), paint),
        box((-0.03, 0), (-0.06, 0.06), (low, high + 0.05), paint),
    ]


def _bare_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(0.95, 1.35)
    lift = rng.uniform(0.05, 0.14)
    return [
        *_neck(pick(rng, ("feet", "disc", "bow", "plate")), y, 0.0, lift, rng),
        *_screen(-0.03, y, lift, rng, pick(rng, (0.015, 0.03, 0.06))),
    ]


def _console_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a screen on a low open board with things below it."""
    y, kind, low = rng.uniform(0.9, 1.25), pick(rng, ("open", "drawers", "slab", "glass")), rng.uniform(0.3, 0.5)
    wide, paint = y * rng.uniform(1.0, 1.35), plain(pick(rng, (finish.wood, finish.enamel)))
    span, lift = (-wide / 2, wide / 2), rng.uniform(0.05, 0.1)
    parts = [box((-0.2, 0.2), span, (low - 0.035, low), finish.wood if kind != "glass" else _BLACK)]
    if kind == "drawers":
        parts += [
            *stand("straight", 0.34, 0.9 * wide, 0.12, 0.018, finish.metal),
            box((-0.2, 0.2), span, (0.12, low - 0.035), paint),
        ]
        parts += [
            front(
                0.203,
                (s * wide / 4 - wide / 4 + 0.015, s * wide / 4 + wide / 4 - 0.015),
                (0.14, low - 0.05),
                paint.darker(1.15),
            )
            for s in (-1, 1)
        ]
    elif kind == "glass":
        parts += [
            *legs(0.38, wide - 0.04, low - 0.03, 0.022, _STEEL),
            box((-0.18, 0.18), span, (0.12, 0.14), Paint(colour=(0.55, 0.68, 0.7), shine=0.9)),
        ]
    else:
        parts += [
            box((-0.2, 0.2), sorted((s * wide / 2, s * (wide / 2 - 0.035))), (0, low - 0.035), paint) for s in (-1, 1)
        ]
        parts += [box((-0.19, 0.19), span, (0.06, 0.085), paint)] if kind == "open" else []
    if kind in ("open", "glass"):
        parts += [box((-0.12, 0.12), (-0.3 * wide, -0.02), (0.142, 0.2), _BLACK)]
    if rng.random() < 0.4:
        parts += [box((0.1, 0.17), (-0.36 * y, 0.36 * y), (low, low + 0.05), _BLACK)]
    return [
        *parts,
        *_neck(pick(rng, ("feet", "disc", "plate")), y, low, low + lift, rng),
        *_screen(-0.03, y, low + lift, rng),
    ]


def _stand_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a screen on a floor stand: two poles on rollers, a single column with an arm, or a back board."""
    y, kind, low = rng.uniform(0.95, 1.3), pick(rng, ("rollers", "column", "board")), rng.uniform(0.5, 0.8)
    paint, high = pick(rng, (finish.metal, _BLACK, plain(finish.wood))), low + 0.3
    if kind == "rollers":
        parts = [cylinder(-0.08, s * 0.16, (0.06, high), 0.02, paint) for s in (-1, 1)]
        parts += [rod((-0.26, s * 0.3, 0.07), (0.26, s * 0.3, 0.07), 0.02, paint) for s in (-1, 1)] + [
            rod((-0.08, -0.3, 0.07), (-0.08, 0.3, 0.07), 0.02, paint)
        ]
        parts += [ellipsoid((a, b, 0.035), (0.035,) * 3, _BLACK) for a in (-0.25, 0.25) for b in (-0.3, 0.3)]
        parts += [box((-0.14, 0.12), (-0.24, 0.24), (0.38, 0.4), plain(finish.wood))]
    elif kind == "column":
        parts = [
            cylinder(-0.12, 0, (0, 0.03), 0.24, paint),
            cylinder(-0.12, 0, (0.03, high), 0.03, paint),
            rod((-0.12, 0, high), (-0.03, 0, high), 0.03, paint),
        ]
    else:
        parts = [
            box((-0.1, -0.06), (-0.3 * y, 0.3 * y), (0.0, low + 0.45), finish.wood),
            box((-0.2, 0.2), (-0.4 * y, 0.4 * y), (0, 0.04), paint),
            box((-0.06, 0.14), (-0.3 * y, 0.3 * y), (0.3, 0.325), plain(finish.wood)),
        ]
    return [*parts, *_screen(-0.03, y, low, rng)]


def _monitor_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a deep plastic set with a bulging screen, on a trolley, a chest or a small foot."""
    y, kind = rng.uniform(0.6, 0.8), pick(rng, ("trolley", "chest", "foot"))
    tall, skin = y * rng.uniform(0.74, 0.84), pick(rng, (_BLACK, Paint(colour=(0.5, 0.51, 0.53)), plain(finish.enamel)))
    low = {"trolley": 0.55, "chest": 0.42, "foot": 0.05}[kind] * rng.uniform(0.9, 1.1)
    if kind == "trolley":
        parts = [
            *legs(0.5, y + 0.1, low, 0.018, finish.metal),
            *(
                box((-0.25, 0.25), (-y / 2 - 0.05, y / 2 + 0.05), (z, z + 0.02), plain(finish.wood))
                for z in (0.15, low - 0.02)
            ),
            box((-0.1, 0.15), (-0.2, 0.2), (0.17, 0.25), _BLACK),
        ]
    elif kind == "chest":
        parts = [
            box((-0.25, 0.25), (-y / 2 - 0.08, y / 2 + 0.08), (0, low), finish.wood),
            front(0.253, (-y / 2, y / 2), (0.06, low - 0.05), plain(finish.wood).darker(0.7)),
        ]
    else:
        parts = [cylinder(0, 0, (0, low), 0.2, _BLACK)]
    parts += [
        box((0.02, 0.24), (-y / 2, y / 2), (low, low + tall), skin),
        box((-0.12, 0.02), (-0.42 * y, 0.42 * y), (low + 0.03, low + 0.88 * tall), skin.darker(0.85)),
    ]
    parts += [box((-0.25, -0.12), (-0.26 * y, 0.26 * y), (low + 0.06, low + 0.6 * tall), skin.darker(0.7))]
    show, base = _picture(rng), low + 0.2 * tall
    parts += [
        front(0.243, (-0.44 * y, 0.44 * y), (base - 0.015, low + 0.95 * tall), _BLACK),
        front(0.247, (-0.41 * y, 0.41 * y), (base + 0.01, low + 0.92 * tall), show),
    ]
    parts += [
        rod((0.23, a * y, low + 0.09 * tall), (0.255, a * y, low + 0.09 * tall), 0.018, _STEEL) for a in (0.3, 0.38)
    ]
    return [*parts, box((0.24, 0.245), (-0.42 * y, 0.1 * y), (low + 0.05 * tall, low + 0.14 * tall), skin.darker(0.5))]


def _curved_tv(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a screen bent in three, on feet, or hung on a frame with a shelf."""
    y, low = rng.uniform(1.1, 1.45), pick(rng, (0.08, 0.5)) * rng.uniform(0.9, 1.1)
    tall, bend, show, parts = y * rng.uniform(0.5, 0.56), rng.uniform(0.2, 0.4), _picture(rng), []
    wing = 0.12 * y if show.texture else y / 3  # a picture would break at the bends
    middle = y / 2 - wing
    for s in (-1, 0, 1):
        half = wing / 2 if s else middle
        right = np.array([math.sin(s * bend), math.cos(s * bend), 0.0])
        centre = np.array([0.0, s * middle, low + tall / 2]) + s * half * right
        normal = np.array([right[1], -right[0], 0.0])
        turn = np.stack([normal, right, np.array([0.0, 0.0, 1.0])], axis=1)
        size, place = (0.02, half + 0.004, tall / 2), tuple(centre)
        parts += [Part(kind="box", half_size=size, centre=place, paint=_BLACK, rotation=turn)]
        if not s or not show.texture:
            parts += [panel(tuple(centre + 0.024 * normal), right * half, (0, 0, tall / 2 - 0.025), show)]
    if low < 0.2:
        return [*parts, *_neck(pick(rng, ("feet", "bow", "plate")), y, 0.0, low, rng)]
    wood = plain(finish.wood)
    parts += [rod((-0.25, s * 0.34 * y, 0), (-0.04, s * 0.3 * y, low + 0.8 * tall), 0.022, wood) for s in (-1, 1)]
    parts += [rod((0.2, s * 0.34 * y, 0), (-0.04, s * 0.32 * y, low + 0.1), 0.022, wood) for s in (-1, 1)]
    return [*parts, box((-0.18, 0.16), (-0.34 * y, 0.34 * y), (0.2, 0.225), wood)]


TVS: tuple[Look, ...] = (_bare_tv, _console_tv, _stand_tv, _monitor_tv, _curved_tv)
