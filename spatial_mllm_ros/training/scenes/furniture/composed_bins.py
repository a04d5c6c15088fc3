"""Trash bins put together from bodies, lids, liners and pedals."""

from __future__ import annotations

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, arc, chain, on_circle, pick, plain, slab
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["BINS"]

_DARK = Paint(colour=(0.06, 0.06, 0.06))
_LINER = Paint(colour=(0.93, 0.93, 0.95))
_PAPER = Paint(colour=(0.96, 0.95, 0.9))
_KINDS = ((0.62, 0.82, 0.14), (0.5, 0.7, 0.1), (0.76, 0.9, 0.3), (0.56, 0.76, 0.3), (0.68, 0.78, 0.1))


def _skin(finish: Finish, rng: np.random.Generator) -> Paint:
    return pick(
        rng,
        (
            finish.enamel.darker(1.1),
            finish.enamel,
            plain(finish.second),
            finish.enamel.darker(0.8),
        ),
    )


def _step_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a bin with a pedal: a box, or with a half-round front; its lid down or up."""
    x, y, height, paint = rng.uniform(0.12, 0.18), rng.uniform(0.13, 0.22), rng.uniform(0.45, 0.68), _skin(finish, rng)
    lid, is_open, is_round = pick(rng, (paint.darker(0.75), _DARK)), rng.random() < 0.35, rng.random() < 0.5
    parts = [
        box((-x, x), (-y, y), (0.03, height - 0.05), paint),
        box((-0.95 * x, 0.95 * x), (-0.95 * y, 0.95 * y), (0, 0.03), _DARK),
    ]
    parts += [cylinder(x, 0, (0.03, height - 0.05), y, paint)] if is_round else []
    reach = x + (y if is_round else 0)
    parts += [box((reach - 0.02, reach + 0.06), (-0.05, 0.05), (0.02, 0.04), finish.metal)]
    if is_open:
        parts += [box((-x - 0.02, -x + 0.02), (-y, y), (height - 0.04, height + 1.7 * x), lid)]
        return [
            *parts,
            box((-0.9 * x, 0.9 * x), (-0.9 * y, 0.9 * y), (height - 0.05, height - 0.04), _DARK),
            box((-x, x), (-y, y), (height - 0.055, height - 0.046), _LINER),
        ]
    parts += [box((-1.03 * x, 1.03 * x), (-1.03 * y, 1.03 * y), (height - 0.04, height), lid)]
    return [*parts, *([cylinder(x, 0, (height - 0.04, height), 1.03 * y, lid)] if is_round else [])]


def _swing_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a bin whose hood has a flap that swings: a gable, a slope, or a round one."""
    x, y, height, paint = rng.uniform(0.13, 0.19), rng.uniform(0.15, 0.21), rng.uniform(0.42, 0.62), _skin(finish, rng)
    hood, kind = (
        pick(rng, (paint.darker(0.7), plain(finish.fabric), paint.darker(1.2))),
        pick(rng, ("gable", "slope", "round")),
    )
    if kind == "round":
        r = x + 0.02
        parts = [
            *cone(0, 0, (0, height), (0.8 * r, r), paint, steps=5),
            cylinder(0, 0, (height, height + 0.08), 1.05 * r, hood),
            ellipsoid((0, 0, height + 0.08), (1.03 * r, 1.03 * r, 0.6 * r), hood),
        ]
        return [*parts, box((0.55 * r, 1.07 * r), (-0.5 * r, 0.5 * r), (height + 0.02, height + 0.1), _DARK)]
    parts = [
        box((-0.88 * x, 0.88 * x), (-0.88 * y, 0.88 * y), (0, height / 2), paint),
        box((-x, x), (-y, y), (height / 2, height), paint),
    ]
    rise = rng.uniform(0.1, 0.17)
    steps = 5
    for index in range(steps):
        a, z = 1.05 * x * (1 - index / steps), height + rise * index / steps
        span = (-a, a) if kind == "gable" else (-1.05 * x, 1.05 * x - 1.7 * x * index / steps)
        parts += [box(span, (-1.04 * y, 1.04 * y), (z, z + rise / steps), hood)]
    front_x = 1.05 * x
    tip = (front_x - 0.8 * (1.05 * x if kind == "gable" else 1.7 * x), 0, height + 0.8 * rise)
    foot = (front_x * 0.98, 0, height + 0.03 + 0.1 * rise)
    flap = slab(foot, (tip[0] + 0.03, 0, tip[2] + 0.04), 1.3 * y, 0.03, _DARK)
    return [*parts, flap]


def _open_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a basket without a lid: plain, of wire, or with a bag over its rim; often with paper in it."""
    kind, height, radius, paint = (
        pick(rng, ("plain", "wire", "wire", "bag", "square")),
        rng.uniform(0.32, 0.5),
        rng.uniform(0.14, 0.19),
        _skin(finish, rng),
    )
    low, rim = radius * rng.uniform(0.7, 1.0), height - 0.02
    balls = [
        ellipsoid((0.45 * radius * c, 0.45 * radius * s, height - 0.01), (0.055, 0.06, 0.05), _PAPER)
        for c, s in on_circle(int(rng.integers(0, 4)), 1.0, 0.5)
    ]
    if kind == "square":
        parts = [
            box((-radius, radius), (-radius, radius), (0, height), paint),
            box((-0.9 * radius, 0.9 * radius), (-0.9 * radius, 0.9 * radius), (height, height + 0.003), _DARK),
        ]
        return [*parts, *balls]
    if kind == "wire":
        bars = [
            rod((low * c, low * s, 0.01), (radius * c, radius * s, rim), 0.006, finish.metal)
            for c, s in on_circle(12, 1.0)
        ]
        rings = [
            chain([(r * c, r * s, z) for c, s in arc(0, 2 * np.pi, 9)], 0.007, finish.metal)
            for r, z in ((radius, rim), ((low + radius) / 2, height / 2))
        ]
        full = [cylinder(0, 0, (0.01, rng.uniform(0.3, 0.75) * height), 0.92 * low, pick(rng, (_LINER, _DARK)))]
        return [cylinder(0, 0, (0, 0.012), low, finish.metal), *bars, *(part for ring in rings for part in ring), *full]
    parts = [
        *cone(0, 0, (0, rim), (low, radius), paint, steps=5),
        cylinder(0, 0, (rim, height), 1.05 * radius, paint.darker(0.8)),
        cylinder(0, 0, (height, height + 0.003), 0.9 * radius, _DARK),
    ]
    if kind == "bag":
        parts += [cylinder(0, 0, (0.8 * height, height - 0.001), 1.08 * radius, _LINER)]
    return [*parts, *balls]


def _sorting_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make two or three bins side by side, each with a lid or a slot of its own colour."""
    count, kind = int(rng.integers(2, 4)), pick(rng, ("lids", "slots", "round", "bodies"))
    x, y, height, paint = rng.uniform(0.15, 0.2), rng.uniform(0.12, 0.17), rng.uniform(0.45, 0.7), _skin(finish, rng)
    parts, colours = [], [_KINDS[i] for i in rng.permutation(len(_KINDS))[:count]]
    for index, colour in enumerate(colours):
        at, tint = (index - (count - 1) / 2) * 2.06 * y, Paint(colour=colour, shine=0.2)
        body = tint if kind == "bodies" else paint
        if kind == "round":
            parts += [
                *cone(0, at, (0, height - 0.06), (0.8 * y, y), paint, steps=3),
                cylinder(0, at, (height - 0.06, height), 1.02 * y, tint),
                cylinder(0, at, (height, height + 0.003), 0.4 * y, _DARK),
            ]
            continue
        parts += [
            box((-x, x), (at - y, at + y), (0.0, height - 0.05), body),
            box(
                (-x, x + 0.015),
                (at - y, at + y),
                (height - 0.05, height),
                tint.darker(0.75) if kind == "bodies" else tint,
            ),
        ]
        slot = (0.3 * x, 0.7 * y) if kind == "slots" else (0.55 * x, 0.4 * y)
        parts += (
            [box((-slot[0], slot[0]), (at - slot[1], at + slot[1]), (height, height + 0.003), _DARK)]
            if kind != "lids"
            else []
        )
        parts += [
            box(
                (x, x + 0.003),
                (at - 0.4 * y, at + 0.4 * y),
                (0.5 * height, 0.5 * height + 0.5 * y),
                _LINER if kind == "bodies" else tint,
            )
        ]
    return parts


def _tall_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a bin of a street or a workshop: a dome with a hole, an ash top, a can, a pail or a sack in a frame."""
    kind, height, radius, paint = (
        pick(rng, ("dome", "ash", "can", "sack", "pail")),
        rng.uniform(0.55, 0.75),
        rng.uniform(0.16, 0.21),
        _skin(finish, rng),
    )
    if kind == "dome":
        hole = ellipsoid((0.72 * radius, 0, height + 0.09), (0.4 * radius, 0.55 * radius, 0.07), _DARK)
        return [
            cylinder(0, 0, (0, 0.03), 1.04 * radius, _DARK),
            cylinder(0, 0, (0.03, height), radius, paint),
            cylinder(0, 0, (height - 0.02, height + 0.01), 1.04 * radius, finish.metal),
            ellipsoid((0, 0, height), (radius, radius, 1.0 * radius), paint.darker(0.85)),
            hole,
        ]
    if kind == "ash":
        posts = [
            cylinder(0.85 * a, 0.85 * b, (height, height + 0.1), 0.014, finish.metal) for a, b in on_circle(4, radius)
        ]
        return [
            cylinder(0, 0, (0, height), radius, paint),
            cylinder(0, 0, (height, height + 0.003), 0.88 * radius, _DARK),
            *posts,
            cylinder(0, 0, (height + 0.1, height + 0.13), 1.05 * radius, paint.darker(0.8)),
        ]
    if kind == "can":
        ribs = [
            cylinder(0, 0, (z, z + 0.02), 1.04 * radius, paint.darker(0.8)) for z in np.linspace(0.02, 0.85, 5) * height
        ]
        lid = [*cone(0, 0, (height, height + 0.08), (1.08 * radius, 0.3 * radius), paint.darker(0.9), steps=4)]
        grips = [
            rod((0, s * 1.08 * radius, 0.7 * height), (0, s * 1.25 * radius, 0.7 * height), 0.03, _DARK)
            for s in (-1, 1)
        ]
        return [
            *cone(0, 0, (0, height), (0.88 * radius, radius), paint, steps=3),
            *ribs,
            *lid,
            *grips,
            ellipsoid((0, 0, height + 0.1), (0.05, 0.07, 0.03), _DARK),
        ]
    if kind == "sack":
        hoop = chain([(radius * c, radius * s, height) for c, s in arc(0, 2 * np.pi, 9)], 0.013, finish.metal)
        legs = [
            rod((1.15 * a, 1.15 * b, 0), (a, b, height), 0.013, finish.metal) for a, b in on_circle(4, radius, 0.785)
        ]
        bag = pick(rng, (_LINER, _DARK, Paint(colour=(0.2, 0.45, 0.75))))
        return [
            *legs,
            *hoop,
            ellipsoid((0, 0, 0.45 * height), (1.0 * radius, 1.0 * radius, 0.4 * height), bag),
            cylinder(0, 0, (0.6 * height, height), 0.94 * radius, bag),
            cylinder(0, 0, (height, height + 0.003), 0.8 * radius, _DARK),
        ]
    bail = chain([(0, radius * c, 0.7 * height + 0.9 * radius * s) for c, s in arc(0, np.pi, 7)], 0.008, finish.metal)
    return [
        *cone(0, 0, (0, 0.7 * height), (0.75 * radius, radius), paint, steps=6),
        cylinder(0, 0, (0.66 * height, 0.7 * height), 1.06 * radius, paint.darker(0.85)),
        cylinder(0, 0, (0.7 * height, 0.7 * height + 0.003), 0.9 * radius, _DARK),
        *bail,
    ]


BINS: tuple[Look, ...] = (_step_bin, _swing_bin, _open_bin, _sorting_bin, _tall_bin)
