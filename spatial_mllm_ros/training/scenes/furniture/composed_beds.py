"""Beds put together from bases, head and foot boards, rails and bedding. The head is at -x; the bed is 2 m long."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front, legs
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, arc, chain, pick, plain, slab
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["BEDS"]

_LINEN = Paint(colour=(0.96, 0.95, 0.92))


def _bedding(y: float, low: float, finish: Finish, rng: np.random.Generator, thick: float = 0.2) -> list[Part]:
    """Make mattress, cover and pillows from height `low` up."""
    high, start = low + thick, pick(rng, (-0.45, -0.25, 0.1))
    cover = dataclasses.replace(
        pick(rng, (finish.second, finish.fabric)), texture=pick(rng, ("quilt", "plaid", "dots", "weave", "carpet"))
    )
    parts = [box((-0.98, 0.97), (-y / 2 + 0.02, y / 2 - 0.02), (low, high), _LINEN)]
    parts += [box((start, 0.99), (-y / 2, y / 2), (low + pick(rng, (0.0, 0.1)) * thick, high + 0.03), cover)]
    if rng.random() < 0.5:
        parts += [
            box((start - 0.14, start), (-y / 2 + 0.005, y / 2 - 0.005), (high - 0.1, high + 0.036), _LINEN.darker(0.9))
        ]
    if rng.random() < 0.35:
        parts += [box((0.45, 0.75), (-y / 2 - 0.01, y / 2 + 0.01), (high - 0.12, high + 0.042), plain(finish.fabric))]
    places = ((0.0, y / 3),) if y < 1.0 else ((-y / 4, y / 5), (y / 4, y / 5))
    for at, wide in places:
        if rng.random() < 0.5:
            parts += [slab((-0.66, at, high + 0.04), (-0.9, at, high + 0.16), 2 * wide, 0.12, _LINEN)]
        else:
            parts += [
                ellipsoid((-0.76, at, high + 0.05), (0.19, wide, 0.09), pick(rng, (_LINEN, plain(finish.second))))
            ]
    return parts


def _board(
    kind: str, x: float, y: float, z: tuple[float, float], finish: Finish, rng: np.random.Generator
) -> list[Part]:
    """Make a head or foot board at x, from height z[0] to z[1]."""
    low, high = z
    wood, edge = plain(finish.wood), y / 2 + 0.02
    posts = [cylinder(x, s * edge, (0, high + 0.03), 0.03, finish.wood) for s in (-1, 1)]
    if kind == "planks":
        levels = np.linspace(low, high, 4)
        return [
            *posts,
            *(
                box((x - 0.02, x + 0.02), (-edge, edge), (a + 0.015, b - 0.015), wood)
                for a, b in zip(levels, levels[1:])
            ),
        ]
    if kind == "slats":
        rails = [box((x - 0.02, x + 0.02), (-edge, edge), (a, a + 0.06), wood) for a in (low, high - 0.06)]
        return [
            *posts,
            *rails,
            *(
                box((x - 0.012, x + 0.012), (at - 0.03, at + 0.03), (low, high), wood)
                for at in np.linspace(-0.38, 0.38, 6) * y
            ),
        ]
    if kind == "bow":
        rise = [(x, edge * c, high - 0.22 + 0.22 * s) for c, s in arc(0, math.pi, 8)]
        bars = [
            cylinder(x, at, (low, high - 0.22 + 0.2 * math.sqrt(1 - (at / edge) ** 2)), 0.011, finish.metal)
            for at in np.linspace(-0.36, 0.36, 5) * y
        ]
        return [
            *(cylinder(x, s * edge, (0, high - 0.2), 0.022, finish.metal) for s in (-1, 1)),
            *chain(rise, 0.022, finish.metal),
            *bars,
        ]
    if kind == "arch":
        return [
            box((x - 0.025, x + 0.025), (-edge, edge), (0.0, high - 0.2), finish.wood),
            ellipsoid((x, 0, high - 0.22), (0.024, edge * 0.98, 0.2), wood),
        ]
    if kind == "padded":
        count = int(rng.integers(3, 6))
        edges = np.linspace(-edge, edge, count + 1)
        return [
            box((x - 0.05, x + 0.04), (a + 0.006, b - 0.006), (0.1, high), plain(finish.fabric))
            for a, b in zip(edges, edges[1:])
        ]
    if kind == "roll":
        lean = 0.1 if x < 0 else -0.1
        return [
            slab((x, 0, 0.05), (x - lean, 0, high - 0.06), 2 * edge, 0.045, finish.wood),
            rod((x - lean, -edge, high - 0.05), (x - lean, edge, high - 0.05), 0.055, wood),
        ]
    return [box((x - 0.03, x + 0.03), (-edge, edge), (0.05, high), finish.wood)]


def _bed(heads: tuple[str, ...], has_foot: float, finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, low = rng.uniform(0.85, 1.7), rng.uniform(0.24, 0.36)
    kind, head = pick(rng, heads), rng.uniform(0.8, 1.2)
    frame = plain(finish.metal if kind == "bow" else finish.fabric if kind == "padded" else finish.wood)
    sides = [
        box((-1.0, 1.0), sorted((s * y / 2, s * (y / 2 - 0.04))), (low - 0.14, low + 0.04), frame.darker(0.9))
        for s in (-1, 1)
    ]
    parts = [*sides, *_board(kind, -1.03, y, (low, head), finish, rng)]
    if rng.random() < has_foot:
        parts += _board(kind, 1.03, y, (low - 0.1, rng.uniform(0.5, 0.72)), finish, rng)
    else:
        parts += [
            box((0.97, 1.01), (-y / 2, y / 2), (low - 0.14, low + 0.06), frame),
            *(cylinder(0.95, s * (y / 2 - 0.05), (0, low - 0.1), 0.03, frame) for s in (-1, 1)),
        ]
    return [*parts, *_bedding(y, low, finish, rng)]


def _divan_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, low, body = (
        rng.uniform(0.95, 1.7),
        rng.uniform(0.26, 0.4),
        plain(pick(rng, (finish.fabric, finish.enamel, finish.wood))),
    )
    foot = rng.uniform(0.02, 0.1)
    parts = [*legs(1.8, y - 0.1, foot, 0.03, finish.metal), box((-1.0, 1.0), (-y / 2, y / 2), (foot, low), body)]
    if rng.random() < 0.5:
        for side, kind in ((1, 0), (1, 1), (-1, 0), (-1, 1)):  # drawers in both sides
            a = -0.95 + 0.97 * kind
            parts += [
                box(
                    (a, a + 0.92),
                    sorted((side * y / 2, side * (y / 2 + 0.008))),
                    (foot + 0.03, low - 0.03),
                    body.darker(0.88),
                )
            ]
            parts += [
                ellipsoid((a + 0.46, side * (y / 2 + 0.015), (foot + low) / 2), (0.05, 0.012, 0.012), finish.metal)
            ]
    head = pick(rng, ("none", "padded", "wings", "tufted"))
    cover, high = plain(finish.fabric).darker(0.85), rng.uniform(0.85, 1.25)
    if head == "padded":
        parts += _board("padded", -1.05, y, (low, high), finish, rng)
    elif head != "none":
        parts += [box((-1.1, -1.0), (-y / 2 - 0.04, y / 2 + 0.04), (0.04, high), finish.fabric)]
    if head == "wings":
        parts += [
            box((-1.05, -0.75), sorted((s * (y / 2 + 0.01), s * (y / 2 + 0.07))), (0.04, high), cover) for s in (-1, 1)
        ]
    if head == "tufted":
        parts += [
            ellipsoid((-1.0, at, z), (0.015, 0.025, 0.025), cover.darker(0.6))
            for z in (high - 0.15, high - 0.35)
            for at in np.linspace(-0.38, 0.38, 4) * y
        ]
    return [*parts, *_bedding(y, low, finish, rng, rng.uniform(0.18, 0.3))]


def _railed_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a bunk bed, a child's bed with rails, or a day bed with a rail at its back."""
    y, kind, paint = (
        rng.uniform(0.8, 0.95),
        pick(rng, ("bunk", "bunk", "child", "day")),
        plain(pick(rng, (finish.wood, finish.metal, finish.enamel))),
    )
    top = 1.55 if kind == "bunk" else 0.85
    parts = [
        box((a * 1.0 - 0.03, a * 1.0 + 0.03), (b * y / 2 - 0.03, b * y / 2 + 0.03), (0, top), paint)
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    decks = (0.28, 1.05) if kind == "bunk" else (0.3,)
    for low in decks:
        parts += [
            box((-1, 1), (-y / 2, y / 2), (low - 0.1, low), paint.darker(0.9)),
            *_bedding(y - 0.06, low, finish, rng, 0.13),
        ]
    for a in (-1, 1):
        parts += [rod((a, -y / 2, z), (a, y / 2, z), 0.022, paint) for z in (top - 0.04, top - 0.2)]
    for s in (-1, 1) if kind != "day" else (1,):
        reach = 1.0 if s > 0 or kind == "child" else 0.4
        parts += [rod((-1, s * y / 2, z), (reach, s * y / 2, z), 0.022, paint) for z in (top - 0.06, top - 0.2)]
    if kind == "day":
        parts += [
            ellipsoid((at, y / 2 - 0.14, 0.56), (0.24, 0.09, 0.16), plain(p))
            for at, p in ((-0.3, finish.second), (0.4, finish.fabric))
        ]
    if kind == "bunk":
        parts += [rod((at, -y / 2 - 0.14, 0), (at, -y / 2 - 0.03, top - 0.1), 0.018, paint) for at in (0.55, 0.88)]
        parts += [
            rod(
                (0.55, -y / 2 - 0.14 + 0.11 * t, t * (top - 0.1)),
                (0.88, -y / 2 - 0.14 + 0.11 * t, t * (top - 0.1)),
                0.014,
                paint,
            )
            for t in (0.2, 0.4, 0.6)
        ]
    return parts


def _platform_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a low bed: on a wide platform, a futon on the floor, with a shelf at its head, or with a roof over it."""
    y, kind = rng.uniform(1.1, 1.6), pick(rng, ("platform", "futon", "shelf", "roof"))
    wood, low = finish.wood, 0.08 if kind == "futon" else rng.uniform(0.18, 0.28)
    parts = _bedding(y, low, finish, rng, 0.14 if kind == "futon" else 0.2)
    if kind == "futon":
        return [
            *parts,
            *(
                box((-1.02, 1.02), (at - 0.06, at + 0.06), (0, low), plain(wood))
                for at in np.linspace(-0.45, 0.45, 5) * y
            ),
        ]
    grow = 0.16 if kind == "platform" else 0.03
    parts += [box((-1.04, 1.02 + grow), (-y / 2 - grow, y / 2 + grow), (low - 0.06, low), wood)]
    parts += [box((-0.85, 0.85), (-y / 2 + 0.12, y / 2 - 0.12), (0, low - 0.06), plain(wood).darker(0.4))]
    if kind == "roof":  # two posts at the head carry a short roof with curtains
        cloth, top = plain(finish.fabric), rng.uniform(1.35, 1.6)
        parts += [box((-1.06, -0.45), (-y / 2 - 0.05, y / 2 + 0.05), (top - 0.14, top), cloth)]
        parts += [
            box(
                (-1.06, -0.86),
                (s * (y / 2 + 0.02) - 0.03, s * (y / 2 + 0.02) + 0.03),
                (0, top - 0.14),
                cloth.darker(0.9),
            )
            for s in (-1, 1)
        ]
        return [*parts, box((-1.08, -1.04), (-y / 2, y / 2), (0, top - 0.14), cloth.darker(0.75))]
    if kind == "shelf":
        parts += [box((-1.3, -1.04), (-y / 2 - 0.03, y / 2 + 0.03), (0, 0.8), plain(wood))]
        parts += [
            front(
                -1.035, (s * y / 4 - y / 5, s * y / 4 + y / 5), (0.52, 0.76), Paint(colour=(1, 1, 1), texture="books")
            )
            for s in (-1, 1)
        ]
        return parts
    return [*parts, box((-1.08, -1.03), (-y / 2 - 0.2, y / 2 + 0.2), (low, rng.uniform(0.65, 0.9)), wood)]


BEDS: tuple[Look, ...] = (
    partial(_bed, ("planks", "slats", "flat", "arch"), 0.5),
    partial(_bed, ("bow", "roll", "padded", "slats"), 0.8),
    _divan_bed,
    _railed_bed,
    _platform_bed,
)
