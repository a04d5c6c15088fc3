"""A robot's tour of a room: it walks between free places, turns, and dwells long in one of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.room import Room, is_free

__all__ = ["make_tour"]

_SPEED_M_S = 0.5
_TURN_RAD_S = 0.8
_CAMERA_HEIGHT_M = 1.0
_PITCH_RAD = math.radians(8)  # the camera looks a little down
_CLEARANCE_M = 0.3


def make_tour(
    room: Room, num_frames: int, rate_hz: float, *, dwell_share: float = 0.4, seed: int = 0
) -> NDArray[np.float64]:
    """Drive through a room.

    Args:
        room: the room.
        num_frames: poses to give.
        rate_hz: poses per second.
        dwell_share: share of the time spent in one place, swaying a little.
        seed: the same seed gives the same tour.

    Returns:
        world_from_camera float64 [T,4,4]; camera axes x right, y down, z forward (REP 103 optical).
    """
    rng = np.random.default_rng((room.seed, seed))
    num_dwelling = int(dwell_share * num_frames)
    planar = _drive(room, num_frames - num_dwelling, 1.0 / rate_hz, rng)  # [n,3] x, y, yaw
    stop = int(0.45 * len(planar))
    phase = np.arange(num_dwelling) / rate_hz
    sway = np.stack([0.01 * np.sin(0.9 * phase), 0.01 * np.sin(1.3 * phase), 0.06 * np.sin(0.5 * phase)], axis=1)
    dwelling = planar[stop] + sway
    x, y, yaw = np.concatenate([planar[:stop], dwelling, planar[stop:]]).T
    return np.stack([_pose(*at) for at in zip(x, y, yaw)])


def _drive(room: Room, num_frames: int, step_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Turn to a free place, walk there, look around, and so on, until there are enough poses."""
    here = _free_place(room, rng, None)
    yaw = rng.uniform(-math.pi, math.pi)
    poses = [(*here, yaw)]
    while len(poses) < num_frames:
        there = _free_place(room, rng, here)
        heading = math.atan2(there[1] - here[1], there[0] - here[0])
        yaw = _turn(poses, here, yaw, heading, step_s)
        steps = max(1, int(math.dist(here, there) / (_SPEED_M_S * step_s)))
        for share in np.linspace(0, 1, steps + 1)[1:]:
            poses.append((here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1]), yaw))
        here = there
        yaw = _turn(poses, here, yaw, yaw + rng.choice([-1, 1]) * rng.uniform(1.5, 3.0), step_s)
    return np.array(poses[:num_frames])


def _turn(poses: list, here: tuple[float, float], yaw: float, to: float, step_s: float) -> float:
    difference = (to - yaw + math.pi) % (2 * math.pi) - math.pi
    steps = max(1, int(abs(difference) / (_TURN_RAD_S * step_s)))
    poses += [(*here, yaw + share * difference) for share in np.linspace(0, 1, steps + 1)[1:]]
    return yaw + difference


def _free_place(
    room: Room, rng: np.random.Generator, start: tuple[float, float] | None
) -> tuple[float, float]:
    """Draw a place where a robot can stand, in a straight free line from `start`; `start` itself if there is none."""
    for _ in range(400):
        x = float(rng.uniform(-room.length / 2, room.length / 2))
        y = float(rng.uniform(-room.width / 2, room.width / 2))
        if not is_free(room, x, y, _CLEARANCE_M):
            continue
        if start is None:
            return x, y
        line = [(start[0] + s * (x - start[0]), start[1] + s * (y - start[1])) for s in np.linspace(0, 1, 15)]
        if math.dist(start, (x, y)) > 0.7 and all(is_free(room, *point, _CLEARANCE_M) for point in line):
            return x, y
    return start or (0.0, 0.0)


def _pose(x: float, y: float, yaw: float) -> NDArray[np.float64]:
    c, s = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(_PITCH_RAD), math.sin(_PITCH_RAD)
    forward = np.array([c * cp, s * cp, -sp])
    right = np.array([s, -c, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = x, y, _CAMERA_HEIGHT_M
    return pose
