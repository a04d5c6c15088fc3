"""The table of categories: their looks, natural sizes, and how they stand in a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.furniture import accessories, appliances, seats, storage
from spatial_mllm_ros.training.scenes.furniture.finish import Finish, draw_finish
from spatial_mllm_ros.training.scenes.furniture.palettes import PALETTES
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
    """

    looks: tuple[Callable[[Finish, np.random.Generator], list[Part]], ...]
    longest_m: tuple[float, float]
    is_at_wall: bool
    most: int


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


CATALOGUE: dict[str, Category] = {
    "bed": Category(seats.BEDS, (1.7, 1.95), True, 1),
    "bookshelf": Category(storage.BOOKSHELVES, (1.2, 1.85), True, 2),
    "cabinet": Category(storage.CABINETS, (0.9, 1.6), True, 2),
    "chair": Category(seats.CHAIRS, (0.85, 1.05), False, 4),
    "lamp": Category(accessories.LAMPS, (1.2, 1.7), False, 2),
    "plant": Category(accessories.PLANTS, (0.8, 1.5), False, 3),
    "refrigerator": Category(appliances.REFRIGERATORS, (1.4, 1.8), True, 1),
    "sofa": Category(seats.SOFAS, (1.5, 1.95), True, 2),
    "stool": Category(seats.STOOLS, (0.45, 0.7), False, 4),
    "table": Category(storage.TABLES, (1.0, 1.7), False, 2),
    "trash bin": Category(accessories.BINS, (0.45, 0.8), False, 2),
    "tv": Category(appliances.TVS, (1.0, 1.5), True, 1),
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
    drawn = CATALOGUE[category].looks[look](draw_finish(PALETTES[category], rng), rng)
    parts, size = fitted(drawn, longest_m)
    return Piece(category=category, look=look, size=size, parts=tuple(parts))
