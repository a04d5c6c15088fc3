"""Plants put together from pots, stems and leaves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, chain, on_circle, pick, plain, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["PLANTS"]

_SOIL = Paint(colour=(0.2, 0.14, 0.1))
_CLAYS = ((0.75, 0.4, 0.28), (0.92, 0.92, 0.9), (0.3, 0.31, 0.34), (0.3, 0.5, 0.6), (0.85, 0.7, 0.4), (0.55, 0.62, 0.5))
_PETALS = (
    (0.95, 0.4, 0.55),
    (0.98, 0.85, 0.3),
    (0.95, 0.95, 0.97),
    (0.85, 0.2, 0.25),
    (0.65, 0.45, 0.85),
    (0.98, 0.6, 0.25),
)
_BARK = Paint(colour=(0.42, 0.31, 0.21))


def _green(rng: np.random.Generator) -> Paint:
    base = pick(rng, ((0.2, 0.5, 0.2), (0.12, 0.36, 0.18), (0.45, 0.6, 0.25), (0.4, 0.55, 0.45)))
    return Paint(colour=tuple(float(c * rng.uniform(0.85, 1.15)) for c in base))


def _pot(finish: Finish, rng: np.random.Generator, kinds: tuple[str, ...] = ()) -> tuple[list[Part], float]:
    """Make a pot with soil; also return the height of the soil."""
    kind = pick(rng, kinds or ("taper", "straight", "box", "bowl", "urn", "basket", "legs"))
    paint, wide, tall = Paint(colour=pick(rng, _CLAYS), shine=0.15), rng.uniform(0.14, 0.2), rng.uniform(0.22, 0.36)
    soil = cylinder(0, 0, (tall - 0.01, tall + 0.004), 0.88 * wide, _SOIL)
    if kind == "box":
        return [
            box((-wide, wide), (-wide, wide), (0, tall), paint),
            box((-0.88 * wide, 0.88 * wide), (-0.88 * wide, 0.88 * wide), (tall, tall + 0.004), _SOIL),
        ], tall
    if kind == "bowl":
        low = 0.62 * tall
        return [
            *cone(0, 0, (0, low), (0.7 * wide, 1.25 * wide), paint, steps=4),
            cylinder(0, 0, (low, low + 0.004), 1.15 * wide, _SOIL),
        ], low
    if kind == "urn":
        return [
            ellipsoid((0, 0, 0.5 * tall), (1.15 * wide, 1.15 * wide, 0.52 * tall), paint),
            cylinder(0, 0, (0.85 * tall, tall - 0.005), 0.95 * wide, paint),
            soil,
        ], tall
    if kind == "legs":
        low = rng.uniform(0.1, 0.25)
        feet = stand("splayed", 2.1 * wide, 2.1 * wide, low + 0.05, 0.014, pick(rng, (finish.wood, finish.metal)))
        return [
            *feet,
            cylinder(0, 0, (low, low + tall - 0.05), wide, paint),
            cylinder(0, 0, (low + tall - 0.05, low + tall - 0.046), 0.9 * wide, _SOIL),
        ], low + tall - 0.05
    if kind == "basket":
        return [
            cylinder(0, 0, (0, tall), wide, Paint(colour=(0.75, 0.6, 0.4), texture="weave")),
            cylinder(0, 0, (tall, tall + 0.004), 0.9 * wide, _SOIL),
        ], tall
    if kind == "straight":
        return [cylinder(0, 0, (0, tall - 0.005), wide, paint), soil], tall
    return [
        *cone(0, 0, (0, tall - 0.05), (0.7 * wide, wide), paint, steps=3),
        cylinder(0, 0, (tall - 0.05, tall - 0.002), 1.08 * wide, paint),
        soil,
    ], tall


def _leaf(
    base: tuple[float, float, float],
    turn: float,
    lift: float,
    long: float,
    wide: float,
    paint: Paint,
    thick: float = 0.012,
) -> Part:
    """Make a leaf that leaves `base` at an angle `lift` over the horizontal."""
    half = long / 2
    centre = (
        base[0] + half * math.cos(lift) * math.cos(turn),
        base[1] + half * math.cos(lift) * math.sin(turn),
        base[2] + half * math.sin(lift),
    )
    return ellipsoid(centre, (half, wide / 2, thick), paint, lean=-lift, turn=turn)


def _blade_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make blades that rise from the soil: upright swords, a rosette, or grass."""
    parts, z = _pot(finish, rng)
    kind, paint = pick(rng, ("swords", "rosette", "grass")), _green(rng)
    count, long, wide = {"swords": (11, 0.75, 0.085), "rosette": (15, 0.5, 0.1), "grass": (17, 0.7, 0.03)}[kind]
    for index in range(count):
        turn, share = index * 2.4, index / count
        lift = {"swords": rng.uniform(1.2, 1.5), "rosette": 0.25 + 1.15 * share, "grass": rng.uniform(0.75, 1.5)}[kind]
        at = (0.07 * math.cos(turn), 0.07 * math.sin(turn), z - 0.02)
        parts += [
            _leaf(
                at,
                turn,
                lift,
                long * rng.uniform(0.7, 1.1),
                wide,
                paint.darker(rng.uniform(0.8, 1.25)),
                0.02 if kind == "rosette" else 0.01,
            )
        ]
    return parts


def _broad_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make large leaves on stalks: round, heart-like or long, all from the soil or up a stem."""
    parts, z = _pot(finish, rng)
    is_climbing, wide, height = rng.random() < 0.5, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.9)
    paint, count = _green(rng), int(rng.integers(7, 10))
    parts += [rod((0, 0, z), (0.03, 0, z + height), 0.016, paint.darker(0.7))] if is_climbing else []
    for index in range(count):
        turn, share = index * 2.4 + rng.uniform(-0.3, 0.3), (index + 1) / count
        reach, long = rng.uniform(0.12, 0.26), rng.uniform(0.24, 0.36)
        root = (0, 0, z + share * height * 0.9) if is_climbing else (0, 0, z)
        tip = (
            reach * math.cos(turn),
            reach * math.sin(turn),
            z + height * (share if is_climbing else rng.uniform(0.45, 1.0)),
        )
        parts += [rod(root, tip, 0.007, paint.darker(0.75))]
        parts += [_leaf(tip, turn, rng.uniform(-0.5, 0.5), long, long * wide, paint.darker(rng.uniform(0.8, 1.2)))]
    return parts


def _arching_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make leaves that bend over: a fern, or strands that hang from a pot on a stand."""
    parts, z = _pot(finish, rng, ("taper", "straight", "bowl", "basket", "urn"))
    paint, is_raised = _green(rng), rng.random() < 0.5
    if is_raised:  # on a tall stand
        from_floor = rng.uniform(0.45, 0.75)
        parts = [_lifted(part, from_floor) for part in parts]
        parts += [
            cylinder(0, 0, (from_floor - 0.025, from_floor), 0.17, finish.wood),
            *stand("splayed", 0.36, 0.36, from_floor - 0.02, 0.014, pick(rng, (finish.wood, finish.metal))),
        ]
        z += from_floor
    hang, wide = rng.uniform(0.2, 0.7) if is_raised else rng.uniform(0.0, 0.6), rng.uniform(0.05, 0.11)
    for index in range(8):
        turn, lift = index * 2.4, rng.uniform(0.35, 1.1)
        first = rng.uniform(0.2, 0.32)
        parts += [_leaf((0, 0, z), turn, lift, first, wide, paint.darker(rng.uniform(0.8, 1.2)))]
        reach = 0.92 * first * math.cos(lift)
        knee = (reach * math.cos(turn), reach * math.sin(turn), z + 0.92 * first * math.sin(lift))
        parts += [
            _leaf(
                knee,
                turn,
                -0.3 - hang * 1.3,
                rng.uniform(0.2, 0.3) * (1 + hang),
                wide,
                paint.darker(rng.uniform(0.8, 1.2)),
            )
        ]
    return parts


def _lifted(part: Part, up: float) -> Part:
    return replace(part, centre=(*part.centre[:2], part.centre[2] + up))


def _tree_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a small tree: a forked one with clumps, a bent bonsai, a fir, or a trunk with single leaves."""
    kind, paint = pick(rng, ("forked", "bonsai", "fir", "leafy")), _green(rng)
    parts, z = _pot(finish, rng, ("bowl",) if kind == "bonsai" else ("taper", "straight", "urn", "basket", "box"))
    leaves = Paint(colour=paint.colour, texture="carpet")
    if kind == "fir":
        height = rng.uniform(0.7, 1.0)
        return [
            *parts,
            cylinder(0, 0, (z, z + 0.14), 0.025, _BARK),
            *cone(0, 0, (z + 0.12, z + height), (0.3, 0.03), leaves, steps=8),
        ]
    if kind == "bonsai":
        trunk = [(0, 0, z), (0.06, 0.05, z + 0.15), (-0.02, 0.12, z + 0.3), (0.02, 0.02, z + 0.48)]
        pads = [(0.02, 0.02, 0.5, 0.2), (0.04, 0.26, 0.32, 0.15), (0.1, -0.22, 0.26, 0.16)]
        return [
            *parts,
            *chain(trunk, 0.026, _BARK),
            rod(trunk[1], (0.1, -0.2, z + 0.24), 0.014, _BARK),
            *(ellipsoid((a, b, z + h), (r, r, 0.075), leaves.darker(rng.uniform(0.85, 1.1))) for a, b, h, r in pads),
        ]
    height, count = rng.uniform(0.5, 0.8), int(rng.integers(3, 6))
    parts += [rod((0, 0, z), (0, 0, z + height), 0.022, _BARK)]
    for index, (a, b) in enumerate(on_circle(count, 0.17, rng.uniform(0, 1))):
        high = z + height + rng.uniform(0.05, 0.3)
        parts += [rod((0, 0, z + 0.75 * height), (a, b, high), 0.011, _BARK)]
        if kind == "forked":
            parts += [
                ellipsoid(
                    (1.1 * a, 1.1 * b, high + 0.05),
                    (rng.uniform(0.15, 0.22),) * 2 + (rng.uniform(0.1, 0.16),),
                    leaves.darker(rng.uniform(0.85, 1.15)),
                )
            ]
        else:
            parts += [
                _leaf(
                    (a, b, high),
                    index * 1.3 + 2.1 * k,
                    rng.uniform(-0.4, 0.6),
                    0.26,
                    0.12,
                    paint.darker(rng.uniform(0.8, 1.2)),
                )
                for k in range(3)
            ]
    return parts


def _flower_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make flowers on stems, in a pot or a trough, or a mound of bloom."""
    petal, paint, kind = Paint(colour=pick(rng, _PETALS)), _green(rng), pick(rng, ("tall", "trough", "mound"))
    if kind == "trough":
        y, tall, box_paint = (
            rng.uniform(0.3, 0.42),
            rng.uniform(0.28, 0.4),
            plain(pick(rng, (finish.wood, finish.enamel))),
        )
        parts, z = (
            [
                box((-0.13, 0.13), (-y, y), (0, tall), box_paint),
                box((-0.11, 0.11), (-y + 0.02, y - 0.02), (tall, tall + 0.004), _SOIL),
            ],
            tall,
        )
        spots = [(rng.uniform(-0.06, 0.06), at) for at in np.linspace(-0.8, 0.8, 7) * y]
        parts += [
            ellipsoid((0, s * 0.45 * y, z + 0.06), (0.14, 0.5 * y, 0.12), Paint(colour=paint.colour, texture="carpet"))
            for s in (-1, 1)
        ]
    else:
        parts, z = _pot(finish, rng)
        spots = [
            (0.5 * r * math.cos(i * 2.4), 0.5 * r * math.sin(i * 2.4)) for i, r in enumerate(np.linspace(0.05, 0.3, 8))
        ]
        if kind == "mound":
            parts += [ellipsoid((0, 0, z + 0.12), (0.27, 0.27, 0.2), Paint(colour=paint.colour, texture="carpet"))]
            parts += [
                ellipsoid(
                    (0.255 * math.cos(i * 2.4) * c, 0.255 * math.sin(i * 2.4) * c, z + 0.13 + 0.19 * s),
                    (0.05, 0.05, 0.04),
                    petal,
                )
                for i in range(11)
                for c, s in ((math.cos(1.2 - i * 0.12), math.sin(1.2 - i * 0.12)),)
            ]
            return parts
        parts += [_leaf((0, 0, z), i * 2.1, rng.uniform(0.5, 1.0), 0.32, 0.09, paint) for i in range(6)]
    for a, b in spots:
        tip = (
            1.6 * a,
            b if kind == "trough" else 1.6 * b,
            z + (rng.uniform(0.16, 0.4) if kind == "trough" else rng.uniform(0.35, 0.65)),
        )
        parts += [rod((0.4 * a, b if kind == "trough" else 0.4 * b, z), tip, 0.006, paint)]
        parts += [ellipsoid(tip, (0.055, 0.055, 0.04), petal.darker(rng.uniform(0.85, 1.1)))]
    return parts


PLANTS: tuple[Look, ...] = (_blade_plant, _broad_plant, _arching_plant, _tree_plant, _flower_plant)
