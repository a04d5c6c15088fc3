"""Sofas put together from arms, backs, seats, cushions and feet."""

from __future__ import annotations

from functools import partial

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, pick, plain, slab, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["SOFAS"]


def _feet(x: float, y: float, finish: Finish, rng: np.random.Generator) -> tuple[list[Part], float]:
    """Make a sofa's feet; also return how high they lift it."""
    kind = pick(rng, ("straight", "splayed", "runners", "plinth", "square", "straight"))
    height = 0.05 if kind == "plinth" else rng.uniform(0.07, 0.19)
    paint = pick(rng, (finish.wood, finish.metal)) if kind != "plinth" else Paint(colour=(0.12, 0.1, 0.1))
    return stand(kind, 0.88 * x, 0.92 * y, height, 0.022, paint), height


def _row(x: tuple[float, float], y: float, z: tuple[float, float], count: int, paint: Paint) -> list[Part]:
    """Make `count` cushions side by side along y."""
    edges = np.linspace(-y / 2, y / 2, count + 1)
    return [box(x, (low + 0.008, high - 0.008), z, paint) for low, high in zip(edges, edges[1:])]


def _pillows(x: float, y: float, z: float, finish: Finish, rng: np.random.Generator) -> list[Part]:
    paint = pick(rng, (finish.second, finish.enamel, plain(finish.second).darker(1.2)))
    places = pick(rng, ((), (-1,), (1,), (-1, 1), (-1, 1)))
    if rng.random() < 0.6:
        return [
            slab((x + 0.06, at, z + 0.01), (x - 0.04, at, z + 0.33), 0.36, 0.1, plain(paint))
            for at in (s * (0.5 * y - 0.24) for s in places)
        ]
    return [
        ellipsoid((x, s * (0.5 * y - 0.24), z + 0.16), (0.07, 0.22, 0.16), plain(paint), lean=-0.25) for s in places
    ]


def _arm(kind: str, x: float, at: float, z: tuple[float, float], wide: float, paint: Paint) -> list[Part]:
    """Make an arm whose middle is at y = `at`."""
    if kind == "rolled":
        body = box((-x / 2, x / 2), (at - 0.4 * wide, at + 0.4 * wide), (z[0], z[1] - 0.05), paint)
        return [
            body,
            rod((-x / 2, at, z[1] - 0.05), (x / 2 + 0.02, at, z[1] - 0.05), 0.62 * wide, plain(paint).darker(1.05)),
        ]
    if kind == "soft":
        return [ellipsoid((0, at, (z[0] + z[1]) / 2), (0.52 * x, 0.62 * wide, 0.56 * (z[1] - z[0])), paint)]
    return [box((-x / 2, x / 2), (at - wide / 2, at + wide / 2), z, paint)]


def _sofa(arms: tuple[str, ...], backs: tuple[str, ...], finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, count = rng.uniform(0.76, 0.95), rng.uniform(1.35, 2.1), int(rng.integers(1, 4))
    cover, arm_kind, back_kind = finish.fabric, pick(rng, arms), pick(rng, backs)
    parts, low = _feet(x, y, finish, rng)
    seat, wide = low + rng.uniform(0.27, 0.34), rng.uniform(0.08, 0.22)
    top, arm_top = seat + rng.uniform(0.3, 0.5), seat + rng.uniform(0.1, 0.26)
    inner = y - (2 * wide if arm_kind else 0)
    parts += [box((-x / 2, x / 2 - 0.02), (-inner / 2, inner / 2), (low, seat - 0.13), plain(cover).darker(0.85))]
    parts += _row((-x / 2 + 0.2, x / 2), inner, (seat - 0.13, seat), count, plain(cover).darker(1.08))
    if arm_kind:
        parts += [
            piece for s in (-1, 1) for piece in _arm(arm_kind, x, s * (y - wide) / 2, (low, arm_top), wide, cover)
        ]
    return [
        *parts,
        *_sofa_back(back_kind, x, inner, (low, seat, top), count, cover),
        *_pillows(0.3 - x / 2, inner, seat, finish, rng),
    ]


def _sofa_back(
    kind: str, x: float, y: float, levels: tuple[float, float, float], count: int, cover: Paint
) -> list[Part]:
    low, seat, top = levels
    rear = -x / 2
    if kind == "loose":
        board = box((rear, rear + 0.12), (-y / 2, y / 2), (low, top - 0.08), cover.darker(0.9))
        return [board, *_row((rear + 0.12, rear + 0.28), y, (seat, top), count, plain(cover).darker(1.05))]
    if kind == "round":
        edges = np.linspace(-y / 2, y / 2, count + 1)
        puffs = [
            ellipsoid((rear + 0.2, (a + b) / 2, (seat + top) / 2), (0.12, 0.52 * (b - a), 0.55 * (top - seat)), cover)
            for a, b in zip(edges, edges[1:])
        ]
        return [box((rear, rear + 0.14), (-y / 2, y / 2), (low, top - 0.1), plain(cover).darker(0.9)), *puffs]
    if kind == "hump":
        board = box((rear, rear + 0.16), (-y / 2, y / 2), (low, top - 0.12), cover)
        return [board, ellipsoid((rear + 0.08, 0, top - 0.14), (0.08, 0.46 * y, 0.2), plain(cover))]
    if kind == "leaning":
        return [slab((rear + 0.2, 0, seat - 0.15), (rear + 0.02, 0, top), y, 0.15, cover)]
    buttons = [
        ellipsoid((rear + 0.19, at, z), (0.012, 0.02, 0.02), plain(cover).darker(0.6))
        for z in (seat + 0.12, top - 0.1)
        for at in np.linspace(-0.36, 0.36, 5) * y
    ]
    return [box((rear, rear + 0.18), (-y / 2, y / 2), (low, top), cover), *buttons]


def _corner_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a sofa with a long seat at one end, to the left or to the right."""
    x, y, s, cover = rng.uniform(0.8, 0.9), rng.uniform(1.9, 2.3), pick(rng, (-1, 1)), finish.fabric
    long, wide, low, seat = (
        rng.uniform(1.2, 1.5),
        rng.uniform(0.6, 0.75),
        rng.uniform(0.03, 0.14),
        rng.uniform(0.38, 0.44),
    )
    top, arm, rear = seat + rng.uniform(0.3, 0.42), rng.uniform(0.1, 0.18), -x / 2
    ends, light = sorted((s * y / 2, s * (y / 2 - wide))), plain(cover).darker(1.08)
    short = sorted((s * (y / 2 - wide), -s * (y / 2 - arm)))
    spots = [
        (rear + 0.06, -0.45 * y),
        (rear + 0.06, 0.45 * y),
        (rear + long - 0.06, s * 0.46 * y),
        (x / 2 - 0.06, -s * 0.45 * y),
    ]
    parts = [cylinder(a, b, (0, low), 0.025, finish.metal) for a, b in spots]
    parts += [
        box((rear, x / 2), short, (low, seat - 0.12), plain(cover).darker(0.85)),
        box((rear, rear + long), ends, (low, seat - 0.12), plain(cover).darker(0.85)),
    ]
    middle = sum(short) / 2
    parts += [
        box((rear + 0.2, x / 2 + 0.02), (a + 0.006, b - 0.006), (seat - 0.12, seat), light)
        for a, b in ((short[0], middle), (middle, short[1]))
    ]
    parts += [box((rear + 0.2, rear + long), (ends[0] + 0.006, ends[1] - 0.006), (seat - 0.12, seat), light)]
    parts += [box((rear, rear + 0.2), (-y / 2, y / 2), (low, top), cover)]
    parts += [box((rear, x / 2), sorted((-s * y / 2, -s * (y / 2 - arm))), (low, seat + 0.18), cover)]
    return [*parts, *_pillows(rear + 0.28, y - 0.3, seat, finish, rng)]


def _framed_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make cushions in a frame of wood or tube: board sides, tube hoops, or a low pallet."""
    x, y, seat = rng.uniform(0.76, 0.9), rng.uniform(1.3, 1.9), rng.uniform(0.38, 0.44)
    kind, frame, count = (
        pick(rng, ("boards", "tubes", "pallet", "hoops")),
        pick(rng, (finish.wood, finish.metal)),
        int(rng.integers(2, 4)),
    )
    cover, top, rear = pick(rng, (finish.fabric, finish.second)), seat + rng.uniform(0.34, 0.46), -x / 2
    parts = [box((rear + 0.04, x / 2 - 0.02), (-y / 2, y / 2), (seat - 0.2, seat - 0.15), plain(frame))]
    for s in (-1, 1):
        at, high = s * (y / 2 + 0.02), seat + 0.2
        if kind == "boards":
            parts += [box((rear, x / 2), sorted((s * y / 2, s * (y / 2 + 0.05))), (0, high), frame)]
        elif kind == "pallet":
            parts += [
                box((rear, x / 2), sorted((s * 0.3 * y, s * 0.42 * y)), (0, seat - 0.2), plain(frame).darker(0.8))
            ]
        else:
            corners = [(rear, at, 0), (rear, at, high), (x / 2, at, high), (x / 2, at, 0)]
            corners += [corners[0]] if kind == "hoops" else []
            parts += [rod(a, b, 0.022, frame) for a, b in zip(corners, corners[1:])]
    back = [
        slab((rear + 0.2, at, seat - 0.02), (rear + 0.05, at, top), y / count - 0.02, 0.14, plain(cover))
        for at in (np.arange(count) + 0.5) * y / count - y / 2
    ]
    bar = rod((rear + 0.02, -y / 2, top - 0.12), (rear + 0.02, y / 2, top - 0.12), 0.02, frame)
    return [
        *parts,
        bar,
        *_row((rear + 0.1, x / 2), y, (seat - 0.15, seat), count, cover),
        *back,
        *_pillows(rear + 0.28, y, seat, finish, rng),
    ]


def _lounge_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a sofa with one arm, low blocks with rolls, or two ends that curve up."""
    x, y, s, cover = rng.uniform(0.72, 0.9), rng.uniform(1.5, 2.0), pick(rng, (-1, 1)), finish.fabric
    kind = pick(rng, ("one arm", "blocks", "ends"))
    if kind == "blocks":
        parts = [
            box(
                (-x / 2, x / 2),
                (a * y / 3 - y / 6 + 0.01, a * y / 3 + y / 6 - 0.01),
                (0, 0.38),
                plain(pick(rng, (cover, cover, finish.second))),
            )
            for a in (-1, 0, 1)
        ]
        parts += [
            box(
                (-x / 2, 0.22 - x / 2),
                (a * y / 3 - y / 6 + 0.01, a * y / 3 + y / 6 - 0.01),
                (0.38, 0.74),
                plain(cover).darker(0.92),
            )
            for a in pick(rng, ((-1, 0, 1), (-s, 0)))
        ]
        return [*parts, *_pillows(0.3 - x / 2, y, 0.38, finish, rng)]
    feet, low = _feet(x, y, finish, rng)
    seat = low + 0.28
    parts = [
        *feet,
        box((-x / 2, x / 2), (-y / 2, y / 2), (low, seat - 0.1), cover),
        box((-x / 2, x / 2), (-y / 2 + 0.02, y / 2 - 0.02), (seat - 0.1, seat), plain(cover).darker(1.1)),
    ]
    sides = (s,) if kind == "one arm" else (-1, 1)
    for side in sides:
        parts += [box((-x / 2, x / 2), sorted((side * y / 2, side * (y / 2 - 0.14))), (seat, seat + 0.2), cover)]
        parts += [
            rod(
                (-x / 2, side * (y / 2 - 0.02), seat + 0.22),
                (x / 2, side * (y / 2 - 0.02), seat + 0.22),
                0.1,
                plain(cover).darker(0.92),
            )
        ]
    reach = sorted((s * y / 2, -s * (y / 2 if kind == "ends" else 0.1 * y)))
    parts += [box((-x / 2, 0.15 - x / 2), reach, (seat, seat + rng.uniform(0.32, 0.44)), cover)]
    return [*parts, *_pillows(0.24 - x / 2, y - 0.3, seat, finish, rng)]


SOFAS: tuple[Look, ...] = (
    partial(_sofa, ("square", "square", ""), ("loose", "leaning", "flat")),
    partial(_sofa, ("rolled", "soft"), ("round", "hump", "flat", "loose")),
    _corner_sofa,
    _framed_sofa,
    _lounge_sofa,
)
