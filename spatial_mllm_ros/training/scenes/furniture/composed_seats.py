"""Chairs and stools put together from legs, seats, backs and arms; each look draws from its own share of these."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.furniture.joinery import Look, arc, chain, pick, plain, slab, stand
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["CHAIRS", "STOOLS"]


class _Back:
    """Where a chair's back stands: y is its width; it leans from `foot` on the seat to `head`."""

    def __init__(self, x: float, y: float, seat: float, top: float, rake: float) -> None:
        self.x, self.y, self.seat, self.top, self.rake = x, y, seat, top, rake

    def at(self, share: float, y: float = 0.0) -> tuple[float, float, float]:
        """Return the point at a share of the height, 0 on the seat and 1 at the top."""
        return (self.x - self.rake * share, y, self.seat + (self.top - self.seat) * share)

    def posts(self, paint: Paint, radius: float = 0.018, high: float = 1.0) -> list[Part]:
        """Make a post at either side."""
        edge = self.y / 2 - radius
        return [rod(self.at(-0.05, s * edge), self.at(high, s * edge), radius, paint) for s in (-1, 1)]


def _slat_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    count, wood = int(rng.integers(3, 6)), plain(frame)
    places = np.linspace(-0.32, 0.32, count) * back.y
    slats = [
        slab(back.at(0.05, y), back.at(0.85, y), 0.6 * back.y / (2 * count - 1) + 0.01, 0.015, wood) for y in places
    ]
    return [*back.posts(frame), *slats, slab(back.at(0.82), back.at(1), back.y, 0.03, wood)]


def _bow_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    bow = [back.at(0.45 + 0.55 * s, 0.48 * back.y * c) for c, s in arc(0, math.pi, 7)]
    posts = [rod(back.at(0, s * 0.42 * back.y), back.at(0.45, s * 0.48 * back.y), 0.014, frame) for s in (-1, 1)]
    spindles = [
        rod(back.at(0, y), back.at(0.94 - 4 * (y * 0.8) ** 2, y), 0.009, frame)
        for y in np.linspace(-0.27, 0.27, 4) * back.y
    ]
    return [*posts, *chain(bow, 0.014, frame), *spindles]


def _panel_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    low = pick(rng, (0.0, 0.25))
    board = slab(back.at(low), back.at(1), back.y, 0.025, plain(pick(rng, (frame, cover))))
    return [*(back.posts(frame, high=0.6) if low else []), board]


def _padded_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    low = pick(rng, (0.0, 0.2, 0.35))
    pad = slab(back.at(low), back.at(1), back.y * rng.uniform(0.85, 1.0), rng.uniform(0.05, 0.09), cover)
    return [*(back.posts(frame, high=0.7) if low else []), pad]


def _ladder_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    rungs, tall = int(rng.integers(3, 6)), rng.uniform(0.05, 0.11)
    shares = np.linspace(0.25, 1 - tall, rungs)
    boards = [slab(back.at(s), back.at(s + tall), back.y - 0.02, 0.014, plain(frame)) for s in shares]
    return [*back.posts(frame), *boards]


def _medallion_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    lean, tall = -math.atan2(back.rake, back.top - back.seat), (back.top - back.seat) / 2
    shells = [ellipsoid(back.at(0.55), (0.022, 0.52 * back.y, 0.85 * tall), frame, lean=lean)]
    x, y, z = back.at(0.55)
    return [
        *shells,
        ellipsoid((x + 0.012, y, z), (0.022, 0.42 * back.y, 0.68 * tall), cover, lean=lean),
        *back.posts(frame, high=0.5),
    ]


def _cross_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    edge, rail = back.y / 2 - 0.02, slab(back.at(0.85), back.at(1), back.y, 0.028, plain(frame))
    bars = [rod(back.at(0.1, s * edge), back.at(0.87, -s * edge), 0.011, frame) for s in (-1, 1)]
    return [*back.posts(frame), rail, *bars, rod(back.at(0.1, -edge), back.at(0.1, edge), 0.012, frame)]


def _barrel_back(back: _Back, frame: Paint, cover: Paint, rng: np.random.Generator) -> list[Part]:
    """Make a low curved back that goes round the seat, as a captain's chair has it."""
    high, half = back.seat + 0.62 * (back.top - back.seat), back.y / 2 + 0.02
    rim = [(0.09 + (back.x - 0.09) * s, half * c, high) for c, s in arc(0, math.pi, 8)]
    props = [rod((p[0], 0.92 * p[1], back.seat), p, 0.011, frame) for p in rim]
    return [*props, *chain(rim, 0.025, pick(rng, (frame, cover)))]


_BACKS = {
    "slats": _slat_back, "bow": _bow_back, "panel": _panel_back, "padded": _padded_back, "ladder": _ladder_back,
    "medallion": _medallion_back, "cross": _cross_back, "barrel": _barrel_back,
}  # fmt: skip


def _seat(x: float, y: float, z: tuple[float, float], paint: Paint, is_round: bool) -> list[Part]:
    if is_round:
        return [cylinder(0, 0, z, max(x, y) / 2, paint)]
    return [box((-x / 2, x / 2), (-y / 2, y / 2), z, paint)]


def _arms(x: float, y: float, seat: float, back: _Back, paint: Paint) -> list[Part]:
    high, parts = seat + 0.22, []
    share = 0.22 / (back.top - back.seat)
    for s in (-1, 1):
        at = s * (y / 2 + 0.012)
        parts += [rod((0.36 * x, at, seat - 0.03), (0.4 * x, at, high), 0.014, paint)]
        parts += [slab(back.at(share, at), (0.46 * x, at, high), 0.045, 0.022, plain(paint))]
    return parts


def _chair(
    stands: tuple[str, ...], backs: tuple[str, ...], arms: float, finish: Finish, rng: np.random.Generator
) -> list[Part]:
    kind, back_kind = pick(rng, stands), pick(rng, backs)
    x, y, seat = rng.uniform(0.4, 0.48), rng.uniform(0.4, 0.52), rng.uniform(0.42, 0.48)
    top, thick = seat + rng.uniform(0.36, 0.62), rng.uniform(0.025, 0.09)
    frame = (
        finish.metal if kind in ("hairpin", "star", "pedestal") else pick(rng, (finish.wood, finish.wood, finish.metal))
    )
    cover = pick(rng, (finish.fabric, finish.second, plain(finish.wood), finish.enamel))
    is_round = kind in ("tulip", "pedestal", "star", "tripod", "splayed") and rng.random() < 0.5
    back = _Back(0.02 - x / 2, y * rng.uniform(0.82, 1.0), seat, top, rng.uniform(0.02, 0.14))
    under = seat - thick
    parts = stand(kind, x * 1.05, y * (1.05 if kind != "panels" else 1.12), under, rng.uniform(0.014, 0.024), frame)
    parts += [*_seat(x, y, (under, seat), cover, is_round), *_BACKS[back_kind](back, frame, cover, rng)]
    if back_kind != "barrel" and rng.random() < arms:
        parts += _arms(x, y, seat, back, frame)
    return parts


def _panel_chair(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, y, seat = rng.uniform(0.44, 0.54), rng.uniform(0.46, 0.56), rng.uniform(0.38, 0.44)
    sides, top = plain(pick(rng, (finish.wood, finish.enamel))), seat + rng.uniform(0.42, 0.58)
    high, thick = seat + pick(rng, (-0.05, 0.2)), rng.uniform(0.025, 0.05)
    parts = [box((-x / 2, x / 2), (s * y / 2, s * (y / 2 + thick)), (0, high), sides) for s in (-1, 1)]
    back = _Back(0.03 - x / 2, y * 0.98, seat, top, rng.uniform(0.03, 0.12))
    kind = pick(rng, ("padded", "panel", "slats", "ladder"))
    cover = pick(rng, (finish.fabric, finish.second))
    return [*parts, *_seat(x, y, (seat - 0.09, seat), cover, False), *_BACKS[kind](back, sides, cover, rng)]


def _footrest(x: float, y: float, height: float, paint: Paint) -> list[Part]:
    a, b, z = 0.86 * x / 2, 0.86 * y / 2, 0.36 * height
    return chain([(a, -b, z), (a, b, z), (-a, b, z), (-a, -b, z), (a, -b, z)], 0.011, paint)


def _cushion(x: float, height: float, finish: Finish, rng: np.random.Generator, shapes: tuple[str, ...]) -> list[Part]:
    """Make a stool's seat, its top at a height."""
    paint, shape = pick(rng, (finish.fabric, finish.second, finish.wood, finish.enamel)), pick(rng, shapes)
    thick = rng.uniform(0.03, 0.09)
    if shape == "round":
        return [cylinder(0, 0, (height - thick, height), x / 2, paint)]
    if shape == "ring":
        board = cylinder(0, 0, (height - thick - 0.02, height - thick), x / 2 - 0.01, finish.metal)
        return [board, cylinder(0, 0, (height - thick, height), x / 2, paint)]
    if shape == "dish":
        ends = [sorted((s * 0.52 * x, s * 0.4 * x)) for s in (-1, 1)]
        lips = [box((-0.47 * x, 0.47 * x), end, (height - 0.035, height), plain(paint)) for end in ends]
        return [box((-0.47 * x, 0.47 * x), (-0.5 * x, 0.5 * x), (height - 0.06, height - 0.02), paint), *lips]
    return [box((-x / 2, x / 2), (-x / 2, x / 2), (height - thick, height), paint)]


def _low_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind = pick(rng, ("straight", "braced", "splayed", "hairpin", "square", "runners", "turned"))
    x, height = rng.uniform(0.34, 0.46), rng.uniform(0.42, 0.52)
    paint = finish.metal if kind in ("hairpin", "runners") else pick(rng, (finish.wood, finish.wood, finish.enamel))
    shapes = ("round",) if kind == "splayed" else ("square", "dish", "round")
    return [
        *stand(kind, 0.92 * x, 0.92 * x, height - 0.035, rng.uniform(0.015, 0.024), paint),
        *_cushion(x, height, finish, rng, shapes),
    ]


def _counter_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind, x, height = (
        pick(rng, ("splayed", "straight", "square", "runners")),
        rng.uniform(0.33, 0.4),
        rng.uniform(0.62, 0.76),
    )
    paint = pick(rng, (finish.wood, finish.metal, finish.enamel))
    bars = _footrest(
        x * (0.86 if kind == "splayed" else 0.98), x * (0.86 if kind == "splayed" else 0.98), height, paint
    )
    shapes = ("round", "ring", "square", "dish")
    return [
        *stand(kind, x, x, height - 0.03, rng.uniform(0.013, 0.02), paint),
        *bars,
        *_cushion(x, height, finish, rng, shapes),
    ]


def _post_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind, x, height = pick(rng, ("star", "tulip", "pedestal")), rng.uniform(0.34, 0.42), rng.uniform(0.42, 0.72)
    shapes = ("square", "dish") if kind == "pedestal" else ("round", "square", "ring")
    parts = stand(kind, 1.05 * x, 1.05 * x, height - 0.05, 0.02, pick(rng, (finish.metal, finish.enamel)))
    if height > 0.58:  # a bar for the feet, in front
        z, y = 0.35 * height, 0.13
        bar = [(0, 0, z), (0.15, 0, z)], [(0.15, -y, z), (0.15, y, z)]
        parts += [rod(a, b, 0.012, finish.metal) for a, b in bar]
    return [*parts, *_cushion(x, height, finish, rng, shapes)]


def _solid_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    x, height, kind = rng.uniform(0.38, 0.48), rng.uniform(0.36, 0.48), pick(rng, ("cube", "waist", "pouf", "steps"))
    cover = pick(rng, (finish.fabric, finish.second))
    if kind == "cube":
        feet = stand("straight", 0.9 * x, 0.9 * x, 0.06, 0.02, finish.wood)
        body, lid = (-x / 2, x / 2), (-0.51 * x, 0.51 * x)
        return [
            *feet,
            box(body, body, (0.06, height - 0.08), cover),
            box(lid, lid, (height - 0.07, height), cover.darker(0.85)),
        ]
    if kind == "waist":
        shape = [
            *cone(0, 0, (0, height / 2), (x / 2, 0.28 * x), finish.wood),
            *cone(0, 0, (height / 2, height - 0.04), (0.28 * x, x / 2), finish.wood),
        ]
        return [*shape, cylinder(0, 0, (height - 0.04, height), 0.52 * x, cover)]
    if kind == "pouf":
        bands = [cylinder(0, 0, (z, z + 0.015), 0.62 * x, cover.darker(0.75)) for z in (0.3 * height, 0.6 * height)]
        return [
            cylinder(0, 0, (0, height - 0.06), 0.6 * x, cover),
            *bands,
            ellipsoid((0, 0, height - 0.06), (0.6 * x, 0.6 * x, 0.07), cover),
        ]
    sides = [slab((0.0, s * x / 2, 0), (-0.06, s * x / 2, height), 0.03, 0.3, plain(finish.wood)) for s in (-1, 1)]
    low = box((-0.05, 0.28), (-x / 2, x / 2), (0.45 * height, 0.45 * height + 0.03), finish.wood)
    props = [rod((0.26, s * 0.45 * x, 0), (0.24, s * 0.45 * x, 0.45 * height), 0.018, finish.wood) for s in (-1, 1)]
    return [*sides, low, *props, box((-0.24, 0.1), (-0.54 * x, 0.54 * x), (height, height + 0.035), finish.wood)]


def _bench_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    kind, x, y = pick(rng, ("crossed", "panels", "tripod", "crossed")), rng.uniform(0.3, 0.38), rng.uniform(0.36, 0.48)
    height, paint = rng.uniform(0.4, 0.5), pick(rng, (finish.wood, finish.enamel))
    if kind == "tripod":
        return [
            *stand(kind, x + 0.06, x + 0.06, height - 0.03, 0.022, paint),
            ellipsoid((0, 0, height - 0.02), (0.62 * x, 0.62 * x, 0.035), finish.wood),
        ]
    parts = stand(kind, x, y, height - 0.03, 0.018, paint)
    cover = finish.fabric if kind == "crossed" else pick(rng, (finish.wood, finish.second))
    if kind == "panels":
        parts += [rod((0, -y / 2 + 0.02, 0.4 * height), (0, y / 2 - 0.02, 0.4 * height), 0.014, paint)]
    return [*parts, box((-0.55 * x, 0.55 * x), (-0.52 * y, 0.52 * y), (height - 0.04, height), cover)]


CHAIRS: tuple[Look, ...] = (
    partial(
        _chair, ("straight", "braced", "square", "turned"), ("slats", "ladder", "cross", "medallion", "panel"), 0.35
    ),
    partial(_chair, ("splayed", "hairpin", "splayed"), ("bow", "barrel", "padded", "panel", "medallion"), 0.3),
    partial(_chair, ("runners", "crossed", "rockers"), ("slats", "ladder", "padded", "bow", "cross"), 0.5),
    partial(_chair, ("star", "tulip", "pedestal"), ("padded", "panel", "barrel", "medallion"), 0.4),
    _panel_chair,
)
STOOLS: tuple[Look, ...] = (_low_stool, _counter_stool, _post_stool, _solid_stool, _bench_stool)
