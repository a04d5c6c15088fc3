"""The primitives that rooms and furniture are built from, and how each is painted.

Local frame of a piece of furniture: origin on the floor under its middle, x towards its front, z up.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Paint", "Part", "box", "cone", "cylinder", "ellipsoid", "extents", "fitted", "panel", "placed", "rod"]

Colour = tuple[float, float, float]
_UPRIGHT = np.eye(3)


@dataclass(frozen=True, kw_only=True)
class Paint:
    """What a surface looks like.

    Attributes:
        colour: red, green, blue in [0, 1]; multiplies the texture.
        texture: a name in `textures.TEXTURES`, or "" for plain colour.
        shine: specular strength in [0, 1].
        glow: share of its own colour that it emits, in [0, 1].
    """

    colour: Colour
    texture: str = ""
    shine: float = 0.0
    glow: float = 0.0

    def darker(self, factor: float) -> Paint:
        """Return the same paint with its colour scaled, clipped to [0, 1]."""
        return dataclasses.replace(self, colour=tuple(min(1.0, max(0.0, c * factor)) for c in self.colour))


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One primitive.

    Attributes:
        kind: "box", "cylinder" (axis along its z), "ellipsoid", or "panel" (a rectangle seen from its +z side).
        half_size: metres; half edges of a box or panel, (radius, radius, half length) of a cylinder, radii of an
            ellipsoid.
        centre: metres.
        paint: its surface.
        rotation: float64 [3,3], parent_from_part.
    """

    kind: str
    half_size: tuple[float, float, float]
    centre: tuple[float, float, float]
    paint: Paint
    rotation: NDArray[np.float64] = dataclasses.field(default_factory=lambda: _UPRIGHT)


def box(x: Sequence[float], y: Sequence[float], z: Sequence[float], paint: Paint) -> Part:
    """Make an upright box that spans x[0]..x[1], y[0]..y[1], z[0]..z[1]."""
    spans = (x, y, z)
    half = tuple(abs(span[1] - span[0]) / 2 for span in spans)
    return Part(kind="box", half_size=half, centre=tuple((span[0] + span[1]) / 2 for span in spans), paint=paint)


def panel(centre: Sequence[float], right: Sequence[float], up: Sequence[float], paint: Paint) -> Part:
    """Make a rectangle around `centre`; `right` and `up` are its half edges as seen from the side that shows."""
    u, v = np.asarray(right, float), np.asarray(up, float)
    lengths = np.linalg.norm(u), np.linalg.norm(v)
    u, v = u / lengths[0], v / lengths[1]
    rotation = np.stack([u, v, np.cross(u, v)], axis=1)
    half = (float(lengths[0]), float(lengths[1]), 0.0)
    return Part(kind="panel", half_size=half, centre=tuple(centre), paint=paint, rotation=rotation)


def cylinder(x: float, y: float, z: Sequence[float], radius: float, paint: Paint) -> Part:
    """Make an upright cylinder around (x, y) from z[0] to z[1]."""
    half = abs(z[1] - z[0]) / 2
    return Part(kind="cylinder", half_size=(radius, radius, half), centre=(x, y, (z[0] + z[1]) / 2), paint=paint)


def cone(x: float, y: float, z: Sequence[float], radii: Sequence[float], paint: Paint, steps: int = 5) -> list[Part]:
    """Make an upright stepped cone around (x, y), radii[0] wide at z[0] and radii[1] at z[1]."""
    levels = np.linspace(z[0], z[1], steps + 1)
    widths = np.linspace(radii[0], radii[1], steps)
    return [cylinder(x, y, (levels[i], levels[i + 1]), float(widths[i]), paint) for i in range(steps)]


def ellipsoid(
    centre: Sequence[float], radii: Sequence[float], paint: Paint, lean: float = 0.0, turn: float = 0.0
) -> Part:
    """Make an ellipsoid, tipped by `lean` about its y axis (towards -z in front), then turned about z (radians)."""
    c, s, ct, st = math.cos(lean), math.sin(lean), math.cos(turn), math.sin(turn)
    tip = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    rotation = np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ tip
    return Part(kind="ellipsoid", half_size=tuple(radii), centre=tuple(centre), paint=paint, rotation=rotation)


def rod(start: Sequence[float], end: Sequence[float], radius: float, paint: Paint) -> Part:
    """Make a cylinder from one point to another."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = end - start
    length = float(np.linalg.norm(axis))
    axis = axis / length
    helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 else np.array([0, 1.0, 0])
    side = np.cross(helper, axis)
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(axis, side), axis], axis=1)
    half, centre = (radius, radius, length / 2), tuple((start + end) / 2)
    return Part(kind="cylinder", half_size=half, centre=centre, paint=paint, rotation=rotation)


def placed(part: Part, position: Sequence[float], yaw: float) -> Part:
    """Return a part given in an object's local frame as a part in the world.

    Args:
        part: in the local frame.
        position: world x, y, z of the local origin, metres.
        yaw: world_from_local rotation about z, radians.
    """
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    centre = turn @ np.asarray(part.centre) + np.asarray(position, float)
    return dataclasses.replace(part, centre=tuple(centre), rotation=turn @ part.rotation)


def extents(parts: Sequence[Part]) -> NDArray[np.float64]:
    """Return float64 [2,3]: the smallest and largest corner of the axis-aligned box around some parts."""
    centres = np.array([part.centre for part in parts])
    reach = np.array([_reach(part) for part in parts])
    return np.stack([(centres - reach).min(0), (centres + reach).max(0)])


def fitted(parts: Sequence[Part], longest_m: float) -> tuple[list[Part], tuple[float, float, float]]:
    """Scale a piece evenly so that its longest edge is `longest_m`, and put its middle on the floor at the origin.

    Returns:
        The parts, and the size of the tight box around them: along x, y and z, metres.
    """
    low, high = extents(parts)
    scale = longest_m / float((high - low).max())
    origin = np.array([*(low + high)[:2] / 2, low[2]])
    moved = [
        dataclasses.replace(
            part,
            centre=tuple((np.asarray(part.centre) - origin) * scale),
            half_size=tuple(half * scale for half in part.half_size),
        )
        for part in parts
    ]
    return moved, tuple(float(edge) for edge in (high - low) * scale)


def _reach(part: Part) -> NDArray[np.float64]:
    """Return how far a part extends from its centre along each parent axis: float64 [3]."""
    axes = part.rotation * np.asarray(part.half_size)  # [3,3], columns are half axes
    if part.kind == "ellipsoid":
        return np.linalg.norm(axes, axis=1)
    if part.kind == "cylinder":  # a disc swept along its axis
        return np.linalg.norm(axes[:, :2], axis=1) + np.abs(axes[:, 2])
    return np.abs(axes).sum(1)
