"""A robot's tour of a room: it walks between free places, turns on the spot, and dwells long in one corner."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.parameters import check_parameters, param
from spatial_mllm_ros.training.scenes.footprints import FloorMap
from spatial_mllm_ros.training.scenes.layout import ROBOT_RADIUS_M
from spatial_mllm_ros.training.scenes.room import Room

__all__ = ["Tour", "TourConfig", "make_tour"]

_CANDIDATES = 8  # tours drawn; the one that sees most furniture is driven
_TICK_S = 0.1
_MIN_WALK_M = 0.8
_COMFORT_M = 0.45  # the robot stops at least this far from walls and furniture, where there is room
_SEEN_WITHIN_RAD = math.radians(28)  # of the optical axis: how far a piece's middle may be off it and count as seen


@dataclass(frozen=True, kw_only=True)
class TourConfig:
    """How the robot drives."""

    frames: int = param(96, "Poses to give", ge=2, le=100_000)
    seconds: float = param(30.0, "Length of the tour, seconds", ge=1.0, le=3600.0)
    dwell_share: float = param(
        -1.0, "Share of the time spent in one corner; -1: drawn from 0.30 to 0.65", ge=-1.0, le=0.9
    )
    speed_m_s: float = param(0.6, "Largest speed, metres per second", ge=0.05, le=3.0)
    turn_rad_s: float = param(1.0, "Largest turning speed, radians per second", ge=0.05, le=6.0)
    camera_height_m: float = param(1.0, "Camera above the floor, metres", ge=0.1, le=2.2)
    pitch_deg: float = param(9.0, "How far the camera looks down, degrees", ge=-45.0, le=60.0)
    sway: float = param(1.0, "Strength of the camera's sway; 1: 1 cm and half a degree", ge=0.0, le=10.0)

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tour:
    """Where the camera is over time.

    Attributes:
        world_from_camera: float64 [T,4,4]; camera axes x right, y down, z forward (REP 103 optical).
        times_s: float64 [T], since the start, evenly spaced.
        dwell: first frame of the dwell, and the one after its last.
    """

    world_from_camera: NDArray[np.float64]
    times_s: NDArray[np.float64]
    dwell: tuple[int, int]

    def __len__(self) -> int:
        return len(self.times_s)


def make_tour(room: Room, config: TourConfig | None = None, seed: int = 0) -> Tour:
    """Drive through a room.

    Args:
        room: the room.
        config: how the robot drives.
        seed: another seed drives another tour through the same room.
    """
    config = config or TourConfig()
    rng = np.random.default_rng((room.seed, ("train", "heldout").index(room.split), seed, 1))
    share = config.dwell_share if config.dwell_share >= 0 else rng.uniform(0.3, 0.65)
    floor = room.floor_map()
    candidates = [_Drive(room, floor, config, (1 - share) * config.seconds, rng) for _ in range(_CANDIDATES)]
    best = max(candidates, key=lambda drive: _worth(room, drive))
    times_s = np.arange(config.frames) * config.seconds / config.frames
    start_s, dwell_s = best.dwell_from_s, share * config.seconds
    moving_s = np.where(times_s < start_s, times_s, np.maximum(times_s - dwell_s, start_s))
    planar = np.stack(
        [np.interp(moving_s, np.arange(len(best.ticks)) * _TICK_S, best.ticks[:, axis]) for axis in range(3)], axis=1
    )
    is_dwelling = (times_s >= start_s) & (times_s < start_s + dwell_s)
    planar[:, 2] += np.where(is_dwelling, 0.05 * np.sin(0.7 * (times_s - start_s)), 0.0)  # it looks about a little
    dwelling = np.flatnonzero(is_dwelling)
    first = int(dwelling[0]) if len(dwelling) else 0
    return Tour(
        world_from_camera=_poses(planar, times_s, config, rng),
        times_s=times_s,
        dwell=(first, first + len(dwelling)),
    )


class _Drive:
    """One drive without its dwell.

    Attributes:
        ticks: float64 [n,3] x, y, yaw (unwrapped) every `_TICK_S`.
        dwell_from_s: when the robot reaches the corner that it dwells in.
    """

    def __init__(
        self, room: Room, floor: FloorMap, config: TourConfig, length_s: float, rng: np.random.Generator
    ) -> None:
        self._config, self._floor = config, floor
        self._room = room
        roomy = floor.standing_places(_COMFORT_M)
        self._places = roomy if len(roomy) else floor.standing_places(ROBOT_RADIUS_M)
        start = self._places[rng.integers(len(self._places))]
        self._ticks = [(*start, rng.uniform(-math.pi, math.pi))]
        corner = room.outline[rng.integers(len(room.outline))]
        dwell_tick, wanted_s, is_turning = None, rng.uniform(0.1, 0.4) * length_s, True
        while len(self._ticks) * _TICK_S < length_s:
            if dwell_tick is None and len(self._ticks) * _TICK_S >= wanted_s:
                self._walk(self._next_place(rng, corner))
                self._turn(self._heading_to(self._something_near(rng)))
                dwell_tick, is_turning = len(self._ticks) - 1, True
            elif is_turning:
                self._turn(self._ticks[-1][2] + rng.choice((-1, 1)) * rng.uniform(1.4, 4.2))
                is_turning = False
            else:
                self._walk(self._next_place(rng, None))
                is_turning = True
        self.ticks = np.array(self._ticks)[: int(length_s / _TICK_S) + 1]
        last_s = max(length_s - _TICK_S, 0.0)
        self.dwell_from_s = min(last_s if dwell_tick is None else dwell_tick * _TICK_S, last_s)

    def _next_place(self, rng: np.random.Generator, goal: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Choose where to walk in a straight line: anywhere, or as near to a goal as can be; here if no way is."""
        here = np.array(self._ticks[-1][:2])
        options = self._places[rng.permutation(len(self._places))[:60]]
        options = [p for p in options if math.dist(here, p) > _MIN_WALK_M]
        free = [p for p in options if self._floor.is_line_free(here, p, ROBOT_RADIUS_M - 0.04)]
        if not free:
            return here
        return free[0] if goal is None else min(free, key=lambda p: math.dist(p, goal))

    def _something_near(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Choose a piece of furniture a step or three away; the middle of the room if there is none."""
        here = np.array(self._ticks[-1][:2])
        spots = [np.array(piece.centre[:2]) for piece in self._room.furniture]
        near = [spot for spot in spots if 1.0 < math.dist(spot, here) < 3.0]
        return near[rng.integers(len(near))] if near else self._room.outline.mean(0)

    def _walk(self, there: NDArray[np.float64]) -> None:
        x, y, _ = self._ticks[-1]
        distance = math.dist((x, y), there)
        if distance < 1e-6:
            return
        self._turn(math.atan2(there[1] - y, there[0] - x))
        yaw = self._ticks[-1][2]
        for share in _ramp(distance / self._config.speed_m_s):
            self._ticks.append((x + share * (there[0] - x), y + share * (there[1] - y), yaw))

    def _turn(self, heading: float) -> None:
        x, y, yaw = self._ticks[-1]
        change = heading - yaw
        if abs(change) < 4.6 and abs(change) > math.pi:
            change = math.remainder(change, 2 * math.pi)
        for share in _ramp(abs(change) / self._config.turn_rad_s):
            self._ticks.append((x, y, yaw + share * change))

    def _heading_to(self, point: NDArray[np.float64]) -> float:
        x, y, yaw = self._ticks[-1]
        return yaw + math.remainder(math.atan2(point[1] - y, point[0] - x) - yaw, 2 * math.pi)


def _ramp(duration_s: float) -> NDArray[np.float64]:
    """Return shares of a motion from 0 (left out) to 1, one per tick: it starts and ends gently, peak speed 1."""
    ticks = max(1, math.ceil(1.5 * duration_s / _TICK_S))
    share = np.arange(1, ticks + 1) / ticks
    return share**2 * (3 - 2 * share)


def _worth(room: Room, drive: _Drive) -> float:
    """Rate a drive: pieces seen near the image's middle from a fair distance, and less if it ends in its dwell."""
    centres = np.array([piece.centre[:2] for piece in room.furniture])
    offset = centres[None] - drive.ticks[:, None, :2]  # [ticks, pieces, 2]
    bearing = np.arctan2(offset[..., 1], offset[..., 0]) - drive.ticks[:, None, 2]
    is_ahead = np.abs(np.remainder(bearing + np.pi, 2 * np.pi) - np.pi) < _SEEN_WITHIN_RAD
    num_seen = int((is_ahead & (np.linalg.norm(offset, axis=-1) > 0.6)).any(0).sum())
    return num_seen - 3.0 * (drive.dwell_from_s > 0.75 * len(drive.ticks) * _TICK_S)


def _poses(
    planar: NDArray[np.float64], times_s: NDArray[np.float64], config: TourConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return world_from_camera [T,4,4] at x, y, yaw [T,3], with sway in height, roll and pitch."""
    phase = rng.uniform(0, 2 * math.pi, 3)
    swing = config.sway * np.sin(np.stack([9.1 * times_s, 5.3 * times_s, 7.7 * times_s], axis=1) + phase)  # [T,3]
    height = config.camera_height_m + 0.006 * swing[:, 0]
    pitch = math.radians(config.pitch_deg) + 0.006 * swing[:, 1]
    roll = 0.005 * swing[:, 2]
    x, y, yaw = planar.T
    zero = np.zeros_like(yaw)
    forward = np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)], axis=1)
    level = np.stack([np.sin(yaw), -np.cos(yaw), zero], axis=1)
    down = np.cross(forward, level)
    right = np.cos(roll)[:, None] * level + np.sin(roll)[:, None] * down
    poses = np.tile(np.eye(4), (len(yaw), 1, 1))
    poses[:, :3, :3] = np.stack([right, np.cross(forward, right), forward], axis=2)
    poses[:, :3, 3] = np.stack([x, y, height], axis=1)
    return poses
