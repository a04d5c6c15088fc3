"""Bookshelves put together from uprights, boards and what stands on them."""

from __future__ import annotations

from functools import partial

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, pick, plain, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid

__all__ = ["BOOKSHELVES"]

_BOOKS = Paint(colour=(1.0, 1.0, 1.0), texture="books")


def _shelf_things(
    x: float, y: tuple[float, float], z: tuple[float, float], finish: Finish, rng: np.random.Generator
) -> list[Part]:
    """Fill a part of a shelf: mostly books, now and then a box, a pile, a vase or nothing."""
    kind, wide, tall = rng.random(), y[1] - y[0], z[1] - z[0]
    if kind < 0.66:
        end, high = y[0] + wide * rng.uniform(0.55, 0.98), z[0] + tall * rng.uniform(0.66, 0.9)
        return [
            box((x - 0.19, x - 0.003), (y[0], end), (z[0], high), Paint(colour=(0.85, 0.8, 0.7))),
            front(x, (y[0], end), (z[0], high), _BOOKS),
        ]
    if kind < 0.76:
        return [
            box((x - 0.18, x), (y[0] + 0.1 * wide, y[0] + 0.8 * wide), (z[0], z[0] + 0.65 * tall), plain(finish.second))
        ]
    if kind < 0.84:
        return [
            box(
                (x - 0.17, x - 0.01 * i),
                (y[0] + 0.02 * i, y[0] + 0.45 * wide),
                (z[0] + 0.045 * i, z[0] + 0.045 * i + 0.04),
                plain(p),
            )
            for i, p in enumerate((finish.fabric, finish.second, finish.enamel))
        ]
    return (
        [ellipsoid((x - 0.08, (y[0] + y[1]) / 2, z[0] + 0.32 * tall), (0.06, 0.06, 0.32 * tall), finish.enamel)]
        if kind < 0.93
        else []
    )


def _open_bookshelf(sides: tuple[str, ...], finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind, x, y, height, count = (
        pick(rng, sides),
        rng.uniform(0.26, 0.36),
        rng.uniform(0.6, 1.25),
        rng.uniform(1.1, 1.9),
        int(rng.integers(3, 6)),
    )
    paint = plain(pick(rng, (finish.wood, finish.enamel, finish.metal if kind == "posts" else finish.wood)))
    levels, edge = np.linspace(rng.uniform(0.03, 0.2), height - 0.03, count), y / 2 - 0.015
    if kind == "posts":
        parts = [
            cylinder(a * (x / 2 - 0.015), b * edge, (0, height + 0.04), 0.014, finish.metal)
            for a in (-1, 1)
            for b in (-1, 1)
        ]
    elif kind == "spine":
        parts = [
            box((-x / 2, 0.03 - x / 2), (-0.16 * y, 0.16 * y), (0, height), paint),
            box((-x / 2, x / 2), (-0.3 * y, 0.3 * y), (0, 0.04), paint),
        ]
    else:
        parts = [box((-x / 2, x / 2), (s * edge - 0.015, s * edge + 0.015), (0, height), paint) for s in (-1, 1)]
        parts += (
            [box((-x / 2, 0.01 - x / 2), (-y / 2, y / 2), (0, height), paint.darker(0.75))]
            if rng.random() < 0.6
            else []
        )
    for low, high in zip(levels, [*levels[1:], levels[-1] + 0.3]):
        parts += [box((-x / 2, x / 2), (-edge, edge), (low, low + 0.025), paint.darker(1.05))]
        if low < height - 0.1:
            parts += _shelf_things(
                x / 2 - 0.03, (-edge + 0.02, edge * pick(rng, (0.96, 0.2))), (low + 0.025, high - 0.01), finish, rng
            )
    return parts


def _stepped_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make columns of shelves of unlike height, as steps, as a tower beside a low one, or as a pyramid."""
    heights = pick(rng, ((1.5, 1.15, 0.8, 0.45), (0.75, 1.5), (0.8, 1.4, 0.8), (1.4, 0.7, 1.4), (0.5, 1.0, 1.5)))
    x, wide, paint, parts = (
        rng.uniform(0.28, 0.34),
        rng.uniform(0.4, 0.52),
        plain(pick(rng, (finish.wood, finish.enamel))),
        [],
    )
    start = -wide * len(heights) / 2
    for index, height in enumerate(heights):
        a = start + wide * index
        high = max(heights[max(0, index - 1) : index + 1])
        parts += [box((-x / 2, x / 2), (a - 0.014, a + 0.014), (0, high), paint)]
        levels = np.linspace(0.02, height - 0.02, max(2, round(height / 0.4) + 1))
        parts += [box((-x / 2, x / 2), (a, a + wide), (z, z + 0.025), paint) for z in levels]
        for low, high in zip(levels, levels[1:]):
            parts += _shelf_things(x / 2 - 0.03, (a + 0.025, a + wide - 0.025), (low + 0.025, high - 0.01), finish, rng)
    return [*parts, box((-x / 2, x / 2), (-start - 0.014, -start + 0.014), (0, heights[-1]), paint)]


def _staggered_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make shelves that zigzag: short uprights between boards, now left and now right."""
    x, y, rows = rng.uniform(0.26, 0.34), rng.uniform(0.7, 1.1), int(rng.integers(4, 6))
    tall, paint = rng.uniform(0.27, 0.34), plain(pick(rng, (finish.wood, finish.enamel)))
    parts = [box((-x / 2, x / 2), (-y / 2, y / 2), (0, 0.03), paint)]
    for row in range(rows):
        low, s = row * tall, 1 if row % 2 else -1
        parts += [box((-x / 2, x / 2), (-y / 2, y / 2), (low + tall, low + tall + 0.03), paint)]
        parts += [
            box((-x / 2, x / 2), (at - 0.015, at + 0.015), (low + 0.03, low + tall), paint)
            for at in (s * (y / 2 - 0.015), -s * 0.22 * y)
        ]
        span = sorted((s * (y / 2 - 0.04), -s * 0.2 * y))
        parts += _shelf_things(x / 2 - 0.03, (span[0], span[1]), (low + 0.03, low + tall), finish, rng)
    return parts


def _low_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a wide low shelf in two or three columns, on feet or on the floor, with things on top."""
    x, y, height, columns = (
        rng.uniform(0.28, 0.36),
        rng.uniform(1.1, 1.6),
        rng.uniform(0.62, 0.9),
        int(rng.integers(2, 4)),
    )
    paint, foot, edges = (
        plain(pick(rng, (finish.wood, finish.enamel))),
        pick(rng, (0.0, 0.12)),
        np.linspace(-y / 2, y / 2, columns + 1),
    )
    parts = stand("splayed", 0.9 * x, 0.92 * y, foot, 0.018, finish.metal) if foot else []
    levels = np.linspace(foot, height - 0.03, 3)
    parts += [box((-x / 2, x / 2), (at - 0.015, at + 0.015), (foot, height), paint) for at in edges]
    parts += [box((-x / 2, x / 2), (-y / 2, y / 2), (z, z + 0.03), paint) for z in levels]
    parts += [box((-x / 2, 0.01 - x / 2), (-y / 2, y / 2), (foot, height), paint.darker(0.75))]
    for low, high in zip(levels, levels[1:]):
        for a, b in zip(edges, edges[1:]):
            parts += _shelf_things(x / 2 - 0.03, (a + 0.025, b - 0.025), (low + 0.03, high), finish, rng)
    return [
        *parts,
        *_shelf_things(x / 2 - 0.06, (-0.3 * y, rng.uniform(-0.1, 0.2) * y), (height, height + 0.28), finish, rng),
    ]


BOOKSHELVES: tuple[Look, ...] = (
    partial(_open_bookshelf, ("boards",)),
    partial(_open_bookshelf, ("posts", "posts", "spine")),
    _stepped_bookshelf,
    _staggered_bookshelf,
    _low_bookshelf,
)
