"""Cabinets put together from cases, feet, doors, drawers and handles."""

from __future__ import annotations

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish, front
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, pick, plain, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, ellipsoid, rod

__all__ = ["CABINETS"]

_BOOKS = Paint(colour=(1.0, 1.0, 1.0), texture="books")
_DARK = Paint(colour=(0.13, 0.12, 0.12))
_GLASS = Paint(colour=(0.5, 0.6, 0.63), shine=0.9)


def _handle(kind: str, x: float, y: float, z: float, paint: Paint) -> list[Part]:
    if kind == "bar":
        return [rod((x + 0.02, y - 0.07, z), (x + 0.02, y + 0.07, z), 0.009, paint)]
    if kind == "cup":
        return [ellipsoid((x + 0.008, y, z), (0.022, 0.045, 0.02), paint)]
    return [ellipsoid((x + 0.016, y, z), (0.018,) * 3, paint)] if kind == "knob" else []


def _cell(
    kind: str,
    x: float,
    y: tuple[float, float],
    z: tuple[float, float],
    paint: Paint,
    grip: tuple[str, Paint],
    side: int,
) -> list[Part]:
    """Make one cell of a cabinet's front at x: a door (its handle towards `side`), a drawer or a niche."""
    y, z = (y[0] + 0.01, y[1] - 0.01), (z[0] + 0.01, z[1] - 0.01)
    middle, wide, tall = (y[0] + y[1]) / 2, y[1] - y[0], z[1] - z[0]
    inset = ((y[0] + 0.16 * wide, y[1] - 0.16 * wide), (z[0] + 0.1 * tall, z[1] - 0.1 * tall))
    if kind == "niche":
        things = front(x + 0.004, (y[0] + 0.02, y[0] + 0.6 * wide), (z[0] + 0.02, z[0] + 0.7 * tall), _BOOKS)
        return [front(x + 0.002, y, z, _DARK), things]
    if kind == "drawer":
        return [front(x + 0.003, y, z, plain(paint)), *_handle(grip[0], x + 0.003, middle, (z[0] + z[1]) / 2, grip[1])]
    at = middle + side * 0.38 * wide
    parts = [
        front(x + 0.003, y, z, paint),
        *_handle("knob" if grip[0] == "bar" else grip[0], x + 0.003, at, (z[0] + z[1]) / 2, grip[1]),
    ]
    if kind == "panelled":
        return [*parts, front(x + 0.006, *inset, plain(paint).darker(0.78))]
    if kind == "louvred":
        return [*parts, front(x + 0.006, *inset, Paint(colour=paint.colour, texture="slats"))]
    if kind == "glass":
        bars = [
            box((x + 0.004, x + 0.012), inset[0], (h - 0.008, h + 0.008), plain(paint))
            for h in np.linspace(*inset[1], 3)[1:-1]
        ]
        plates = [
            ellipsoid(
                (x + 0.006, middle + s * 0.2 * wide, inset[1][0] + 0.15 * tall),
                (0.006, 0.11 * wide, 0.11 * wide),
                Paint(colour=(0.95, 0.95, 0.92)),
            )
            for s in (-1, 1)
        ]
        return [*parts, front(x + 0.006, *inset, _GLASS), *bars, *plates]
    return parts


def _case(
    x: float, y: float, z: tuple[float, float], finish: Finish, rng: np.random.Generator
) -> tuple[list[Part], Paint, float]:
    """Make a cabinet's body on its feet; also return the paint of its doors and where its front begins."""
    body, kind = (
        pick(rng, (finish.wood, finish.wood, finish.enamel)),
        pick(rng, ("straight", "splayed", "plinth", "square", "hairpin", "none")),
    )
    low = 0.0 if kind == "none" else 0.06 if kind == "plinth" else rng.uniform(0.06, 0.2)
    feet = (
        stand(
            kind, 0.92 * x, 0.95 * y, low, 0.02, _DARK if kind == "plinth" else pick(rng, (finish.wood, finish.metal))
        )
        if low
        else []
    )
    case = box((-x / 2, x / 2), (-y / 2, y / 2), (low, z[1]), body.darker(0.85))
    top = box(
        (-x / 2 - 0.01, x / 2 + 0.02),
        (-y / 2 - 0.015, y / 2 + 0.015),
        (z[1], z[1] + 0.03),
        plain(pick(rng, (finish.wood, body))),
    )
    return [*feet, case, top], pick(rng, (body, body.darker(1.15), plain(finish.second), finish.enamel)), low + 0.02


def _grid(
    x: float, y: float, rows: list[tuple[float, float, str, int]], paint: Paint, grip: tuple[str, Paint]
) -> list[Part]:
    """Make a front of rows (low, high, kind of cell, how many side by side)."""
    parts = []
    for low, high, kind, count in rows:
        edges = np.linspace(-y / 2 + 0.015, y / 2 - 0.015, count + 1)
        for index, (a, b) in enumerate(zip(edges, edges[1:])):
            parts += _cell(kind, x / 2, (a, b), (low, high), paint, grip, 1 if index % 2 == 0 else -1)
    return parts


def _grip(finish: Finish, rng: np.random.Generator) -> tuple[str, Paint]:
    return pick(rng, ("knob", "bar", "cup", "none")), pick(rng, (finish.metal, _DARK))


_DOORS = ("door", "panelled", "louvred", "panelled")


def _sideboard(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, height, count = (
        rng.uniform(0.38, 0.48),
        rng.uniform(1.2, 1.8),
        rng.uniform(0.62, 0.9),
        int(rng.integers(3, 5)),
    )
    parts, paint, low = _case(x, y, (0, height), finish, rng)
    split, kind = height - rng.uniform(0.14, 0.22), pick(rng, ("upper drawers", "middle", "doors"))
    if kind == "middle":
        edges = np.linspace(-y / 2 + 0.015, y / 2 - 0.015, 4)
        grip, cell = _grip(finish, rng), pick(rng, (*_DOORS, "glass"))
        parts += [
            p
            for i in (0, 2)
            for p in _cell(cell, x / 2, (edges[i], edges[i + 1]), (low, height - 0.02), paint, grip, 1 - i)
        ]
        levels = np.linspace(low, height - 0.02, 4)
        return parts + [
            p
            for a, b in zip(levels, levels[1:])
            for p in _cell("drawer", x / 2, (edges[1], edges[2]), (a, b), paint, grip, 0)
        ]
    rows = [(low, split if kind == "upper drawers" else height - 0.02, pick(rng, (*_DOORS, "glass")), count)]
    rows += [(split, height - 0.02, pick(rng, ("drawer", "drawer", "niche")), count)] if kind == "upper drawers" else []
    return [*parts, *_grid(x, y, rows, paint, _grip(finish, rng))]


def _chest(finish: Finish, rng: np.random.Generator) -> list[Part]:
    rows, columns = pick(rng, ((3, 2), (4, 1), (5, 1), (4, 2), (3, 3), (2, 1), (5, 2)))
    x, y, height = (
        rng.uniform(0.4, 0.5),
        columns * rng.uniform(0.42, 0.55) + 0.12 * (columns == 1),
        rows * rng.uniform(0.19, 0.25) + 0.1,
    )
    parts, paint, low = _case(x, y, (0, height), finish, rng)
    levels = np.linspace(low, height - 0.02, rows + 1)
    grip = pick(rng, ("knob", "bar", "cup")), finish.metal
    return [*parts, *_grid(x, y, [(a, b, "drawer", columns) for a, b in zip(levels, levels[1:])], paint, grip)]


def _dresser(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a china cabinet: glass doors above, and a deeper part with doors or drawers below."""
    x, y, height, split = rng.uniform(0.42, 0.5), rng.uniform(0.9, 1.3), rng.uniform(1.45, 1.8), rng.uniform(0.6, 0.8)
    parts, paint, low = _case(x, y, (0, split), finish, rng)
    upper, rear = 0.3, -x / 2
    parts += [
        box((rear, rear + upper), (-y / 2 + 0.03, y / 2 - 0.03), (split + 0.03, height), plain(paint).darker(0.85))
    ]
    parts += [box((rear, rear + upper + 0.04), (-y / 2, y / 2), (height, height + 0.05), plain(paint))]
    grip, count = _grip(finish, rng), int(rng.integers(2, 4))
    edges = np.linspace(-y / 2 + 0.04, y / 2 - 0.04, 3)
    for index, (a, b) in enumerate(zip(edges, edges[1:])):
        parts += _cell("glass", rear + upper, (a, b), (split + 0.05, height - 0.02), paint, grip, 1 - 2 * index)
    middle = split - 0.18
    return [
        *parts,
        *_grid(x, y, [(low, middle, pick(rng, _DOORS), 2), (middle, split - 0.02, "drawer", count)], paint, grip),
    ]


def _armoire(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make a tall cupboard of wood: panelled or louvred doors, often over drawers."""
    x, y, height, count = (
        rng.uniform(0.45, 0.58),
        rng.uniform(0.8, 1.3),
        rng.uniform(1.35, 1.8),
        int(rng.integers(2, 4)),
    )
    parts, paint, low = _case(x, y, (0, height), finish, rng)
    split, kind = low + rng.uniform(0.2, 0.5), pick(rng, ("panelled", "louvred"))
    rows = pick(
        rng,
        (
            [(low, split, "drawer", 2), (split, height - 0.02, kind, count)],
            [(low, split, kind, count), (split, height - 0.02, kind, count)],
        ),
    )
    parts += (
        [rod((x / 2 + 0.02, -y / 2, height + 0.03), (x / 2 + 0.02, y / 2, height + 0.03), 0.035, plain(paint))]
        if rng.random() < 0.5
        else []
    )
    return [*parts, *_grid(x, y, rows, paint, (pick(rng, ("knob", "cup")), finish.metal))]


def _steel_cabinet(finish: Finish, rng: np.random.Generator) -> list[Part]:
    """Make an office or workshop cabinet: files, lockers, many small drawers, or a roll front."""
    kind, steel, white = (
        pick(rng, ("files", "lockers", "small", "roll")),
        plain(finish.enamel),
        Paint(colour=(0.95, 0.95, 0.9)),
    )
    wide, tall = {"files": (0.5, 1.15), "lockers": (1.0, 1.5), "small": (0.85, 0.95), "roll": (0.95, 1.05)}[kind]
    x, y, height = rng.uniform(0.42, 0.52), wide * rng.uniform(0.9, 1.15), tall * rng.uniform(0.9, 1.1)
    parts = [
        box((-x / 2, x / 2), (-y / 2, y / 2), (0.04, height), steel),
        box((-x / 2 + 0.02, x / 2 - 0.03), (-y / 2 + 0.02, y / 2 - 0.02), (0, 0.04), _DARK),
    ]
    bright = steel.darker(1.12 if max(steel.colour) < 0.85 else 0.9)
    if kind == "roll":
        slats = Paint(colour=finish.second.colour, texture="slats")
        parts += [
            front(x / 2 + 0.003, (s * y / 4 - y / 4 + 0.03, s * y / 4 + y / 4 - 0.03), (0.08, height - 0.04), slats)
            for s in (-1, 1)
        ]
        return [*parts, box((-x / 2, x / 2 + 0.01), (-y / 2, y / 2), (height, height + 0.03), finish.wood)]
    rows, columns = {"files": (4, 1), "lockers": (2, 3), "small": (5, 3)}[kind]
    levels = np.linspace(0.06, height - 0.02, rows + 1)
    parts += _grid(
        x,
        y,
        [(a, b, "drawer", columns) for a, b in zip(levels, levels[1:])],
        bright,
        ("knob" if kind != "files" else "bar", finish.metal),
    )
    if kind == "files":
        parts += [
            front(x / 2 + 0.006, (-0.06, 0.06), ((a + b) / 2 + 0.04, (a + b) / 2 + 0.08), white)
            for a, b in zip(levels, levels[1:])
        ]
    if kind == "lockers":
        parts += [
            front(x / 2 + 0.006, (at - 0.08, at + 0.08), (b - 0.12 - 0.03 * i, b - 0.105 - 0.03 * i), _DARK)
            for b in levels[1:]
            for at in np.array([-1, 0, 1]) * y / 3
            for i in (0, 1)
        ]
    return parts


CABINETS: tuple[Look, ...] = (_sideboard, _chest, _dresser, _armoire, _steel_cabinet)
