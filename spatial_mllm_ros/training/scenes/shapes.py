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

__all__ = ["Paint", "Part", "box", "cone", "cylinder", "ellipsoid", "extents", "placed", "rod"]

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
        kind: "box", "cylinder" (axis along its z) or "ellipsoid".
        half_size: metres; half edges of a box, (radius, radius, half length) of a cylinder, radii of an ellipsoid.
        centre: metres.
        rotation: float64 [3,3], parent_from_part.
        paint: its surface.
        faces: for a textured box, the faces that need the texture (of "+x", "-x", "+y", "-y", "+z", "-z").
    """

    kind: str
    half_size: tuple[float, float, float]
    centre: tuple[float, float, float]
    paint: Paint
    rotation: NDArray[np.float64] = dataclasses.field(default_factory=lambda: _UPRIGHT)
    faces: tuple[str, ...] = ("+x", "-x", "+y", "-y", "+z")


def box(x: Sequence[float], y: Sequence[float], z: Sequence[float], paint: Paint, faces: str = "") -> Part:
    """Make an upright box that spans x[0]..x[1], y[0]..y[1], z[0]..z[1]; `faces` such as "+x +z" limits its texture."""
    spans = [(min(span), max(span)) for span in (x, y, z)]
    limited = {"faces": tuple(faces.split())} if faces else {}
    return Part(
        kind="box",
        half_size=tuple((high - low) / 2 for low, high in spans),
        centre=tuple((high + low) / 2 for low, high in spans),
        paint=paint,
        **limited,
    )


def cylinder(x: float, y: float, z: Sequence[float], radius: float, paint: Paint) -> Part:
    """Make an upright cylinder around (x, y) from z[0] to z[1]."""
    half = abs(z[1] - z[0]) / 2
    return Part(kind="cylinder", half_size=(radius, radius, half), centre=(x, y, (z[0] + z[1]) / 2), paint=paint)


def cone(
    x: float, y: float, z: Sequence[float], radii: Sequence[float], paint: Paint, steps: int = 5
) -> list[Part]:
    """Make an upright stepped cone around (x, y), radii[0] wide at z[0] and radii[1] at z[1]."""
    levels = np.linspace(z[0], z[1], steps + 1)
    widths = np.linspace(radii[0], radii[1], steps)
    return [cylinder(x, y, (levels[i], levels[i + 1]), float(widths[i]), paint) for i in range(steps)]


def ellipsoid(centre: Sequence[float], radii: Sequence[float], paint: Paint, lean: float = 0.0) -> Part:
    """Make an ellipsoid; `lean` tips it about its own y axis (radians)."""
    c, s = math.cos(lean), math.sin(lean)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
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
    return Part(
        kind="cylinder",
        half_size=(radius, radius, length / 2),
        centre=tuple((start + end) / 2),
        paint=paint,
        rotation=rotation,
    )


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
    lows, highs = [], []
    for part in parts:
        axes = part.rotation * np.asarray(part.half_size)  # [3,3], columns are half axes
        if part.kind == "box":
            reach = np.abs(axes).sum(1)
        elif part.kind == "ellipsoid":
            reach = np.linalg.norm(axes, axis=1)
        else:  # a disc swept along its axis
            reach = np.linalg.norm(axes[:, :2], axis=1) + np.abs(axes[:, 2])
        lows.append(np.asarray(part.centre) - reach)
        highs.append(np.asarray(part.centre) + reach)
    return np.stack([np.min(lows, 0), np.max(highs, 0)])
