"""Draw rooms: outline, doors and windows, and furniture that does not overlap and leaves a robot room to drive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.parameters import check_parameters, param
from spatial_mllm_ros.training.scenes.footprints import FloorMap, area_of, corners_of, is_overlapping
from spatial_mllm_ros.training.scenes.furniture import CATALOGUE, Piece, looks_of, make_piece
from spatial_mllm_ros.training.scenes.room import Furniture, Opening, Room
from spatial_mllm_ros.training.scenes.shapes import placed
from spatial_mllm_ros.training.scenes.shell import Wall, build_shell, walls_of
from spatial_mllm_ros.training.scenes.style import draw_light, draw_style

__all__ = ["BALANCED_COUNTS", "BALANCED_LONGEST_M", "ROBOT_RADIUS_M", "RoomConfig", "make_room"]

BALANCED_LONGEST_M = (0.6, 1.8)  # the longest edge of every category, drawn evenly
BALANCED_COUNTS = (0.55, 0.2, 0.15, 0.1)  # shares of 1, 2, 3 and 4 pieces, for every category
ROBOT_RADIUS_M = 0.28
_GAP_M = 0.14
_TRIES = 40
_WALL_SHARE = 0.6  # of balanced pieces that stand at a wall, whatever they are
_MIN_FREE_SHARE = 0.22  # of the floor that a robot's middle can reach
_LAYOUTS = 6  # tried before a room whose furniture does not fit is made larger
_GROWTH = 1.04  # ... by this, in length and width
_AREA_PER_PIECE_M2 = 2.0


@dataclass(frozen=True, kw_only=True)
class RoomConfig:
    """What rooms to draw.

    "natural" rooms hold furniture of the sizes, counts and places that people expect. "balanced" ones draw size, count
    and place the same way for every category, so that the words of a question do not give its answer away.
    """

    split: str = param("train", "Which looks of furniture may appear", choices=("train", "heldout"))
    style: str = param("balanced", "How sizes, counts and places are drawn", choices=("natural", "balanced"))
    min_area_m2: float = param(12.0, "Smallest floor area to draw, square metres", ge=6.0, le=100.0)
    max_area_m2: float = param(36.0, "Largest floor area to draw, square metres", ge=6.0, le=100.0)
    max_pieces: int = param(14, "Largest number of pieces of furniture", ge=4, le=30)

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.min_area_m2 > self.max_area_m2:
            raise InputError(f"min_area_m2 {self.min_area_m2:g} is more than max_area_m2 {self.max_area_m2:g}")


def make_room(seed: int, config: RoomConfig | None = None) -> Room:
    """Draw a room.

    Args:
        seed: the same seed and config give the same room; splits never share one.
        config: what rooms to draw.

    Raises:
        InputError: if the seed is negative.
    """
    config = config or RoomConfig()
    if seed < 0:
        raise InputError(f"a room's seed must be at least 0, not {seed}")
    rng = np.random.default_rng((seed, ("train", "heldout").index(config.split)))
    outline, height = _draw_outline(config, rng), float(rng.uniform(2.45, 2.8))
    pieces = _draw_pieces(min(config.max_pieces, int(area_of(outline) / _AREA_PER_PIECE_M2)), config, rng)
    for attempt in itertools.count(1):
        openings = _draw_openings(outline, rng)
        furniture = _place_all(pieces, outline, openings, config, rng)
        if furniture is not None and _leaves_room(outline, furniture):
            break
        outline = outline if attempt % _LAYOUTS else outline * _GROWTH
    style = draw_style(rng, len(outline))
    return Room(
        seed=seed,
        split=config.split,
        outline=outline,
        height=height,
        openings=openings,
        furniture=furniture,
        structure=build_shell(outline, height, openings, furniture, style, rng),
        light=draw_light(rng),
    )


def _draw_outline(config: RoomConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a rectangle or an L with a floor area in the wanted range: float64 [n,2], counter-clockwise."""
    area, aspect = rng.uniform(config.min_area_m2, config.max_area_m2), rng.uniform(0.72, 1.0 / 0.72)
    notch = rng.uniform(0.3, 0.5, 2) if rng.random() < 0.4 else np.zeros(2)
    x = math.sqrt(area / (1 - notch.prod()) * aspect) / 2
    y = x / aspect
    if not notch.any():
        return np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
    cut_x, cut_y = x - 2 * x * notch[0], y - 2 * y * notch[1]
    corners = np.array([(-x, -y), (x, -y), (x, cut_y), (cut_x, cut_y), (cut_x, y), (-x, y)])
    for flip in ((-1, 1), (1, -1)):
        if rng.random() < 0.5:
            corners = (corners * flip)[::-1]
    return corners


def _draw_pieces(most: int, config: RoomConfig, rng: np.random.Generator) -> list[Piece]:
    """Draw what shall stand in the room, the largest first."""
    names = [str(name) for name in rng.permutation(sorted(CATALOGUE))]
    counts = _natural_counts(names, most, rng) if config.style == "natural" else _balanced_counts(most, rng)
    pieces = []
    for name, count in zip(names, counts):
        look = int(rng.choice(looks_of(name, config.split)))
        for _ in range(count):
            if rng.random() < 0.3:
                look = int(rng.choice(looks_of(name, config.split)))
            span = CATALOGUE[name].longest_m if config.style == "natural" else BALANCED_LONGEST_M
            pieces.append(make_piece(name, look, float(rng.uniform(*span)), rng))
    return sorted(pieces, key=lambda piece: -piece.size[0] * piece.size[1])


def _natural_counts(names: Sequence[str], most: int, rng: np.random.Generator) -> list[int]:
    target, counts = rng.integers(min(8, most), most + 1), []
    for name in names:
        count = int(rng.integers(1, CATALOGUE[name].most + 1))
        counts.append(max(0, min(count, target - sum(counts))))
    return counts


def _balanced_counts(most: int, rng: np.random.Generator) -> list[int]:
    """Draw counts before it is known which category gets which, so that all categories share one distribution."""
    num_categories, counts = int(rng.integers(6, 10)), []
    while len(counts) < num_categories:
        count = 1 + int(rng.choice(len(BALANCED_COUNTS), p=BALANCED_COUNTS))
        if sum(counts) + count > most:
            break
        counts.append(count)
    return counts


def _draw_openings(outline: NDArray[np.float64], rng: np.random.Generator) -> tuple[Opening, ...]:
    """Draw a door and one or two windows, each in a wall of its own that is long enough."""
    lengths = [wall.length for wall in walls_of(outline)]
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index] * rng.uniform(0.6, 1.0))
    door = order[rng.integers(min(3, len(order)))]
    openings = [_opening("door", door, lengths[door], 0.85, 0.0, 2.02, rng)]
    for wall in [index for index in order if index != door][: 1 + int(rng.random() < 0.5)]:
        width = min(rng.uniform(1.0, 1.7), lengths[wall] - 1.0)
        if width > 0.7:
            openings.append(_opening("window", wall, lengths[wall], width, 0.95, 2.05, rng))
    return tuple(openings)


def _opening(
    kind: str, wall: int, length: float, width: float, bottom: float, top: float, rng: np.random.Generator
) -> Opening:
    slack = max(length / 2 - width / 2 - 0.35, 0.0)
    middle = length / 2 + rng.uniform(-slack, slack)
    return Opening(kind=kind, wall=wall, middle=float(middle), width=float(width), bottom=bottom, top=top)


def _place_all(
    pieces: Sequence[Piece],
    outline: NDArray[np.float64],
    openings: Sequence[Opening],
    config: RoomConfig,
    rng: np.random.Generator,
) -> tuple[Furniture, ...] | None:
    """Place every piece, or return None: leaving one out would tell something about what is hard to place."""
    walls = walls_of(outline)
    site = _Site(outline, walls, openings)
    for piece in pieces:
        at_wall = CATALOGUE[piece.category].is_at_wall
        if config.style == "balanced":
            at_wall = rng.random() < _WALL_SHARE
        for _ in range(_TRIES):
            spot = _spot_at_wall(piece, walls, rng) if at_wall else _spot_inside(piece, site, config, rng)
            if site.add(piece, *spot):
                break
        else:
            return None
    return tuple(site.furniture)


def _spot_at_wall(piece: Piece, walls: Sequence[Wall], rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a place with the back at a wall: x, y and the yaw that looks into the room."""
    lengths = np.array([wall.length for wall in walls])
    wall = walls[rng.choice(len(walls), p=lengths / lengths.sum())]
    slack = max((wall.length - piece.size[1]) / 2 - 0.05, 0.0)
    x, y, _ = wall.at(rng.uniform(-slack, slack), piece.size[0] / 2 + rng.uniform(0.03, 0.08), 0.0)
    return float(x), float(y), math.atan2(wall.inward[1], wall.inward[0])


def _spot_inside(piece: Piece, site: _Site, config: RoomConfig, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a place anywhere; in a natural room a chair stands at a table, if there is one, and looks at it."""
    tables = [other for other in site.furniture if other.category == "table"]
    if config.style == "natural" and piece.category == "chair" and tables:
        table = tables[rng.integers(len(tables))]
        side = rng.integers(4)
        yaw = table.yaw + side * math.pi / 2
        reach = table.size[side % 2] / 2 + piece.size[0] / 2 + rng.uniform(_GAP_M + 0.01, 0.25)
        shift = rng.uniform(-0.3, 0.3) * table.size[1 - side % 2]
        x = table.centre[0] + math.cos(yaw) * reach - math.sin(yaw) * shift
        y = table.centre[1] + math.sin(yaw) * reach + math.cos(yaw) * shift
        return x, y, yaw + math.pi + rng.uniform(-0.15, 0.15)
    low, high = site.outline.min(0), site.outline.max(0)
    x, y = rng.uniform(low, high)
    turn = (
        rng.integers(4) * math.pi / 2 + rng.normal(0, 0.12)
        if config.style == "natural"
        else rng.uniform(-math.pi, math.pi)
    )
    return float(x), float(y), float(turn)


class _Site:
    """A room while it is being furnished."""

    def __init__(self, outline: NDArray[np.float64], walls: Sequence[Wall], openings: Sequence[Opening]) -> None:
        self.outline = outline
        self.furniture: list[Furniture] = []
        self._walls = walls
        self._before_doors = [_zone(walls[o.wall], o, 0.9) for o in openings if o.kind == "door"]
        self._before_windows = [(_zone(walls[o.wall], o, 0.3), o.bottom) for o in openings if o.kind == "window"]

    def add(self, piece: Piece, x: float, y: float, yaw: float) -> bool:
        """Put a piece down if it fits there; tell whether it did."""
        corners = corners_of((x, y), piece.size, yaw)
        grown = corners_of((x, y), piece.size, yaw, _GAP_M)
        blocked = [*self._before_doors, *(zone for zone, sill in self._before_windows if piece.size[2] > sill)]
        if not self._is_inside(corners) or any(is_overlapping(corners, zone) for zone in blocked):
            return False
        if any(is_overlapping(grown, other.corners()) for other in self.furniture):
            return False
        self.furniture.append(
            Furniture(
                category=piece.category,
                look=piece.look,
                centre=(x, y, piece.size[2] / 2),
                size=piece.size,
                yaw=yaw,
                parts=tuple(placed(part, (x, y, 0.0), yaw) for part in piece.parts),
            )
        )
        return True

    def _is_inside(self, corners: NDArray[np.float64]) -> bool:
        """Tell whether a footprint lies in the outline: in its rectangle, and not in the corner that an L lacks."""
        low, high = self.outline.min(0), self.outline.max(0)
        if (corners < low + 0.02).any() or (corners > high - 0.02).any():
            return False
        return not any(is_overlapping(corners, notch) for notch in _notches(self.outline))


def _notches(outline: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the rectangles [4,2] that an L-shaped outline lacks of its bounding rectangle, grown by 2 cm."""
    low, high = outline.min(0), outline.max(0)
    rectangles = []
    for corner in (low, (high[0], low[1]), high, (low[0], high[1])):
        if np.abs(outline - corner).sum(1).min() > 1e-9:  # this corner is cut off
            inner = outline[np.all((outline > low + 1e-9) & (outline < high - 1e-9), axis=1)][0]
            size = np.abs(inner - corner)
            rectangles.append(corners_of((inner + np.asarray(corner)) / 2, size, 0.0, 0.02))
    return rectangles


def _zone(wall: Wall, opening: Opening, depth_m: float) -> NDArray[np.float64]:
    """Return the floor [4,2] before an opening."""
    along = wall.length / 2 - opening.middle
    middle = wall.at(along, depth_m / 2, 0.0)
    yaw = math.atan2(wall.inward[1], wall.inward[0])
    return corners_of(middle, (depth_m, opening.width + 0.1), yaw)


def _leaves_room(outline: NDArray[np.float64], furniture: Sequence[Furniture]) -> bool:
    floor = FloorMap(outline, [piece.corners() for piece in furniture])
    return len(floor.standing_places(ROBOT_RADIUS_M)) >= _MIN_FREE_SHARE * floor.num_cells
