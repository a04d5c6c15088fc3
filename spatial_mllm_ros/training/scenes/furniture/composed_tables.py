"""Tables put together from tops, stands, aprons, drawers and what lies on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, pick, plain, stadium, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["TABLES"]

_GLASS = Paint(colour=(0.68, 0.84, 0.86), shine=0.9, glow=0.1)
_WHITE = Paint(colour=(0.95, 0.95, 0.93))


def _things(x: float, y: float, z: float, finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make what lies on a table: nothing, a bowl, a vase, books, cups or a cloth."""
    kind, a, b = (
        pick(rng, ("", "", "bowl", "vase", "books", "cups", "cloth")),
        rng.uniform(-0.15, 0.15) * x,
        rng.uniform(-0.2, 0.2) * y,
    )
    if kind == "bowl":
        fruit = [
            ellipsoid((a + 0.04 * s, b + 0.03, z + 0.08), (0.045,) * 3, Paint(colour=(0.85, 0.5, 0.15)))
            for s in (-1, 1)
        ]
        return [ellipsoid((a, b, z + 0.03), (0.14, 0.14, 0.06), finish.enamel), *fruit]
    if kind == "vase":
        stem = rod((a, b, z), (a + 0.03, b, z + 0.3), 0.008, Paint(colour=(0.25, 0.5, 0.22)))
        return [
            ellipsoid((a, b, z + 0.09), (0.06, 0.06, 0.1), finish.enamel),
            stem,
            ellipsoid((a + 0.03, b, z + 0.32), (0.06, 0.06, 0.05), finish.second),
        ]
    if kind == "books":
        return [
            box((a, a + 0.2 - 0.02 * i), (b, b + 0.27 - 0.03 * i), (z + 0.03 * i, z + 0.03 * i + 0.028), plain(p))
            for i, p in enumerate((finish.fabric, finish.second, finish.enamel))
        ]
    if kind == "cups":
        return [cylinder(s * 0.25 * x, s * 0.2 * y, (z, z + 0.09), 0.04, _WHITE) for s in (-1, 1)]
    if kind == "cloth":
        return [box((-0.16 * x, 0.16 * x), (-0.36 * y, 0.36 * y), (z, z + 0.004), plain(finish.second))]
    return []


def _top(shape: str, x: float, y: float, z: tuple[float, float], paint: Paint) -> list[Part]:
    if shape == "round":
        return [cylinder(0, 0, z, x / 2, paint)]
    if shape == "oval":
        return stadium(x, y, z, paint)
    return [box((-x / 2, x / 2), (-y / 2, y / 2), z, paint)]


def _drawers(x: float, y: float, z: tuple[float, float], finish: Finish, count: int) -> list[Part]:
    """Make drawers side by side in an apron."""
    parts, edges = [], np.linspace(-y / 2, y / 2, count + 1)
    for low, high in zip(edges, edges[1:]):
        parts += [front(x, (low + 0.015, high - 0.015), (z[0] + 0.01, z[1] - 0.01), plain(finish.wood).darker(1.1))]
        parts += [ellipsoid((x + 0.012, (low + high) / 2, sum(z) / 2), (0.016,) * 3, finish.metal)]
    return parts


def _table(stands: tuple[str, ...], shapes: tuple[str, ...], finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind, shape = pick(rng, stands), pick(rng, shapes)
    height = pick(rng, (0.74, 0.74, 0.42, 0.6)) * rng.uniform(0.95, 1.05)
    x = rng.uniform(0.75, 1.1) if shape in ("round", "square") else rng.uniform(0.6, 0.95)
    y = x if shape in ("round", "square") else x * rng.uniform(1.4, 2.2)
    thick, spread = (
        rng.uniform(0.025, 0.07),
        rng.uniform(0.62, 0.72) if shape in ("round", "oval") else rng.uniform(0.84, 0.97),
    )
    under = height - thick
    base = (
        finish.metal
        if kind in ("hairpin", "runners")
        else pick(rng, (finish.wood.darker(0.85), finish.metal, finish.enamel))
    )
    parts = stand(kind, x * spread, y * spread, under, rng.uniform(0.02, 0.04), base)
    if kind in ("star", "tulip", "pedestal") and y > 1.3 * x:  # a long top needs two
        parts = [
            part for s in (-1, 1) for part in _moved(stand(kind, 0.8 * x, 0.8 * x, under, 0.03, base), s * 0.26 * y)
        ]
    top = pick(
        rng,
        (finish.wood, finish.wood, finish.enamel, _GLASS, Paint(colour=(0.9, 0.88, 0.86), texture="marble", shine=0.4)),
    )
    parts += _top(shape, x, y, (under, height), top)
    if kind in ("straight", "square", "turned", "braced") and shape in ("long", "square"):
        a, b, low = x * spread / 2 - 0.02, y * spread / 2 - 0.02, under - rng.uniform(0.07, 0.15)
        parts += [box((-a, a), (-b, b), (low, under), plain(base).darker(0.92))]
        if rng.random() < 0.5:
            parts += _drawers(a + 0.003, 1.9 * b, (low, under), finish, int(rng.integers(1, 4)))
    if rng.random() < 0.3 and kind in ("straight", "square", "turned") and shape != "round":
        parts += [
            box(
                (-0.4 * x * spread, 0.4 * x * spread),
                (-0.45 * y * spread, 0.45 * y * spread),
                (0.2 * height, 0.2 * height + 0.025),
                plain(base),
            )
        ]
    return [*parts, *_things(x, y, height, finish, rng)]


def _moved(parts: list[Part], y: float) -> list[Part]:
    return [replace(part, centre=(part.centre[0], part.centre[1] + y, part.centre[2])) for part in parts]


def _slab_table(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a table whose legs are boards: a waterfall, two cross walls, or a low one with a shelf."""
    height, x = pick(rng, (0.72, 0.42)) * rng.uniform(0.95, 1.05), rng.uniform(0.6, 0.9)
    y, thick, paint = x * rng.uniform(1.3, 2.1), rng.uniform(0.04, 0.07), pick(rng, (finish.wood, finish.enamel))
    kind = pick(rng, ("waterfall", "inset", "shelf", "cross"))
    parts = [box((-x / 2, x / 2), (-y / 2, y / 2), (height - thick, height), paint)]
    if kind == "cross":
        parts += [box((-0.3 * x, 0.3 * x), (-0.03, 0.03), (0, height - thick), plain(paint).darker(0.85))]
        parts += [box((-0.03, 0.03), (-0.33 * y, 0.33 * y), (0, height - thick), plain(paint).darker(0.85))]
    else:
        at = y / 2 if kind != "inset" else 0.36 * y
        parts += [box((-x / 2, x / 2), (s * at, s * (at - thick)), (0, height - thick), plain(paint)) for s in (-1, 1)]
    if kind in ("shelf", "inset"):
        inner = (y / 2 if kind != "inset" else 0.36 * y) - thick
        parts += [
            box((-0.42 * x, 0.42 * x), (-inner, inner), (0.3 * height, 0.3 * height + 0.03), plain(paint).darker(0.9))
        ]
    return [*parts, *_things(x, y, height, finish, rng)]


def _desk(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a writing desk on two chests of drawers, or on one and two legs."""
    x, y, height = rng.uniform(0.58, 0.75), rng.uniform(1.2, 1.6), rng.uniform(0.7, 0.76)
    body, wide, count = plain(pick(rng, (finish.wood, finish.enamel))), rng.uniform(0.34, 0.42), int(rng.integers(2, 4))
    sides = pick(rng, ((-1, 1), (1,), (-1,)))
    parts = [box((-x / 2, x / 2), (-y / 2, y / 2), (height - 0.04, height), finish.wood)]
    levels = np.linspace(0.08, height - 0.05, count + 1)
    for s in (-1, 1):
        edge = s * (y / 2 - 0.03)
        if s not in sides:
            parts += [rod((a, edge, 0), (a, edge, height - 0.04), 0.025, finish.metal) for a in (-0.4 * x, 0.4 * x)]
            continue
        span = sorted((edge, edge - s * wide))
        parts += [box((-x / 2 + 0.03, x / 2 - 0.03), span, (0.02, height - 0.04), body)]
        for low, high in zip(levels, levels[1:]):
            parts += [
                front(x / 2 - 0.027, (span[0] + 0.02, span[1] - 0.02), (low + 0.01, high - 0.01), body.darker(1.15))
            ]
            parts += [ellipsoid((x / 2 - 0.015, sum(span) / 2, (low + high) / 2), (0.015, 0.05, 0.012), finish.metal)]
    return [*parts, *_things(x, y, height, finish, rng)]


TABLES: tuple[Look, ...] = (
    partial(_table, ("straight", "square", "turned", "braced"), ("long", "long", "square")),
    partial(_table, ("splayed", "tripod", "pedestal", "tulip", "star", "hairpin"), ("round", "oval", "round")),
    partial(_table, ("trestle", "crossed", "runners", "hairpin", "splayed"), ("long", "square", "oval")),
    _slab_table,
    _desk,
)
