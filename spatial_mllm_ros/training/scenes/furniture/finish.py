"""The materials of one piece of furniture, drawn together so that they go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatial_mllm_ros.training.scenes.furniture.palettes import Palette
from spatial_mllm_ros.training.scenes.shapes import Colour, Paint, Part, cylinder, panel

__all__ = ["Finish", "draw_finish", "front", "legs"]

_METALS: tuple[Colour, ...] = ((0.25, 0.25, 0.28), (0.72, 0.73, 0.76), (0.8, 0.65, 0.36), (0.12, 0.12, 0.13))


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What one piece is made of.

    Attributes:
        wood: solid wood, with grain.
        fabric: upholstery.
        second: another fabric, for cushions and covers.
        enamel: painted or plastic surface.
        metal: legs, handles, poles.
    """

    wood: Paint
    fabric: Paint
    second: Paint
    enamel: Paint
    metal: Paint


def draw_finish(palette: Palette, rng: np.random.Generator) -> Finish:
    """Draw the materials of one piece."""
    weaves = ("weave", "leather", "plaid", "dots", "weave")
    return Finish(
        wood=Paint(colour=_near(rng, palette.woods), texture="wood", shine=0.12),
        fabric=Paint(colour=_near(rng, palette.fabrics), texture=weaves[rng.integers(3)]),
        second=Paint(colour=_near(rng, palette.fabrics), texture=weaves[rng.integers(5)]),
        enamel=Paint(colour=_near(rng, palette.enamels), shine=0.45),
        metal=Paint(colour=_near(rng, _METALS), shine=0.6),
    )


def legs(x: float, y: float, height: float, radius: float, paint: Paint) -> list[Part]:
    """Make four upright legs at the corners of x by y."""
    corners = [(a * (x / 2 - radius), b * (y / 2 - radius)) for a in (-1, 1) for b in (-1, 1)]
    return [cylinder(cx, cy, (0, height), radius, paint) for cx, cy in corners]


def front(x: float, y: tuple[float, float], z: tuple[float, float], paint: Paint) -> Part:
    """Make a picture that looks towards +x."""
    centre = (x, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2)
    return panel(centre, (0, (y[1] - y[0]) / 2, 0), (0, 0, (z[1] - z[0]) / 2), paint)


def _near(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    base = np.array(colours[rng.integers(len(colours))])
    return tuple(float(c) for c in np.clip(base * rng.uniform(0.88, 1.12) + rng.normal(0, 0.025, 3), 0.02, 1.0))
