"""Plane geometry of what stands on a floor: convex footprints, their overlap and distance, and where a robot fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FloorMap", "area_of", "corners_of", "distance_between", "is_overlapping"]

_CELL_M = 0.05


def corners_of(
    centre: Sequence[float], size: Sequence[float], yaw: float, margin_m: float = 0.0
) -> NDArray[np.float64]:
    """Return the corners of a turned rectangle, counter-clockwise: float64 [4,2].

    Args:
        centre: x, y of its middle; further values are ignored.
        size: full length along its own x and y, metres; further values are ignored.
        yaw: world_from_local rotation, radians.
        margin_m: grows it on all sides.
    """
    x, y = size[0] / 2 + margin_m, size[1] / 2 + margin_m
    c, s = math.cos(yaw), math.sin(yaw)
    local = np.array([(x, y), (-x, y), (-x, -y), (x, -y)])
    return local @ np.array([[c, s], [-s, c]]) + np.asarray(centre[:2], float)


def is_overlapping(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Tell whether two convex polygons [n,2] overlap; touching is no overlap (separating axis theorem)."""
    for polygon in (first, second):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
        a, b = normals @ first.T, normals @ second.T  # [edges, corners]
        if ((a.max(1) <= b.min(1) + 1e-9) | (b.max(1) <= a.min(1) + 1e-9)).any():
            return False
    return True


def distance_between(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the smallest distance between two convex polygons [n,2]; 0 if they overlap."""
    if is_overlapping(first, second):
        return 0.0
    return min(_corners_to_edges(first, second), _corners_to_edges(second, first))


def area_of(polygon: NDArray[np.float64]) -> float:
    """Return the area of a simple polygon [n,2] (shoelace formula)."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _corners_to_edges(corners: NDArray[np.float64], polygon: NDArray[np.float64]) -> float:
    start, edge = polygon[None], (np.roll(polygon, -1, axis=0) - polygon)[None]  # [1,n,2]
    to_corner = corners[:, None] - start  # [m,n,2]
    share = np.clip((to_corner * edge).sum(-1) / (edge**2).sum(-1), 0, 1)
    return float(np.linalg.norm(to_corner - share[..., None] * edge, axis=-1).min())


class FloorMap:
    """How far every place of a floor is from walls and furniture, on a grid of 5 cm.

    Args:
        polygon: float64 [n,2], the room's outline.
        footprints: convex polygons [m,2] of what stands in it.

    Attributes:
        num_cells: cells of the floor, under furniture too.
    """

    def __init__(self, polygon: NDArray[np.float64], footprints: Sequence[NDArray[np.float64]]) -> None:
        self._origin = polygon.min(0) - _CELL_M
        columns, rows = np.ceil((polygon.max(0) - self._origin) / _CELL_M).astype(int) + 2
        free = np.zeros((rows, columns), np.uint8)
        cv2.fillPoly(free, [self._cells(polygon)], 1)
        self.num_cells = int(free.sum())
        for footprint in footprints:
            cv2.fillPoly(free, [self._cells(footprint)], 0)
        self._clearance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * _CELL_M  # [rows, columns]

    def clearance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance of points [n,2] to the nearest obstacle, metres; 0 inside one or outside the room."""
        cells = np.rint((points - self._origin) / _CELL_M).astype(int)
        inside = ((cells >= 0) & (cells < self._clearance.shape[::-1])).all(1)
        cells = np.where(inside[:, None], cells, 0)
        return np.where(inside, self._clearance[cells[:, 1], cells[:, 0]], 0.0)

    def standing_places(self, radius_m: float) -> NDArray[np.float64]:
        """Return the places [n,2] where a disc fits that are connected with each other: the largest such region."""
        fits = (self._clearance > radius_m).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(fits, connectivity=4)
        if count < 2:
            return np.empty((0, 2))
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        rows, columns = np.nonzero(labels == largest)
        return np.stack([columns, rows], axis=1) * _CELL_M + self._origin

    def is_line_free(self, start: Sequence[float], end: Sequence[float], radius_m: float) -> bool:
        """Tell whether a disc can move from one point to another in a straight line."""
        steps = max(2, int(math.dist(start, end) / _CELL_M) + 1)
        line = np.linspace(start, end, steps)
        return bool((self.clearance(line) >= radius_m).all())

    def _cells(self, polygon: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.rint((polygon - self._origin) / _CELL_M).astype(np.int32)
