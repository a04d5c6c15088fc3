"""Tables, cabinets and bookshelves. Each function builds one look, about as large as the real thing (metres)."""

from __future__ import annotations

import numpy as np

from spatial_mllm_ros.training.scenes.furniture import composed_bookshelves, composed_cabinets, composed_tables
from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front, legs
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["BOOKSHELVES", "CABINETS", "TABLES"]

_BOOKS = Paint(colour=(1.0, 1.0, 1.0), texture="books")


def _four_leg_table(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform(0.8, 0.95), rng.uniform(1.3, 1.8)
    top = box((-x / 2, x / 2), (-y / 2, y / 2), (0.7, 0.75), finish.wood)
    apron = box((-x / 2 + 0.06, x / 2 - 0.06), (-y / 2 + 0.06, y / 2 - 0.06), (0.62, 0.7), finish.wood.darker(0.8))
    return [*legs(x - 0.08, y - 0.08, 0.62, 0.035, finish.wood.darker(0.85)), apron, top]


def _trestle_table(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform(0.75, 0.9), rng.uniform(1.4, 1.8)
    parts = []
    for at in (-y / 2 + 0.25, y / 2 - 0.25):
        for side in (-1, 1):
            parts += [rod((side * (x / 2 - 0.06), at, 0.02), (side * 0.08, at, 0.71), 0.025, finish.metal)]
        parts += [rod((-0.24, at, 0.3), (0.24, at, 0.3), 0.018, finish.metal)]
    bar = rod((0, -y / 2 + 0.25, 0.3), (0, y / 2 - 0.25, 0.3), 0.018, finish.metal)
    return [*parts, bar, box((-x / 2, x / 2), (-y / 2, y / 2), (0.71, 0.75), finish.wood)]


def _round_table(finish: Finish, rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.5, 0.62)
    return [
        cylinder(0, 0, (0, 0.03), radius * 0.55, finish.metal),
        cylinder(0, 0, (0.03, 0.7), 0.05, finish.metal),
        cylinder(0, 0, (0.7, 0.735), radius, finish.wood),
        ellipsoid((0.05, 0.08, 0.8), (0.09, 0.09, 0.07), finish.enamel),
    ]


def _writing_table(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform(0.6, 0.7), rng.uniform(1.2, 1.5)
    sides = [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 - 0.04)), (0, 0.72), finish.wood) for s in (-1, 1)]
    drawer = box((-x / 2 + 0.02, x / 2 - 0.005), (y / 2 - 0.5, y / 2 - 0.04), (0.5, 0.72), finish.enamel)
    knob = ellipsoid((x / 2 + 0.005, y / 2 - 0.27, 0.61), (0.02, 0.05, 0.012), finish.metal)
    back = box((-x / 2, -x / 2 + 0.02), (-y / 2, y / 2), (0.35, 0.72), finish.wood.darker(0.8))
    return [*sides, back, drawer, knob, box((-x / 2, x / 2), (-y / 2, y / 2), (0.72, 0.76), finish.wood)]


def _two_door_cabinet(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.45, rng.uniform(0.9, 1.2), rng.uniform(0.85, 1.1)
    doors = [
        box((x / 2, x / 2 + 0.015), (s * 0.008, s * (y / 2 - 0.02)), (0.1, height - 0.05), finish.wood.darker(1.12))
        for s in (-1, 1)
    ]
    knobs = [ellipsoid((x / 2 + 0.03, s * 0.06, height * 0.6), (0.02, 0.02, 0.02), finish.metal) for s in (-1, 1)]
    body = box((-x / 2, x / 2), (-y / 2, y / 2), (0.06, height), finish.wood.darker(0.85))
    return [*legs(x, y - 0.02, 0.06, 0.025, finish.wood), body, *doors, *knobs]


def _drawer_cabinet(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height, count = 0.48, rng.uniform(0.8, 1.0), rng.uniform(0.95, 1.2), int(rng.integers(3, 6))
    levels = np.linspace(0.06, height - 0.04, count + 1)
    parts = [box((-x / 2, x / 2), (-y / 2, y / 2), (0.0, height), finish.enamel)]
    for low, high in zip(levels, levels[1:]):
        middle = (low + high) / 2
        parts += [
            box(
                (x / 2, x / 2 + 0.015),
                (-y / 2 + 0.03, y / 2 - 0.03),
                (low + 0.01, high - 0.01),
                finish.enamel.darker(0.9),
            ),
            rod((x / 2 + 0.03, -0.09, middle), (x / 2 + 0.03, 0.09, middle), 0.01, finish.metal),
        ]
    return [*parts, box((-x / 2, x / 2 + 0.02), (-y / 2, y / 2), (height, height + 0.03), finish.wood)]


def _slatted_cabinet(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.42, rng.uniform(1.3, 1.6), rng.uniform(0.7, 0.8)
    slats = Paint(colour=finish.wood.colour, texture="slats")
    return [
        *legs(x - 0.06, y - 0.2, 0.18, 0.022, finish.metal),
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.18, height), finish.wood),
        *(
            front(x / 2 + 0.004, (low * y + 0.015, high * y - 0.015), (0.21, height - 0.03), slats)
            for low, high in ((-0.48, -0.16), (0.16, 0.48))
        ),
        front(x / 2 + 0.004, (-0.15 * y, 0.15 * y), (0.21, height - 0.03), finish.enamel),
    ]


def _wardrobe(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.55, rng.uniform(0.9, 1.1), rng.uniform(1.6, 1.8)
    mirror = Paint(colour=(0.72, 0.8, 0.85), shine=0.9, glow=0.15)
    return [
        box((-x / 2, x / 2), (-y / 2, y / 2), (0, height), finish.enamel),
        box((-x / 2, x / 2 + 0.03), (-y / 2 - 0.02, y / 2 + 0.02), (height, height + 0.06), finish.wood),
        box((-x / 2, x / 2 + 0.02), (-y / 2, y / 2), (0, 0.08), finish.wood),
        box((x / 2, x / 2 + 0.012), (0.01, y / 2 - 0.03), (0.12, height - 0.04), finish.enamel.darker(0.88)),
        box((x / 2, x / 2 + 0.012), (-y / 2 + 0.03, -0.01), (0.12, height - 0.04), finish.enamel.darker(0.88)),
        front(x / 2 + 0.014, (-y / 2 + 0.08, -0.06), (0.2, height - 0.12), mirror),
        rod((x / 2 + 0.03, 0.05, height * 0.45), (x / 2 + 0.03, 0.05, height * 0.6), 0.012, finish.metal),
    ]


def _shelving(x: float, y: float, height: float, levels: np.ndarray, paint: Paint) -> list[Part]:
    sides = [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 - 0.03)), (0, height), paint) for s in (-1, 1)]
    return sides + [box((-x / 2, x / 2), (-y / 2 + 0.03, y / 2 - 0.03), (z, z + 0.025), paint) for z in levels]


def _row_of_books(x: float, y: tuple[float, float], z: tuple[float, float]) -> list[Part]:
    """Make a row of books that reaches back 0.2 m from x."""
    inside = box((x - 0.2, x - 0.004), y, z, Paint(colour=(0.85, 0.8, 0.7)))
    return [inside, front(x, y, z, _BOOKS)]


def _tall_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.3, rng.uniform(0.8, 1.1), rng.uniform(1.7, 1.95)
    levels = np.linspace(0.06, height - 0.025, int(rng.integers(5, 7)))
    parts = _shelving(x, y, height, levels, finish.wood)
    parts += [box((-x / 2, -x / 2 + 0.012), (-y / 2, y / 2), (0, height), finish.wood.darker(0.75))]
    for low, high in zip(levels, levels[1:]):
        start = -y / 2 + 0.04 if rng.random() < 0.6 else -0.1 * y
        end = min(start + rng.uniform(0.45, 0.9) * y, y / 2 - 0.04)
        parts += _row_of_books(x / 2 - 0.03, (start, end), (low + 0.025, high - 0.04))
    return parts


def _ladder_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, height = rng.uniform(0.7, 0.9), rng.uniform(1.6, 1.8)
    parts = []
    for s in (-1, 1):
        at = s * (y / 2 - 0.02)
        parts += [rod((0.24, at, 0.0), (-0.18, at, height), 0.02, finish.metal)]
        parts += [cylinder(-0.18, at, (0, height), 0.02, finish.metal)]
    for z in np.linspace(0.25, height - 0.25, 4):
        front = 0.24 - 0.42 * z / height
        parts += [box((-0.19, front), (-y / 2, y / 2), (z, z + 0.025), finish.wood)]
        start = rng.uniform(-0.45, -0.1) * y
        parts += _row_of_books(max(front - 0.03, 0.03), (start, start + 0.5 * y), (z + 0.025, z + 0.22))
    return parts


def _cube_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    rows, columns, cell = 3, int(rng.integers(3, 5)), 0.38
    y, height = columns * cell, rows * cell
    parts = [
        box((-0.19, 0.19), (-y / 2, y / 2), (r * cell - 0.015 * (r > 0), r * cell + 0.02), finish.enamel)
        for r in range(rows)
    ]
    parts += [box((-0.19, 0.19), (-y / 2, y / 2), (height, height + 0.02), finish.enamel)]
    for column in range(columns + 1):
        at = -y / 2 + column * cell
        parts += [box((-0.19, 0.19), (at - 0.015, at + 0.015), (0, height + 0.02), finish.enamel)]
    parts += [box((-0.19, -0.18), (-y / 2, y / 2), (0, height), finish.enamel.darker(0.8))]
    basket = Paint(colour=finish.second.colour, texture="wicker")
    for row in range(rows):
        for column in range(columns):
            y0, z0, kind = -y / 2 + column * cell + 0.02, row * cell + 0.02, rng.random()
            if kind < 0.4:
                parts += [box((-0.15, 0.17), (y0 + 0.02, y0 + 0.32), (z0, z0 + 0.26), basket)]
            elif kind < 0.85:
                parts += _row_of_books(0.15, (y0, y0 + rng.uniform(0.2, 0.34)), (z0, z0 + 0.3))
    return parts


def _split_bookshelf(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height = 0.32, rng.uniform(0.9, 1.1), rng.uniform(1.5, 1.7)
    levels = np.linspace(0.5, height - 0.025, 4)
    parts = _shelving(x, y, height, levels, finish.wood)
    parts += [box((-x / 2, x / 2), (-0.015, 0.015), (0.5, height), finish.wood)]
    parts += [
        box((-x / 2, x / 2), s, (0.04, 0.5), finish.enamel) for s in ((-y / 2 + 0.03, -0.005), (0.005, y / 2 - 0.03))
    ]
    parts += [ellipsoid((x / 2 + 0.015, s * 0.06, 0.3), (0.018,) * 3, finish.metal) for s in (-1, 1)]
    for index, (low, high) in enumerate(zip(levels, levels[1:])):
        for side in (-1, 1):
            span = (0.03, 0.03 + rng.uniform(0.25, 0.4) * y) if side > 0 else (-y / 2 + 0.05, -0.05 - 0.1 * (index % 2))
            parts += _row_of_books(x / 2 - 0.03, span, (low + 0.025, high - 0.05))
    return parts


TABLES = (_four_leg_table, _trestle_table, _round_table, *composed_tables.TABLES, _writing_table)
CABINETS = (_two_door_cabinet, _drawer_cabinet, _slatted_cabinet, *composed_cabinets.CABINETS, _wardrobe)
BOOKSHELVES = (_tall_bookshelf, _ladder_bookshelf, _cube_bookshelf, *composed_bookshelves.BOOKSHELVES, _split_bookshelf)
