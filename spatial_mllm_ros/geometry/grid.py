"""The working grid: which pixels of a map are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["grid_pixels"]


def grid_pixels(height: int, width: int, grid_width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose pixels at equal steps, `grid_width` of them in a row, as many rows as the aspect ratio gives.

    Pixels are picked, not averaged: the mean of a near and a far depth is a point where nothing is. 480 x 640 and
    `grid_width` 50 give the 37 x 50 of the paper's patch grid. A map that is smaller is kept as it is.

    Returns:
        Rows, intp [h], and columns, intp [w]; index a map with `map[rows[:, None], columns]`.
    """
    columns = min(grid_width, width)
    rows = max(1, height * columns // width)
    return _middles(height, rows), _middles(width, columns)


def _middles(length: int, count: int) -> NDArray[np.intp]:
    return ((2 * np.arange(count) + 1) * length // (2 * count)).astype(np.intp)
