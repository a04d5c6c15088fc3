"""Chairs, stools, sofas and beds. Each function builds one look, about as large as the real thing (metres)."""

from __future__ import annotations

import math

import numpy as np

from spatial_mllm_ros.training.scenes.furniture import composed_beds, composed_seats, composed_sofas
from spatial_mllm_ros.training.scenes.furniture.finish import Finish, legs
from spatial_mllm_ros.training.scenes.shapes import Paint, Part, box, cylinder, ellipsoid, rod

__all__ = ["BEDS", "CHAIRS", "SOFAS", "STOOLS"]

_LINEN = Paint(colour=(0.96, 0.95, 0.92), texture="weave")


def _spindle_chair(finish: Finish, rng: np.random.Generator) -> list[Part]:
    side, seat, top = rng.uniform(0.42, 0.5), 0.45, rng.uniform(0.88, 1.0)
    half = side / 2
    posts = [cylinder(-half + 0.03, y, (seat, top), 0.02, finish.wood) for y in (-half + 0.03, half - 0.03)]
    spindles = [
        cylinder(-half + 0.03, y, (seat, top - 0.05), 0.01, finish.wood) for y in np.linspace(-0.6, 0.6, 4) * half
    ]
    rail = box((-half, -half + 0.05), (-half, half), (top - 0.09, top), finish.wood)
    cushion = box((-half, half), (-half, half), (seat - 0.05, seat), finish.fabric)
    return [*legs(side, side, seat - 0.05, 0.022, finish.wood), *posts, *spindles, rail, cushion]


def _padded_chair(finish: Finish, rng: np.random.Generator) -> list[Part]:
    side, top = rng.uniform(0.46, 0.54), rng.uniform(0.92, 1.08)
    half = side / 2
    back = box((-half, -half + 0.09), (-half, half), (0.36, top), finish.fabric)
    seat = box((-half + 0.09, half), (-half, half), (0.36, 0.48), finish.fabric.darker(1.08))
    return [*legs(side, side, 0.36, 0.025, finish.wood.darker(0.7)), back, seat]


def _office_chair(finish: Finish, rng: np.random.Generator) -> list[Part]:
    reach, top = rng.uniform(0.26, 0.3), rng.uniform(0.98, 1.12)
    parts = [cylinder(0, 0, (0.08, 0.44), 0.03, finish.metal)]
    for angle in np.arange(5) * 2 * math.pi / 5:
        x, y = reach * math.cos(angle), reach * math.sin(angle)
        parts += [
            rod((0, 0, 0.1), (x, y, 0.07), 0.018, finish.metal),
            ellipsoid((x, y, 0.035), (0.03,) * 3, finish.metal),
        ]
    parts += [rod((-0.1, 0, 0.44), (-0.23, 0, 0.62), 0.02, finish.metal)]
    for y in (-0.27, 0.27):
        parts += [
            box((-0.12, 0.14), (y - 0.025, y + 0.025), (0.63, 0.66), finish.metal),
            cylinder(0, y, (0.46, 0.63), 0.014, finish.metal),
        ]
    return [
        *parts,
        box((-0.23, 0.24), (-0.25, 0.25), (0.44, 0.52), finish.fabric),
        box((-0.27, -0.2), (-0.22, 0.22), (0.58, top), finish.fabric),
    ]


def _sled_chair(finish: Finish, rng: np.random.Generator) -> list[Part]:
    width, top = rng.uniform(0.22, 0.26), rng.uniform(0.84, 0.94)
    parts = []
    for y in (-width, width):
        corners = [(-0.24, y, 0.02), (0.24, y, 0.02), (0.24, y, 0.42), (-0.2, y, 0.42), (-0.25, y, top)]
        parts += [rod(a, b, 0.016, finish.metal) for a, b in zip(corners, corners[1:])]
    seat = box((-0.2, 0.24), (-width, width), (0.42, 0.45), finish.second)
    return [*parts, seat, box((-0.27, -0.23), (-width, width), (top - 0.28, top), finish.second)]


def _milking_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(0.45, 0.55), rng.uniform(0.17, 0.2)
    feet = [(radius * math.cos(a), radius * math.sin(a), 0.0) for a in (0.3, 2.4, 4.5)]
    props = [rod(foot, (0.55 * foot[0], 0.55 * foot[1], height - 0.04), 0.018, finish.wood) for foot in feet]
    return [*props, cylinder(0, 0, (height - 0.05, height), radius, finish.wood)]


def _square_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, side = rng.uniform(0.44, 0.5), rng.uniform(0.36, 0.42)
    half, bar = side / 2 - 0.02, finish.wood.darker(0.85)
    bars = [rod((-half, y, 0.14), (half, y, 0.14), 0.014, bar) for y in (-half, half)]
    bars += [rod((x, -half, 0.2), (x, half, 0.2), 0.014, bar) for x in (-half, half)]
    top = box((-side / 2, side / 2), (-side / 2, side / 2), (height - 0.07, height), finish.fabric)
    return [*legs(side, side, height - 0.07, 0.02, finish.wood), *bars, top]


def _drum_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(0.4, 0.46), rng.uniform(0.2, 0.23)
    return [
        cylinder(0, 0, (0, 0.03), radius * 0.9, finish.metal),
        cylinder(0, 0, (0.03, height - 0.06), radius, finish.fabric),
        cylinder(0, 0, (height - 0.06, height), radius * 1.02, finish.fabric.darker(0.75)),
    ]


def _bar_stool(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(0.68, 0.78)
    rim = [(0.13 * math.cos(a), 0.13 * math.sin(a), 0.28) for a in np.arange(9) * math.pi / 4]
    ring = [rod(a, b, 0.011, finish.metal) for a, b in zip(rim, rim[1:])]
    spokes = [
        rod((0, 0, 0.28), (0.13 * math.cos(a), 0.13 * math.sin(a), 0.28), 0.009, finish.metal) for a in (0.0, 2.1, 4.2)
    ]
    return [
        cylinder(0, 0, (0, 0.025), 0.2, finish.metal),
        cylinder(0, 0, (0.025, height - 0.08), 0.025, finish.metal),
        *ring,
        *spokes,
        ellipsoid((0, 0, height - 0.05), (0.19, 0.19, 0.06), finish.second),
    ]


def _club_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, top, cover = rng.uniform(1.7, 2.1), rng.uniform(0.78, 0.86), finish.fabric
    inner = y / 2 - 0.18
    parts = [box((-0.44, 0.42), (-inner, inner), (0.08, 0.28), cover.darker(0.8))]
    parts += [box((-0.45, 0.45), (s * y / 2, s * inner), (0.08, 0.6), cover.darker(0.88)) for s in (-1, 1)]
    parts += [box((-0.45, -0.25), (-inner, inner), (0.28, top), cover)]
    for low, high in ((-inner, -0.005), (0.005, inner)):
        parts += [
            box((-0.25, 0.45), (low, high), (0.28, 0.43), cover.darker(1.1)),
            box((-0.25, -0.1), (low + 0.02, high - 0.02), (0.43, top - 0.06), cover.darker(1.05)),
        ]
    return [*legs(0.84, y - 0.1, 0.08, 0.025, finish.wood), *parts]


def _daybed_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, cover = rng.uniform(1.6, 2.0), finish.fabric
    pillows = [
        ellipsoid((-0.2, s * (y / 2 - 0.35), 0.62), (0.1, 0.24, 0.21), finish.second, lean=-0.35) for s in (-1, 1)
    ]
    return [
        *legs(0.8, y - 0.2, 0.2, 0.022, finish.wood),
        box((-0.45, 0.42), (-y / 2, y / 2), (0.2, 0.27), finish.wood),
        box((-0.36, 0.42), (-y / 2 + 0.03, y / 2 - 0.03), (0.27, 0.44), cover),
        box((-0.45, -0.36), (-y / 2, y / 2), (0.27, 0.8), cover.darker(0.9)),
        *pillows,
    ]


def _rolled_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, cover = rng.uniform(1.6, 2.0), finish.fabric
    parts = [
        box((-0.4, 0.38), (-y / 2 + 0.08, y / 2 - 0.08), (0.06, 0.46), cover),
        box((-0.42, -0.26), (-y / 2 + 0.1, y / 2 - 0.1), (0.4, 0.7), cover),
        rod((-0.35, -y / 2 + 0.06, 0.7), (-0.35, y / 2 - 0.06, 0.7), 0.1, cover.darker(1.06)),
    ]
    for s in (-1, 1):
        at = s * (y / 2 - 0.12)
        parts += [
            box((-0.4, 0.38), (at - 0.07, at + 0.07), (0.06, 0.58), cover.darker(0.9)),
            rod((-0.42, at, 0.58), (0.41, at, 0.58), 0.11, cover.darker(1.06)),
        ]
    return [*legs(0.7, y - 0.3, 0.06, 0.03, finish.wood.darker(0.6)), *parts]


def _slatted_sofa(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, wood = rng.uniform(1.5, 1.9), finish.wood
    parts = []
    for s in (-1, 1):
        at = s * (y / 2 - 0.03)
        parts += [box((-0.42, 0.42), (at - 0.03, at + 0.03), (0.58, 0.62), wood)]
        parts += [
            box((x - 0.025, x + 0.025), (at - 0.025, at + 0.025), (0, 0.58), wood) for x in (-0.38, -0.13, 0.13, 0.38)
        ]
    parts += [box((-0.42, -0.39), (-y / 2, y / 2), (z, z + 0.08), wood) for z in (0.42, 0.56, 0.7)]
    return [
        *parts,
        box((-0.42, 0.42), (-y / 2 + 0.06, y / 2 - 0.06), (0.2, 0.26), wood),
        box((-0.36, 0.42), (-y / 2 + 0.07, y / 2 - 0.07), (0.26, 0.42), finish.second),
        box((-0.37, -0.22), (-y / 2 + 0.07, y / 2 - 0.07), (0.42, 0.8), finish.second.darker(1.08)),
    ]


def _mattress(y: float, cover: Paint, low: float, blanket: float = 0.62) -> list[Part]:
    """Make the soft part of a bed 2 m long, its head at -x: mattress, cover and two pillows from height `low` up."""
    pillows = [ellipsoid((-0.74, s * y / 4, low + 0.24), (0.2, y / 5, 0.09), _LINEN) for s in (-1, 1)]
    return [
        box((-1.0, 0.98), (-y / 2 + 0.03, y / 2 - 0.03), (low, low + 0.2), _LINEN),
        box((-1.0 + blanket, 1.0), (-y / 2 + 0.01, y / 2 - 0.01), (low - 0.02, low + 0.23), cover),
        box(
            (-1.0 + blanket - 0.18, -1.0 + blanket),
            (-y / 2 + 0.02, y / 2 - 0.02),
            (low, low + 0.235),
            _LINEN.darker(0.93),
        ),
        *pillows,
    ]


def _panel_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(1.2, 1.6)
    cover = Paint(colour=finish.second.colour, texture="quilt")
    return [
        box((-1.0, 1.0), (-y / 2, y / 2), (0.08, 0.3), finish.wood),
        box((-1.06, -1.0), (-y / 2 - 0.03, y / 2 + 0.03), (0, rng.uniform(0.85, 1.05)), finish.wood.darker(0.85)),
        *_mattress(y, cover, 0.3),
    ]


def _footboard_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(1.1, 1.5)
    padded = [box((-1.08, -1.0), (-y / 2, y / 2), (0.06, 1.0), finish.fabric)]
    padded += [box((-1.0, -0.985), (-y / 2 + 0.04, y / 2 - 0.04), (0.5, 0.95), finish.fabric.darker(0.85))]
    return [
        *padded,
        box((-1.0, 1.0), (-y / 2, y / 2), (0.06, 0.34), finish.fabric.darker(0.9)),
        box((1.0, 1.06), (-y / 2, y / 2), (0.06, 0.6), finish.fabric),
        *_mattress(y, finish.second, 0.34),
    ]


def _iron_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y = rng.uniform(1.0, 1.4)
    parts = []
    for x, top in ((-1.03, 1.05), (1.03, 0.75)):
        parts += [cylinder(x, s * (y / 2), (0, top), 0.025, finish.metal) for s in (-1, 1)]
        parts += [rod((x, -y / 2, z), (x, y / 2, z), 0.018, finish.metal) for z in (0.3, top - 0.06)]
        parts += [cylinder(x, at, (0.3, top - 0.06), 0.01, finish.metal) for at in np.linspace(-0.4, 0.4, 6) * y]
    sides = [rod((-1.03, s * y / 2, 0.28), (1.03, s * y / 2, 0.28), 0.025, finish.metal) for s in (-1, 1)]
    return [*parts, *sides, *_mattress(y, Paint(colour=finish.second.colour, texture="plaid"), 0.3)]


def _poster_bed(finish: Finish, rng: np.random.Generator) -> list[Part]:
    y, top = rng.uniform(1.2, 1.5), rng.uniform(1.5, 1.7)
    corners = [(x, s * y / 2) for x in (-1.02, 1.02) for s in (-1, 1)]
    posts = [box((x - 0.03, x + 0.03), (at - 0.03, at + 0.03), (0, top), finish.wood) for x, at in corners]
    rails = [
        box((-1.02, 1.02), (s * y / 2 - 0.025, s * y / 2 + 0.025), (top - 0.05, top), finish.wood) for s in (-1, 1)
    ]
    rails += [box((x - 0.025, x + 0.025), (-y / 2, y / 2), (top - 0.05, top), finish.wood) for x in (-1.02, 1.02)]
    base = box((-1.02, 1.02), (-y / 2, y / 2), (0.18, 0.32), finish.wood)
    return [*posts, *rails, base, *_mattress(y, Paint(colour=finish.second.colour, texture="dots"), 0.32)]


CHAIRS = (_spindle_chair, _padded_chair, _office_chair, *composed_seats.CHAIRS, _sled_chair)
STOOLS = (_milking_stool, _square_stool, _drum_stool, *composed_seats.STOOLS, _bar_stool)
SOFAS = (_club_sofa, _daybed_sofa, _rolled_sofa, *composed_sofas.SOFAS, _slatted_sofa)
BEDS = (_panel_bed, _footboard_bed, _iron_bed, *composed_beds.BEDS, _poster_bed)
