"""Refrigerators put together from bodies, doors, handles and what is on the doors or behind them."""

from __future__ import annotations

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front, legs
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, pick, plain
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["REFRIGERATORS"]

_BLACK = Paint(colour=(0.06, 0.06, 0.07), shine=0.5)
_STEEL = Paint(colour=(0.75, 0.77, 0.8), texture="brushed", shine=0.6)
_NOTES = ((0.98, 0.92, 0.45), (0.95, 0.6, 0.6), (0.6, 0.8, 0.95), (0.97, 0.97, 0.95))
_GAP = 0.009


def _shell(finish: Finish, rng: np.random.Generator) -> Paint:
    return pick(
        rng,
        (
            Paint(colour=(0.95, 0.95, 0.94), shine=0.45),
            _STEEL,
            finish.enamel.darker(0.9),
            finish.enamel,
        ),
    )


def _grip(paint: Paint, finish: Finish, rng: np.random.Generator) -> Paint:
    """Draw what handles are made of: something that shows on its door."""
    if sum(paint.colour) < 1.0:
        return plain(_STEEL)
    return pick(rng, (finish.metal, _BLACK, plain(paint).darker(0.6), plain(_STEEL).darker(0.85)))


def _door(x: float, y: tuple[float, float], z: tuple[float, float], paint: Paint) -> list[Part]:
    """Make a door 6 cm thick, its back at x."""
    y, z = (y[0] + _GAP / 2, y[1] - _GAP / 2), (z[0] + _GAP / 2, z[1] - _GAP / 2)
    parts = [box((x, x + 0.06), y, z, plain(paint))]
    return [*parts, front(x + 0.062, y, z, paint)] if paint.texture else parts


def _pull(x: float, a: tuple[float, float], b: tuple[float, float], paint: Paint, thick: float = 0.014) -> list[Part]:
    """Make a long handle between two points (y, z) on a front at x."""
    ends = [rod((x, *p), (x + 0.045, *p), 0.7 * thick, paint) for p in (a, b)]
    return [*ends, rod((x + 0.045, *a), (x + 0.045, *b), thick, paint)]


def _body(x: float, y: float, height: float, paint: Paint) -> list[Part]:
    """Make the box behind the doors, its feet and the grille under it."""
    grille = box((-x / 2 + 0.05, x / 2 + 0.01), (-y / 2 + 0.02, y / 2 - 0.02), (0.0, 0.07), _BLACK)
    return [grille, box((-x / 2, x / 2), (-y / 2, y / 2), (0.05, height - 0.01), plain(paint).darker(0.82))]


def _extras(x: float, y: float, height: float, rng: np.random.Generator) -> list[Part]:
    """Make notes and magnets on a door, or a badge."""
    if rng.random() < 0.3:
        spots = [(rng.uniform(-0.35, 0.3) * y, rng.uniform(0.62, 0.86) * height) for _ in range(3)]
        return [front(x + 0.063, (a, a + 0.1), (b, b + 0.12), Paint(colour=pick(rng, _NOTES))) for a, b in spots]
    return [front(x + 0.063, (-0.05, 0.05), (0.93 * height, 0.95 * height), _BLACK)] if rng.random() < 0.5 else []


def _stacked_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a freezer over or under the cold part, each with a door."""
    x, y, height, paint = rng.uniform(0.56, 0.66), rng.uniform(0.55, 0.75), rng.uniform(1.4, 1.9), _shell(finish, rng)
    split, s, grip = (
        height * pick(rng, (0.3, 0.38, 0.7, 0.76)),
        pick(rng, (-1, 1)),
        _grip(paint, finish, rng),
    )
    parts = [
        *_body(x, y, height, paint),
        *_door(x / 2, (-y / 2, y / 2), (0.08, split), paint),
        *_door(x / 2, (-y / 2, y / 2), (split, height), paint),
    ]
    edge = s * (y / 2 - 0.06)
    for low, high in ((0.08, split), (split, height)):
        reach = min(0.5, 0.75 * (high - low))
        span = (high - 0.05 - reach, high - 0.05) if high == split else (low + 0.05, low + 0.05 + reach)
        parts += _pull(x / 2 + 0.06, (edge, span[0]), (edge, span[1]), grip)
    return [*parts, *_extras(x / 2, y, height, rng)]


def _french_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make two doors over one or two wide drawers."""
    x, y, height, paint = rng.uniform(0.66, 0.74), rng.uniform(0.84, 0.98), rng.uniform(1.65, 1.85), _shell(finish, rng)
    split, grip = rng.uniform(0.55, 0.75), _grip(paint, finish, rng)
    levels = np.linspace(0.08, split, int(rng.integers(2, 4)))
    parts = [*_body(x, y, height, paint)]
    for low, high in zip(levels, levels[1:]):
        parts += [
            *_door(x / 2, (-y / 2, y / 2), (low, high), paint),
            *_pull(x / 2 + 0.06, (-0.36 * y, high - 0.06), (0.36 * y, high - 0.06), grip),
        ]
    for s in (-1, 1):
        a, b = sorted((0, s * y / 2))
        parts += [
            *_door(x / 2, (a, b), (split, height), paint),
            *_pull(x / 2 + 0.06, (s * 0.05, split + 0.08), (s * 0.05, height - 0.25), grip),
        ]
    if rng.random() < 0.4:
        parts += [front(x / 2 + 0.064, (0.16 * y, 0.34 * y), (1.1, 1.4), _BLACK)]
    return [*parts, *_extras(x / 2, y, height, rng)]


def _wide_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make unequal doors side by side or four doors, with a dispenser or a display."""
    x, y, height, paint = rng.uniform(0.62, 0.74), rng.uniform(0.82, 1.0), rng.uniform(1.65, 1.85), _shell(finish, rng)
    middle, split, grip = (
        y * pick(rng, (-0.1, 0.08, 0.0)),
        pick(rng, (0.08, 0.08, 0.8)),
        _grip(paint, finish, rng),
    )
    parts = _body(x, y, height, paint)
    for a, b in ((-y / 2, middle), (middle, y / 2)):
        s = 1 if b > middle else -1
        for low, high in ((0.08, split), (split, height)) if split > 0.1 else ((split, height),):
            parts += _door(x / 2, (a, b), (low, high), paint)
            parts += _pull(
                x / 2 + 0.06,
                (middle + s * 0.05, low + 0.15 * (high - low)),
                (middle + s * 0.05, high - 0.2 * (high - low)),
                grip,
            )
    at, kind = middle - 0.24 * y, pick(rng, ("tap", "display", "tap", ""))
    if kind == "tap":
        parts += [
            front(x / 2 + 0.064, (at - 0.09, at + 0.09), (1.0, 1.38), _BLACK),
            front(x / 2 + 0.066, (at - 0.06, at + 0.06), (1.28, 1.35), Paint(colour=(0.4, 0.7, 0.9), glow=0.4)),
        ]
    elif kind == "display":
        parts += [front(x / 2 + 0.064, (0.12 * y, 0.4 * y), (1.0, 1.5), _BLACK)]
    return [*parts, *_extras(x / 2, y, height, rng)]


def _single_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make one door over the whole height: a plain larder, one with round edges, or a low one on feet."""
    kind, paint, s = pick(rng, ("larder", "round", "low")), _shell(finish, rng), pick(rng, (-1, 1))
    x, y, height = (
        rng.uniform(0.54, 0.62),
        rng.uniform(0.54, 0.66),
        rng.uniform(0.82, 0.95) if kind == "low" else rng.uniform(1.4, 1.8),
    )
    edge, grip = s * (y / 2 - 0.07), _grip(paint, finish, rng)
    parts = [
        *legs(x - 0.06, y - 0.06, 0.06, 0.025, _BLACK),
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.06, height), plain(paint).darker(0.82)),
    ]
    if kind == "round":
        skin, r = plain(paint), 0.06
        parts += [cylinder(x / 2, t * (y / 2 - r), (0.1, height - r), r, skin) for t in (-1, 1)]
        parts += [rod((x / 2, -y / 2 + r, height - r), (x / 2, y / 2 - r, height - r), r, skin)]
        parts += [ellipsoid((x / 2, t * (y / 2 - r), height - r), (r, r, r), skin) for t in (-1, 1)]
        parts += [box((x / 2, x / 2 + r), (-y / 2 + r, y / 2 - r), (0.1, height - r), skin)]
        parts += [
            box((x / 2 + r - 0.01, x / 2 + r + 0.003), (-y / 2 + 0.02, y / 2 - 0.02), (z, z + 0.014), finish.metal)
            for z in pick(rng, ((0.3,), (0.7 * height,), (0.3, 0.7 * height)))
        ]
    else:
        parts += [
            *_door(x / 2, (-y / 2, y / 2), (0.08, height - 0.05), paint),
            box(
                (-x / 2, x / 2 + 0.05),
                (-y / 2, y / 2),
                (height - 0.04, height),
                plain(paint),
            ),
        ]
    long, top = (0.3, height - 0.1) if kind == "low" else (rng.uniform(0.3, 0.9), 0.78 * height)
    parts += _pull(x / 2 + 0.06, (edge, max(0.2, top - long)), (edge, top), grip, 0.017)
    return [*parts, *_extras(x / 2, y, height, rng)]


def _open_refrigerator(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a household refrigerator whose upper door stands open: white inside, with food on racks."""
    x, y, height, paint, s = (
        0.6,
        rng.uniform(0.6, 0.72),
        rng.uniform(1.55, 1.8),
        plain(_shell(finish, rng)),
        pick(rng, (-1, 1)),
    )
    split, inside = rng.uniform(0.45, 0.65), Paint(colour=(0.96, 0.98, 1.0), glow=0.3)
    parts = [
        *_body(x, y, height, paint),
        *_door(x / 2, (-y / 2, y / 2), (0.08, split), paint),
        *_pull(x / 2 + 0.06, (-0.3 * y, split - 0.07), (0.3 * y, split - 0.07), finish.metal),
    ]
    parts += [front(x / 2 + 0.003, (-y / 2 + 0.04, y / 2 - 0.04), (split + 0.03, height - 0.05), inside)]
    hinge = s * y / 2
    parts += [box((x / 2, x / 2 + y - 0.05), sorted((hinge, hinge + s * 0.07)), (split, height), paint)]
    parts += [
        box((x / 2 + 0.1, x / 2 + y - 0.15), sorted((hinge, hinge - s * 0.07)), (z, z + 0.09), inside)
        for z in (split + 0.12, split + 0.5)
    ]
    for z in np.linspace(split + 0.06, height - 0.4, 3):
        parts += [box((x / 2, x / 2 + 0.05), (-y / 2 + 0.05, y / 2 - 0.05), (z, z + 0.012), plain(_STEEL))]
        for at in (-0.25, 0.2):
            colour = pick(rng, ((0.8, 0.25, 0.2), (0.35, 0.6, 0.25), (0.95, 0.75, 0.25), (0.9, 0.9, 0.85)))
            parts += [
                box(
                    (x / 2, x / 2 + 0.04),
                    (at * y - 0.06, at * y + 0.07),
                    (z + 0.012, z + rng.uniform(0.1, 0.2)),
                    Paint(colour=colour),
                )
            ]
    return parts


REFRIGERATORS: tuple[Look, ...] = (
    _stacked_refrigerator,
    _french_refrigerator,
    _wide_refrigerator,
    _single_refrigerator,
    _open_refrigerator,
)
