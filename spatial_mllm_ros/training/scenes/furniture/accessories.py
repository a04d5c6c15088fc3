"""Lamps, plants and trash bins. Each function builds one look, about as large as the real thing (metres)."""

from __future__ import annotations

import math

import numpy as np

from spatial_mllm_ros.training.scenes.furniture import composed_bins, composed_lamps, composed_plants
from spatial_mllm_ros.training.scenes.furniture.finish import Finish
from spatial_mllm_ros.training.scenes.shapes import Colour, Paint, Part, box, cone, cylinder, ellipsoid, rod

__all__ = ["BINS", "LAMPS", "PLANTS"]

_SOIL = Paint(colour=(0.2, 0.14, 0.1))
_POTS: tuple[Colour, ...] = ((0.75, 0.4, 0.28), (0.9, 0.9, 0.88), (0.35, 0.37, 0.4), (0.3, 0.5, 0.6), (0.85, 0.7, 0.4))


def _shade(rng: np.random.Generator) -> Paint:
    tints = ((1.0, 0.93, 0.55), (0.98, 0.87, 0.4), (1.0, 0.95, 0.64), (0.95, 0.82, 0.26))
    return Paint(colour=tints[rng.integers(len(tints))], texture="weave", glow=0.55)


def _reading_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(1.45, 1.75), rng.uniform(0.18, 0.23)
    return [
        cylinder(0, 0, (0, 0.03), 0.15, finish.metal),
        cylinder(0, 0, (0.03, height - 0.1), 0.016, finish.metal),
        *cone(0, 0, (height - 0.3, height), (radius, radius * 0.6), _shade(rng), steps=7),
    ]


def _tripod_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(1.35, 1.6), rng.uniform(0.2, 0.25)
    feet = [(0.25 * math.cos(a), 0.25 * math.sin(a), 0.0) for a in (0.5, 2.6, 4.7)]
    props = [rod(foot, (0, 0, height - 0.25), 0.016, finish.wood) for foot in feet]
    return [*props, cylinder(0, 0, (height - 0.3, height), radius, _shade(rng))]


def _globe_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(1.4, 1.65)
    bulb = Paint(colour=(1.0, 0.95, 0.82), glow=0.65)
    globes = [ellipsoid((0, 0, height - 0.16), (0.16, 0.16, 0.16), bulb)]
    globes += [ellipsoid((0.15, 0.05, height * 0.62), (0.1, 0.1, 0.1), bulb)]
    arm = rod((0, 0, height * 0.62), (0.1, 0.03, height * 0.62), 0.012, finish.metal)
    return [
        cylinder(0, 0, (0, 0.04), 0.17, finish.metal),
        cylinder(0, 0, (0.04, height - 0.3), 0.018, finish.metal),
        arm,
        *globes,
    ]


def _paper_lamp(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, side = rng.uniform(1.1, 1.35), rng.uniform(0.13, 0.16)
    parts = [box((-side, side), (-side, side), (0.06, height), _shade(rng))]
    parts += [box((-side - 0.012, side + 0.012), (-side - 0.012, side + 0.012), (z, z + 0.02), finish.wood)
              for z in np.linspace(0.04, height, 6)]  # fmt: skip
    corners = [(a * side, b * side) for a in (-1, 1) for b in (-1, 1)]
    return [*parts, *(cylinder(x, y, (0, height + 0.02), 0.014, finish.wood) for x, y in corners)]


def _pot(rng: np.random.Generator, height: float, radius: float) -> list[Part]:
    paint = Paint(colour=_POTS[rng.integers(len(_POTS))], texture="concrete", shine=0.1)
    rim = cylinder(0, 0, (height - 0.05, height), radius * 1.06, paint)
    return [
        *cone(0, 0, (0, height - 0.05), (radius * 0.72, radius), paint),
        rim,
        cylinder(0, 0, (height, height + 0.004), radius * 0.9, _SOIL),
    ]


def _green(rng: np.random.Generator) -> Paint:
    return Paint(colour=(rng.uniform(0.14, 0.3), rng.uniform(0.42, 0.62), rng.uniform(0.14, 0.26)))


def _bushy_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, parts = rng.uniform(0.95, 1.3), _pot(rng, 0.32, 0.19)
    for index in range(22):
        turn, reach, z = index * 2.4, rng.uniform(0.08, 0.28), 0.42 + (height - 0.46) * index / 21
        tip = (reach * math.cos(turn), reach * math.sin(turn), z)
        paint = _green(rng)
        parts += [rod((0, 0, 0.3), tip, 0.007, paint.darker(0.6))] if index % 3 == 0 else []
        parts += [ellipsoid(tip, (0.13, 0.075, 0.02), paint, lean=rng.uniform(0.1, 0.7), turn=turn)]
    return parts


def _palm_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, parts = rng.uniform(1.3, 1.6), _pot(rng, 0.36, 0.2)
    bark = Paint(colour=(0.45, 0.33, 0.22))
    parts += cone(0, 0, (0.36, height - 0.25), (0.045, 0.028), bark, steps=6)
    for index in range(13):
        turn, lift = index * 2.4 + rng.uniform(-0.3, 0.3), rng.uniform(-0.5, 0.55)
        reach = 0.24
        tip = (reach * math.cos(turn), reach * math.sin(turn), height - 0.22 - 0.2 * math.sin(lift))
        parts += [ellipsoid(tip, (0.27, 0.05, 0.014), _green(rng), lean=lift, turn=turn)]
    return parts


def _cactus_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, parts, flesh = rng.uniform(0.85, 1.15), _pot(rng, 0.26, 0.18), _green(rng)
    parts += [
        cylinder(0, 0, (0.26, height - 0.09), 0.09, flesh),
        ellipsoid((0, 0, height - 0.09), (0.09, 0.09, 0.09), flesh),
    ]
    for side, z in ((1, 0.5 * height), (-1, 0.62 * height)):
        y, top = side * 0.19, z + rng.uniform(0.15, 0.24)
        parts += [rod((0, 0, z), (0, y, z), 0.045, flesh), ellipsoid((0, y, z), (0.05, 0.05, 0.05), flesh)]
        parts += [cylinder(0, y, (z, top), 0.05, flesh), ellipsoid((0, y, top), (0.05, 0.05, 0.05), flesh)]
    flower = Paint(colour=(0.95, 0.4, 0.55))
    return [*parts, ellipsoid((0.03, 0.0, height), (0.035, 0.035, 0.025), flower)]


def _topiary_plant(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, paint = rng.uniform(1.0, 1.35), _green(rng)
    leaves = Paint(colour=paint.colour, texture="carpet")
    tub = [
        box((-0.18, 0.18), (-0.18, 0.18), (0, 0.32), finish.wood),
        box((-0.16, 0.16), (-0.16, 0.16), (0.32, 0.325), _SOIL),
    ]
    stem = cylinder(0, 0, (0.32, height - 0.3), 0.025, Paint(colour=(0.4, 0.3, 0.2)))
    return [
        *tub,
        stem,
        ellipsoid((0, 0, height - 0.24), (0.24, 0.24, 0.24), leaves),
        ellipsoid((0, 0, 0.5), (0.15, 0.15, 0.13), leaves.darker(0.9)),
    ]


def _office_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(0.4, 0.5), rng.uniform(0.16, 0.19)
    paint = Paint(colour=finish.enamel.colour, texture="brushed", shine=0.4)
    hole = cylinder(0, 0, (height - 0.01, height + 0.002), radius * 0.9, Paint(colour=(0.04, 0.04, 0.04)))
    return [
        *cone(0, 0, (0, height - 0.02), (radius * 0.78, radius), paint, steps=6),
        cylinder(0, 0, (height - 0.02, height), radius * 1.04, paint),
        hole,
    ]


def _pedal_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, radius, steel = (
        rng.uniform(0.5, 0.62),
        rng.uniform(0.15, 0.18),
        Paint(colour=(0.76, 0.78, 0.8), texture="brushed", shine=0.6),
    )
    return [
        cylinder(0, 0, (0, 0.04), radius * 1.03, finish.metal),
        cylinder(0, 0, (0.04, height - 0.1), radius, steel),
        cylinder(0, 0, (height - 0.1, height - 0.08), radius * 1.04, finish.metal),
        ellipsoid((0, 0, height - 0.09), (radius, radius, 0.09), steel),
        box((radius * 0.9, radius + 0.07), (-0.04, 0.04), (0.01, 0.03), finish.metal),
    ]


def _wheeled_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, body = rng.uniform(0.75, 0.95), Paint(colour=finish.second.colour, shine=0.2)
    wheels = [rod((-0.2, s * 0.18, 0.07), (-0.2, s * 0.23, 0.07), 0.07, finish.metal) for s in (-1, 1)]
    lid = box((-0.24, 0.24), (-0.24, 0.24), (height - 0.06, height), body.darker(0.7))
    return [
        *wheels,
        box((-0.2, 0.18), (-0.19, 0.19), (0.04, 0.5 * height), body),
        box((-0.22, 0.21), (-0.22, 0.22), (0.5 * height, height - 0.06), body),
        lid,
        rod((-0.27, -0.2, height - 0.05), (-0.27, 0.2, height - 0.05), 0.015, body.darker(0.6)),
    ]


def _wicker_bin(finish: Finish, rng: np.random.Generator) -> list[Part]:
    height, side = rng.uniform(0.45, 0.58), rng.uniform(0.16, 0.19)
    weave = Paint(colour=finish.wood.colour, texture="wicker")
    rim = [
        box((-side - 0.015, side + 0.015), (-side - 0.015, side + 0.015), (height - 0.04, height), weave.darker(0.75))
    ]
    inside = box(
        (-side + 0.03, side - 0.03),
        (-side + 0.03, side - 0.03),
        (height, height + 0.003),
        Paint(colour=(0.05, 0.04, 0.03)),
    )
    return [box((-side, side), (-side, side), (0, height - 0.04), weave), *rim, inside]


LAMPS = (_reading_lamp, _tripod_lamp, _globe_lamp, *composed_lamps.LAMPS, _paper_lamp)
PLANTS = (_bushy_plant, _palm_plant, _cactus_plant, *composed_plants.PLANTS, _topiary_plant)
BINS = (_office_bin, _pedal_bin, _wheeled_bin, *composed_bins.BINS, _wicker_bin)
