"""The table of categories: their looks, natural sizes, and how they stand in a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.furniture import accessories, appliances, seats, storage
from spatial_mllm_ros.training.scenes.furniture.finish import Finish, Palette, draw_finish
from spatial_mllm_ros.training.scenes.shapes import Part, fitted

__all__ = ["CATALOGUE", "Category", "Piece", "looks_of", "make_piece"]

_NUM_HELD_OUT = 1  # the last look of every category


@dataclass(frozen=True)
class Category:
    """A kind of furniture.

    Attributes:
        looks: functions that build it, one per look.
        longest_m: natural range of its longest edge, metres.
        is_at_wall: True if it naturally stands with its back at a wall.
        most: how many of it one natural room may hold.
        palette: its colours. Every category has its own: at 112x84 pixels shape alone names half of what shows.
    """

    looks: tuple[Callable[[Finish, np.random.Generator], list[Part]], ...]
    longest_m: tuple[float, float]
    is_at_wall: bool
    most: int
    palette: Palette


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A piece of furniture before it is put anywhere.

    Attributes:
        category: its name, such as "chair".
        look: index into its category's looks.
        size: of the tight box around it, along its own x (to its front), y and z; metres.
        parts: in its local frame.
    """

    category: str
    look: int
    size: tuple[float, float, float]
    parts: tuple[Part, ...]


_PALETTES: dict[str, Palette] = {
    "bed": Palette(
        woods=((0.94, 0.89, 0.86), (0.86, 0.8, 0.9)),
        fabrics=((0.5, 0.36, 0.64), (0.66, 0.55, 0.82), (0.42, 0.3, 0.55)),
        enamels=((0.8, 0.72, 0.9), (0.6, 0.48, 0.74)),
    ),
    "bookshelf": Palette(
        woods=((0.3, 0.2, 0.14), (0.38, 0.25, 0.16)),
        fabrics=((0.4, 0.26, 0.18), (0.3, 0.18, 0.14)),
        enamels=((0.28, 0.2, 0.16), (0.36, 0.24, 0.18)),
    ),
    "cabinet": Palette(
        woods=((0.2, 0.5, 0.5), (0.28, 0.58, 0.55), (0.14, 0.4, 0.42)),
        fabrics=((0.2, 0.5, 0.48), (0.3, 0.6, 0.58)),
        enamels=((0.16, 0.44, 0.46), (0.26, 0.56, 0.56)),
    ),
    "chair": Palette(
        woods=((0.92, 0.58, 0.2), (0.86, 0.5, 0.14)),
        fabrics=((0.95, 0.6, 0.18), (0.9, 0.48, 0.12), (0.97, 0.68, 0.3)),
        enamels=((0.95, 0.55, 0.15), (0.98, 0.66, 0.28)),
    ),
    "lamp": Palette(
        woods=((0.88, 0.78, 0.24), (0.8, 0.7, 0.2)),
        fabrics=((0.97, 0.88, 0.36), (0.92, 0.82, 0.26)),
        enamels=((0.97, 0.87, 0.3), (0.9, 0.8, 0.22)),
    ),
    "plant": Palette(
        woods=((0.36, 0.5, 0.24), (0.44, 0.56, 0.3)),
        fabrics=((0.3, 0.52, 0.28), (0.4, 0.6, 0.32)),
        enamels=((0.3, 0.5, 0.26), (0.42, 0.6, 0.36)),
    ),
    "refrigerator": Palette(
        woods=((0.74, 0.86, 0.94), (0.84, 0.92, 0.97)),
        fabrics=((0.7, 0.84, 0.94), (0.82, 0.9, 0.96)),
        enamels=((0.7, 0.85, 0.95), (0.84, 0.93, 0.98), (0.6, 0.78, 0.9)),
    ),
    "sofa": Palette(
        woods=((0.16, 0.18, 0.34), (0.22, 0.24, 0.42)),
        fabrics=((0.2, 0.32, 0.66), (0.14, 0.22, 0.5), (0.28, 0.4, 0.74)),
        enamels=((0.18, 0.28, 0.6), (0.24, 0.36, 0.68)),
    ),
    "stool": Palette(
        woods=((0.76, 0.2, 0.16), (0.66, 0.14, 0.12)),
        fabrics=((0.78, 0.2, 0.18), (0.85, 0.28, 0.22), (0.66, 0.14, 0.14)),
        enamels=((0.8, 0.18, 0.16), (0.7, 0.14, 0.12)),
    ),
    "table": Palette(
        woods=((0.52, 0.14, 0.3), (0.6, 0.2, 0.38), (0.44, 0.1, 0.24)),
        fabrics=((0.55, 0.16, 0.34), (0.62, 0.24, 0.42)),
        enamels=((0.5, 0.12, 0.3), (0.6, 0.2, 0.4)),
    ),
    "trash bin": Palette(
        woods=((0.6, 0.78, 0.16), (0.7, 0.86, 0.26)),
        fabrics=((0.62, 0.8, 0.18), (0.72, 0.88, 0.3)),
        enamels=((0.62, 0.82, 0.14), (0.72, 0.9, 0.28), (0.52, 0.7, 0.1)),
    ),
    "tv": Palette(
        woods=((0.24, 0.24, 0.27), (0.32, 0.32, 0.35)),
        fabrics=((0.3, 0.3, 0.36), (0.22, 0.22, 0.26)),
        enamels=((0.2, 0.2, 0.23), (0.34, 0.34, 0.38)),
    ),
}
CATALOGUE: dict[str, Category] = {
    "bed": Category(seats.BEDS, (1.7, 1.95), True, 1, _PALETTES["bed"]),
    "bookshelf": Category(storage.BOOKSHELVES, (1.2, 1.85), True, 2, _PALETTES["bookshelf"]),
    "cabinet": Category(storage.CABINETS, (0.9, 1.6), True, 2, _PALETTES["cabinet"]),
    "chair": Category(seats.CHAIRS, (0.85, 1.05), False, 4, _PALETTES["chair"]),
    "lamp": Category(accessories.LAMPS, (1.2, 1.7), False, 2, _PALETTES["lamp"]),
    "plant": Category(accessories.PLANTS, (0.8, 1.5), False, 3, _PALETTES["plant"]),
    "refrigerator": Category(appliances.REFRIGERATORS, (1.4, 1.8), True, 1, _PALETTES["refrigerator"]),
    "sofa": Category(seats.SOFAS, (1.5, 1.95), True, 2, _PALETTES["sofa"]),
    "stool": Category(seats.STOOLS, (0.45, 0.7), False, 4, _PALETTES["stool"]),
    "table": Category(storage.TABLES, (1.0, 1.7), False, 2, _PALETTES["table"]),
    "trash bin": Category(accessories.BINS, (0.45, 0.8), False, 2, _PALETTES["trash bin"]),
    "tv": Category(appliances.TVS, (1.0, 1.5), True, 1, _PALETTES["tv"]),
}


def looks_of(category: str, split: str) -> tuple[int, ...]:
    """Return the looks of a category that a split ("train" or "heldout") may show; the two share none.

    Raises:
        InputError: if category or split is unknown.
    """
    if category not in CATALOGUE or split not in ("train", "heldout"):
        raise InputError(f"no looks of {category!r} for split {split!r}; splits are train and heldout")
    indices = tuple(range(len(CATALOGUE[category].looks)))
    return indices[:-_NUM_HELD_OUT] if split == "train" else indices[-_NUM_HELD_OUT:]


def make_piece(category: str, look: int, longest_m: float, rng: np.random.Generator) -> Piece:
    """Build a piece whose longest edge measures `longest_m` metres."""
    kind = CATALOGUE[category]
    drawn = kind.looks[look](draw_finish(kind.palette, rng), rng)
    parts, size = fitted(drawn, longest_m)
    return Piece(category=category, look=look, size=size, parts=tuple(parts))
