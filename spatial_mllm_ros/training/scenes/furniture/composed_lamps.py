"""Lamps put together from feet, poles and shades."""

from __future__ import annotations

import math

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, chain, on_circle, pick, plain, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["LAMPS"]

_TINTS = (
    (1.0, 0.93, 0.55),
    (0.98, 0.87, 0.4),
    (1.0, 0.9, 0.3),
    (0.95, 0.82, 0.26),
    (1.0, 0.95, 0.64),
    (0.9, 0.78, 0.2),
)
_BULB = Paint(colour=(1.0, 0.96, 0.85), glow=0.7)


def _cloth(rng: np.random.Generator) -> Paint:
    return Paint(
        colour=pick(rng, _TINTS), texture=pick(rng, ("weave", "", "", "pinstripe")), glow=rng.uniform(0.4, 0.6)
    )


def _shade(
    kind: str, at: tuple[float, float, float], size: float, finish: Finish, rng: np.random.Generator
) -> list[Part]:
    """Make a shade about 2 * size wide whose underside is at `at`."""
    x, y, z = at
    cloth, metal = _cloth(rng), pick(rng, (finish.metal, finish.enamel))
    if kind == "drum":
        return [cylinder(x, y, (z, z + size * rng.uniform(0.9, 1.6)), size, cloth)]
    if kind == "cone":
        return cone(x, y, (z, z + 1.4 * size), (size, size * rng.uniform(0.3, 0.65)), cloth, steps=6)
    if kind == "bell":
        return [
            cylinder(x, y, (z, z + 0.06), size, cloth),
            *cone(x, y, (z + 0.06, z + 1.3 * size), (0.75 * size, 0.45 * size), cloth, steps=4),
        ]
    if kind == "dome":
        rim = cylinder(x, y, (z, z + 0.05), size, metal)
        return [
            rim,
            ellipsoid((x, y, z + 0.05), (0.98 * size, 0.98 * size, 0.75 * size), metal),
            ellipsoid((x, y, z), (0.5 * size,) * 2 + (0.3 * size,), _BULB),
        ]
    if kind == "bowl":  # shines up
        return [
            *cone(x, y, (z, z + 0.6 * size), (0.25 * size, size), metal, steps=5),
            cylinder(x, y, (z + 0.6 * size, z + 0.6 * size + 0.01), 0.92 * size, _BULB),
        ]
    if kind == "box":
        return [box((x - size, x + size), (y - size, y + size), (z, z + 1.3 * size), plain(cloth))]
    if kind == "disc":
        return [cylinder(x, y, (z, z + 0.035), 1.1 * size, metal), cylinder(x, y, (z - 0.012, z), 0.95 * size, _BULB)]
    return [ellipsoid((x, y, z + size), (size,) * 3, pick(rng, (_BULB, cloth)))]


def _foot(kind: str, finish: Finish, rng: np.random.Generator) -> list[Part]:
    paint, size = (
        pick(rng, (finish.metal, finish.wood, finish.enamel, Paint(colour=(0.9, 0.89, 0.87), texture="marble"))),
        rng.uniform(0.12, 0.19),
    )
    if kind == "block":
        return [box((-size, size), (-0.7 * size, 0.7 * size), (0, 0.07), paint)]
    if kind == "ball":
        return [ellipsoid((0, 0, 0.1), (size, size, 0.1), paint)]
    if kind == "cross":
        return [
            rod((-size * c, -size * s, 0.02), (size * c, size * s, 0.02), 0.016, finish.metal)
            for c, s in ((0.7, 0.7), (0.7, -0.7))
        ]
    if kind == "spider":
        return [rod((1.4 * a, 1.4 * b, 0), (0, 0, 0.2), 0.014, finish.metal) for a, b in on_circle(3, size, 0.3)]
    if kind == "steps":
        return [cylinder(0, 0, (0.03 * i, 0.03 * i + 0.03), size * (1 - 0.25 * i), paint) for i in range(3)]
    return [cylinder(0, 0, (0, 0.03), size, paint)]


_FEET = ("disc", "block", "ball", "cross", "spider", "steps")


def _pole_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, size, paint = (
        rng.uniform(1.3, 1.65),
        rng.uniform(0.15, 0.26),
        pick(rng, (finish.metal, finish.wood, finish.enamel)),
    )
    parts = [
        *_foot(pick(rng, _FEET), finish, rng),
        cylinder(0, 0, (0.02, height + 0.03), rng.uniform(0.01, 0.026), paint),
    ]
    if rng.random() < 0.3:
        parts += [
            ellipsoid((0, 0, z), (0.035, 0.035, 0.05), paint)
            for z in np.linspace(0.3, height - 0.2, int(rng.integers(2, 5)))
        ]
    if rng.random() < 0.25:
        parts += [cylinder(0, 0, (0.5, 0.525), 0.2, paint)]
    return [
        *parts,
        *_shade(pick(rng, ("drum", "cone", "bell", "bowl", "box", "ball")), (0, 0, height), size, finish, rng),
    ]


def _arm_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a lamp whose shade hangs in front of its pole: from a bow, a crook, a folding arm or a gallows."""
    kind, height, reach, paint = (
        pick(rng, ("bow", "crook", "folding", "gallows")),
        rng.uniform(1.25, 1.7),
        rng.uniform(0.35, 0.75),
        finish.metal,
    )
    start = -0.5 * reach
    if kind == "bow":
        line = [
            (start + reach * (1 - math.cos(a)) / 2 * 1.15, 0, height * math.sin(min(a, 2.35) * 0.67) ** 0.9)
            for a in np.linspace(0.0, 2.6, 8)
        ]
    elif kind == "crook":
        line = [
            (start, 0, 0),
            (start, 0, height - 0.2),
            *(
                (start + 0.3 * reach * (1 - math.cos(a)), 0, height - 0.2 + 0.2 * math.sin(a))
                for a in np.linspace(0.5, math.pi, 5)
            ),
        ]
    elif kind == "folding":
        line = [(start, 0, 0), (start, 0, 0.55 * height), (start - 0.15, 0, 0.8 * height), (0.4 * reach, 0, height)]
    else:
        line = [(start, 0, 0), (start, 0, height), (0.5 * reach, 0, height)]
    x, _, z = line[-1]
    size, drop = rng.uniform(0.13, 0.22), rng.uniform(0.03, 0.2) if kind in ("gallows", "bow") else 0.0
    shade_kind = pick(rng, ("dome", "cone", "ball", "drum", "dome"))
    tall = 2 * size if shade_kind == "ball" else 0.8 * size
    foot = [
        cylinder(
            start,
            0,
            (0, 0.05),
            rng.uniform(0.14, 0.2),
            pick(rng, (paint, Paint(colour=(0.9, 0.89, 0.87), texture="marble"))),
        )
    ]
    hang = [rod((x, 0, z), (x, 0, z - drop - 0.01), 0.007, paint)]
    return [
        *foot,
        *chain(line, rng.uniform(0.011, 0.018), paint),
        *hang,
        *_shade(shade_kind, (x, 0, z - drop - tall), size, finish, rng),
    ]


def _leg_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a shade on three or four long legs, or a spotlight on them."""
    height, size, count, paint = (
        rng.uniform(1.0, 1.4),
        rng.uniform(0.15, 0.26),
        int(rng.integers(3, 5)),
        pick(rng, (finish.wood, finish.metal, finish.enamel)),
    )
    spread = rng.uniform(0.2, 0.32)
    parts = [
        rod((a, b, 0), (0.1 * a, 0.1 * b, height), 0.015, paint) for a, b in on_circle(count, spread, rng.uniform(0, 1))
    ]
    kind = pick(rng, ("cone", "ball", "box", "spot", "bell", "shelf"))
    if kind == "shelf":
        parts += [cylinder(0, 0, (0.4 * height, 0.4 * height + 0.025), 0.62 * spread, paint)]
    if kind == "spot":
        face = rod((0.13, 0, height + 0.07), (0.145, 0, height + 0.06), 0.13, _BULB)
        return [*parts, rod((-0.14, 0, height + 0.2), (0.13, 0, height + 0.07), 0.15, finish.metal), face]
    return [*parts, *_shade("drum" if kind == "shelf" else kind, (0, 0, height - 0.02), size, finish, rng)]


def _table_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a lamp with a thick body: a vase, balls, a block, a column or a mushroom."""
    kind, wide, tall = (
        pick(rng, ("vase", "balls", "block", "column", "mushroom", "waist")),
        rng.uniform(0.1, 0.15),
        rng.uniform(0.28, 0.45),
    )
    paint = pick(rng, (finish.enamel, finish.wood, finish.second, finish.metal))
    if kind == "mushroom":
        cap = pick(rng, (_BULB, finish.enamel))
        return [
            *cone(0, 0, (0, tall), (wide, 0.5 * wide), plain(paint), steps=5),
            ellipsoid((0, 0, tall), (1.9 * wide, 1.9 * wide, 1.1 * wide), cap),
            cylinder(0, 0, (tall - 0.03, tall), 1.85 * wide, _BULB),
        ]
    parts = [
        cylinder(0, 0, (0, 0.02), 0.8 * wide, finish.metal),
        cylinder(0, 0, (tall - 0.05, tall + 0.1), 0.014, finish.metal),
    ]
    if kind == "vase":
        parts += [ellipsoid((0, 0, 0.5 * tall), (wide, wide, 0.5 * tall), paint)]
    elif kind == "balls":
        parts += [
            ellipsoid((0, 0, (i + 0.5) * tall / 3), (0.2 * tall * (1.1 - 0.15 * i),) * 2 + (tall / 6,), paint)
            for i in range(3)
        ]
    elif kind == "block":
        parts += [box((-0.7 * wide, 0.7 * wide), (-0.7 * wide, 0.7 * wide), (0.02, tall), paint)]
    elif kind == "waist":
        parts += [
            *cone(0, 0, (0, tall / 2), (wide, 0.3 * wide), paint, steps=4),
            *cone(0, 0, (tall / 2, tall), (0.3 * wide, 0.8 * wide), paint, steps=4),
        ]
    else:
        parts += [cylinder(0, 0, (0.02, tall), 0.4 * wide, paint)]
    return [
        *parts,
        *_shade(pick(rng, ("drum", "cone", "bell", "box")), (0, 0, tall + 0.06), rng.uniform(0.17, 0.24), finish, rng),
    ]


def _many_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make several lights on one pole, a stack of paper lanterns, or a thin glowing column."""
    kind, height, paint = pick(rng, ("tree", "tree", "lanterns", "column", "ring")), rng.uniform(1.2, 1.6), finish.metal
    if kind == "lanterns":
        count, size = int(rng.integers(3, 6)), rng.uniform(0.15, 0.2)
        step = height / count
        cloth = Paint(colour=pick(rng, _TINTS[:4]), glow=0.5)
        stack = [
            ellipsoid((0, 0, 0.12 + (i + 0.5) * step), (size * (0.85 + 0.3 * (i % 2)),) * 2 + (0.54 * step,), cloth)
            for i in range(count)
        ]
        return [*stand("tripod", 0.3, 0.3, 0.16, 0.012, paint), *stack]
    parts = _foot(pick(rng, ("disc", "block", "steps")), finish, rng)
    if kind == "column":
        return [
            *parts,
            cylinder(0, 0, (0.03, 0.15), 0.05, paint),
            cylinder(0, 0, (0.15, height), rng.uniform(0.06, 0.1), _BULB),
            cylinder(0, 0, (height, height + 0.03), 0.1, paint),
        ]
    parts += [cylinder(0, 0, (0.02, height), 0.016, paint)]
    if kind == "ring":
        r = rng.uniform(0.2, 0.3)
        hoop = [(0, r * math.cos(a), height + r + r * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 13)]
        return [*parts, *chain(hoop, 0.025, _BULB)]
    count, shade = int(rng.integers(3, 6)), pick(rng, ("ball", "cone", "bowl", "ball"))
    for index, (a, b) in enumerate(on_circle(count, rng.uniform(0.18, 0.3), 0.4)):
        z = height - pick(rng, (0.0, 0.18)) * index
        parts += [rod((0, 0, z - 0.1), (a, b, z), 0.01, paint)]
        parts += (
            [ellipsoid((a, b, z + 0.07), (0.09,) * 3, _BULB)]
            if shade == "ball"
            else cone(a, b, (z, z + 0.15), (0.09, 0.04) if shade == "cone" else (0.04, 0.1), _cloth(rng), steps=3)
        )
    return parts


LAMPS: tuple[Look, ...] = (_pole_lamp, _arm_lamp, _leg_lamp, _table_lamp, _many_lamp)
