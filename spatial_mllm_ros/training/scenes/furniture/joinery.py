"""Small pieces that looks are put together from: leaning slabs, chains of rods, and what a piece stands on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import legs
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["STANDS", "Look", "arc", "chain", "on_circle", "pick", "plain", "slab", "stadium", "stand"]

Choice = TypeVar("Choice")
Look = Callable[..., list[Part]]


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """Draw one of some options, evenly."""
    return options[int(rng.integers(len(options)))]


def plain(paint: Paint) -> Paint:
    """Return a paint without its texture: a textured box is drawn as six panels, a plain one as one box."""
    return dataclasses.replace(paint, texture="")


def slab(start: Sequence[float], end: Sequence[float], width: float, thickness: float, paint: Paint) -> Part:
    """Make a board `width` across y whose middle line runs from start to end; both have the same y."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(end - start))
    along, across = (end - start) / length, np.array([0.0, 1.0, 0.0])
    rotation = np.stack([np.cross(across, along), across, along], axis=1)
    half, centre = (thickness / 2, width / 2, length / 2), tuple((start + end) / 2)
    return Part(kind="box", half_size=half, centre=centre, paint=paint, rotation=rotation)


def chain(points: Sequence[Sequence[float]], radius: float, paint: Paint) -> list[Part]:
    """Make rods that join points, one after the other."""
    return [rod(a, b, radius, paint) for a, b in zip(points, points[1:])]


def arc(start_rad: float, end_rad: float, count: int) -> list[tuple[float, float]]:
    """Return cosine and sine of `count` angles from start to end."""
    return [(math.cos(a), math.sin(a)) for a in np.linspace(start_rad, end_rad, count)]


def on_circle(count: int, radius: float, first_rad: float = 0.0) -> list[tuple[float, float]]:
    """Return `count` points spread evenly on a circle."""
    return [(radius * math.cos(a), radius * math.sin(a)) for a in first_rad + np.arange(count) * 2 * math.pi / count]


def stadium(x: float, y: float, z: Sequence[float], paint: Paint) -> list[Part]:
    """Make a slab x by y (the longer) with half-round ends."""
    paint, reach = plain(paint), (y - x) / 2
    ends = [cylinder(0, s * reach, z, x / 2, paint) for s in (-1, 1)]
    return [box((-x / 2, x / 2), (-reach, reach), z, paint), *ends]


def stand(kind: str, x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    """Make what carries a top x by y at a height: one of `STANDS`, its legs `radius` thick."""
    return STANDS[kind](x, y, height, radius, paint)


def _corners(x: float, y: float) -> list[tuple[float, float]]:
    return [(a * x / 2, b * y / 2) for a in (-1, 1) for b in (-1, 1)]


def _straight(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    return legs(x, y, height, radius, paint)


def _square(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    r, paint = radius, plain(paint)
    return [box((a - r, a + r), (b - r, b + r), (0, height), paint) for a, b in _corners(x - 2 * r, y - 2 * r)]


def _splayed(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    return [rod((a, b, 0), (0.68 * a, 0.68 * b, height), radius, paint) for a, b in _corners(x, y)]


def _braced(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    a, b, low = x / 2 - radius, y / 2 - radius, 0.3 * height
    bars = [rod((-a, s * b, low), (a, s * b, low), 0.6 * radius, paint) for s in (-1, 1)]
    return [*legs(x, y, height, radius, paint), *bars, rod((0, -b, low), (0, b, low), 0.6 * radius, paint)]


def _hairpin(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    thin, parts = 0.5 * radius, []
    for a, b in _corners(x, y):
        parts += [rod((a, b, 0), (0.72 * a, 0.95 * b, height), thin, paint)]
        parts += [rod((a, b, 0), (0.95 * a, 0.72 * b, height), thin, paint)]
    return parts


def _runners(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    a, parts = x / 2 - radius, []
    for b in (radius - y / 2, y / 2 - radius):
        parts += chain([(-a, b, height), (-a, b, radius), (a, b, radius), (a, b, height)], radius, paint)
    return parts


def _rockers(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    a, parts = x / 2 - radius, []
    for b in (radius - y / 2, y / 2 - radius):
        bow = [(t * 0.75 * x, b, radius + 0.28 * x * t * t) for t in np.linspace(-1, 1, 5)]
        parts += chain(bow, radius, paint)
        parts += [rod((s * a, b, 0.12 * x), (s * a, b, height), radius, paint) for s in (-1, 1)]
    return parts


def _crossed(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    a, parts = x / 2 - radius, []
    for b in (radius - y / 2, y / 2 - radius):
        parts += [rod((s * a, b, 0), (-s * a, b, height), radius, paint) for s in (-1, 1)]
    return [*parts, rod((0, radius - y / 2, height / 2), (0, y / 2 - radius, height / 2), 0.7 * radius, paint)]


def _trestle(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    b, r, parts, paint = y / 2 - 0.14 * y, radius, [], plain(paint)
    for s in (-1, 1):
        parts += [box((-1.6 * r, 1.6 * r), (s * b - r, s * b + r), (0.05, height), paint)]
        parts += [
            box((-0.42 * x, 0.42 * x), (s * b - r, s * b + r), z, paint) for z in ((0, 0.06), (height - 0.06, height))
        ]
    return [*parts, box((-r, r), (-b, b), (0.35 * height, 0.35 * height + 2.4 * r), paint)]


def _panels(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    thick, paint = max(0.03, 1.4 * radius), plain(paint)
    return [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 - thick)), (0, height), paint) for s in (-1, 1)]


def _star(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    reach = 0.48 * min(x, y) + 0.03
    spokes = [rod((0, 0, 0.16 * height + 0.02), (a, b, radius), radius, paint) for a, b in on_circle(4, reach, 0.785)]
    return [*spokes, cylinder(0, 0, (0.1 * height, height), 1.4 * radius, paint)]


def _pedestal(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    foot = 0.36 * min(x, y)
    return [cylinder(0, 0, (0, 0.03), foot, paint), cylinder(0, 0, (0.03, height), 1.6 * radius, paint)]


def _tulip(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    wide = 0.36 * min(x, y)
    foot = cone(0, 0, (0, 0.3 * height), (wide, 1.4 * radius), paint, steps=6)
    return [*foot, *cone(0, 0, (0.3 * height, height), (1.4 * radius, 2.6 * radius), paint, steps=3)]


def _tripod(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    feet = on_circle(3, 0.5 * min(x, y), 0.4)
    return [rod((a, b, 0), (0.4 * a, 0.4 * b, height), radius, paint) for a, b in feet]


def _turned(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    parts = legs(x, y, height, 0.75 * radius, paint)
    for a, b in _corners(x - 2 * radius, y - 2 * radius):
        parts += [ellipsoid((a, b, 0.6 * height), (1.4 * radius, 1.4 * radius, 0.3 * height), paint)]
    return parts


def _plinth(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    return [box((-x / 2, x / 2), (-y / 2, y / 2), (0, height), plain(paint))]


STANDS: dict[str, Callable[[float, float, float, float, Paint], list[Part]]] = {
    "straight": _straight, "square": _square, "splayed": _splayed, "braced": _braced, "hairpin": _hairpin,
    "runners": _runners, "rockers": _rockers, "crossed": _crossed, "trestle": _trestle, "panels": _panels,
    "star": _star, "pedestal": _pedestal, "tulip": _tulip, "tripod": _tripod, "turned": _turned, "plinth": _plinth,
}  # fmt: skip
