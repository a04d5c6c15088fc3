"""Tours of a camera through rooms of boxes, with exact depth and exact visibility: ground truth for coverage.

Everything is computed by intersecting rays with boxes, so no renderer is needed and what a frame truly sees is known
without asking the code under test. Axes of the world: x and y level, z up; camera axes x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.geometry.point_map import PointMap

__all__ = ["FRAME_NS", "GRID_HEIGHT", "GRID_WIDTH", "Room", "Tour", "make_room", "make_tour"]

GRID_HEIGHT, GRID_WIDTH = 37, 50
FRAME_NS = 200_000_000
_HALF_VIEW = np.array([np.tan(np.radians(34.5)), np.tan(np.radians(27.0))])  # of a depth camera: 69 by 54 degrees
_RANGE_M = (0.3, 6.0)
_DEPTH_NOISE = 0.002  # standard deviation at 1 m; grows with the square of depth, as with stereo
_PATCH_M = 0.08  # side of a patch of surface
_STEP_M, _STEP_RAD = 0.12, np.radians(7)  # per frame while the camera moves
_MARGIN_M = 0.3  # between the camera and anything


@dataclass(frozen=True, eq=False)
class Room:
    """A room and the boxes in it.

    Attributes:
        boxes: float64 [N,2,3], lowest and highest corner of furniture and partitions, metres.
        size: float64 [3]; the room goes from the origin to there.
    """

    boxes: NDArray[np.float64]
    size: NDArray[np.float64]

    def distance(self, origins: NDArray, directions: NDArray) -> NDArray[np.float64]:
        """Return how far rays [R,3] go before they hit something, in lengths of their directions [R,3]."""
        safe = np.where(np.abs(directions) < 1e-12, 1e-12, directions)
        wall = np.where(safe > 0, self.size - origins, -origins) / safe
        nearest = wall.min(axis=1)
        for low, high in self.boxes:
            near, far = (low - origins) / safe, (high - origins) / safe
            enter, leave = np.minimum(near, far).max(axis=1), np.maximum(near, far).min(axis=1)
            nearest = np.where((enter < leave) & (enter > 0), np.minimum(nearest, enter), nearest)
        return nearest

    def patches(self) -> NDArray[np.float64]:
        """Return the middles of small patches of all surface that is not hidden by a box, [P,3]."""
        faces = [_face_patches(np.zeros(3), self.size)] + [_face_patches(low, high) for low, high in self.boxes]
        patches = np.concatenate(faces)
        owner = np.repeat(np.arange(len(faces)), [len(face) for face in faces])  # 0: the room's own walls
        hidden = ((patches <= 0) | (patches >= self.size)).any(axis=1) & (owner > 0)
        for number, (low, high) in enumerate(self.boxes, start=1):
            hidden |= ((patches >= low) & (patches <= high)).all(axis=1) & (owner != number)
        return patches[~hidden]

    def sees(self, world_from_camera: NDArray[np.float64], patches: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which patches a camera truly sees: in its view, within range, and nothing in between."""
        centre = world_from_camera[:3, 3]
        ray = patches - centre
        in_camera = ray @ world_from_camera[:3, :3]
        depth = in_camera[:, 2]
        in_view = (depth > _RANGE_M[0]) & (depth < _RANGE_M[1])
        in_view &= (np.abs(in_camera[:, :2]) <= _HALF_VIEW * depth[:, None]).all(axis=1)
        sees = np.zeros(len(patches), bool)
        origins = np.broadcast_to(centre, (np.count_nonzero(in_view), 3))
        sees[in_view] = self.distance(origins, ray[in_view]) > 1 - 0.02 / np.linalg.norm(ray[in_view], axis=1)
        return sees


@dataclass(frozen=True, eq=False)
class Tour:
    """A camera's way through a room: float64 [T,4,4] `world_from_camera`, a frame every fifth of a second."""

    room: Room
    world_from_camera: NDArray[np.float64]
    seed: int

    def __len__(self) -> int:
        return len(self.world_from_camera)

    def points(self, index: int, height: int = GRID_HEIGHT, width: int = GRID_WIDTH) -> NDArray[np.float64]:
        """Return where the rays of a frame's pixels truly end, [H,W,3]."""
        pose = self.world_from_camera[index]
        x, y = ((np.arange(count) + 0.5) / count * 2 - 1 for count in (width, height))
        rays = np.stack([*np.meshgrid(x * _HALF_VIEW[0], y * _HALF_VIEW[1]), np.ones((height, width))], axis=-1)
        directions = rays.reshape(-1, 3) @ pose[:3, :3].T
        depth = self.room.distance(np.broadcast_to(pose[:3, 3], directions.shape), directions)
        return (pose[:3, 3] + directions * depth[:, None]).reshape(height, width, 3)

    def point_map(self, index: int) -> PointMap:
        """Return what a noisy depth camera of limited range measures at a frame, on a grid of 37 x 50."""
        pose = self.world_from_camera[index]
        ray = self.points(index) - pose[:3, 3]
        depth = ray @ pose[:3, 2]
        measured = depth + np.random.default_rng((self.seed, index)).normal(0, _DEPTH_NOISE, depth.shape) * depth**2
        is_measured = (measured > _RANGE_M[0]) & (measured < _RANGE_M[1])
        points = np.where(is_measured[..., None], pose[:3, 3] + ray * (measured / depth)[..., None], np.nan)
        return PointMap(
            points=points.astype(np.float32),
            confidence=is_measured.astype(np.float32),
            stamp_ns=index * FRAME_NS,
            frame_id="map",
        )


def make_room(rng: np.random.Generator) -> Room:
    """Furnish a room of 6 to 10 by 5 to 8 m with boxes and a partition."""
    size = np.array([rng.uniform(6, 10), rng.uniform(5, 8), rng.uniform(2.4, 2.8)])
    boxes = []
    for _ in range(rng.integers(7, 12)):
        extent = np.array([rng.uniform(0.4, 1.8), rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.9)])
        if rng.random() < 0.5:
            extent[:2] = extent[1::-1]
        low = np.append(rng.uniform(0, size[:2] - extent[:2]), 0)
        boxes.append((low, low + extent))
    axis = rng.integers(0, 2)  # across which the partition stands
    length, at = rng.uniform(0.3, 0.6) * size[1 - axis], rng.uniform(0.35, 0.65) * size[axis]
    low, high = np.zeros(3), size.copy()
    low[axis], high[axis] = at, at + 0.1
    if rng.random() < 0.5:
        high[1 - axis] = length
    else:
        low[1 - axis] = size[1 - axis] - length
    boxes.append((low, high))
    return Room(boxes=np.array(boxes), size=size)


def make_tour(seed: int, num_frames: int = 300, dwell_share: float = 0.5) -> Tour:
    """Let a camera go about a room and stay in one corner for part of the time.

    Args:
        seed: of the room, the way and the noise.
        num_frames: length of the tour.
        dwell_share: part of the frames that are spent in the corner, looking about a little.
    """
    rng = np.random.default_rng(seed)
    room = make_room(rng)
    height = rng.uniform(0.5, 1.3)
    places = _reachable_places(room, height, rng, count=9)
    corner = int(
        np.argmin([np.abs(place[:2] - room.size[:2] * (place[:2] > room.size[:2] / 2)).sum() for place in places])
    )
    num_moving = round(num_frames * (1 - dwell_share))
    moving = _walk(places, num_moving, rng)
    arrival = int(np.argmin(np.linalg.norm(moving[:, :3] - places[corner], axis=1)))
    dwelling = np.repeat(moving[arrival : arrival + 1], num_frames - num_moving, axis=0)
    dwelling[:, 3] += np.cumsum(rng.normal(0, np.radians(1.5), len(dwelling)))
    states = np.concatenate([moving[:arrival], dwelling, moving[arrival:]])  # [T,4]: x, y, z, heading
    return Tour(room=room, world_from_camera=np.stack([_pose(*state) for state in states]), seed=seed)


def _face_patches(low: NDArray, high: NDArray) -> NDArray[np.float64]:
    patches = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        steps = [np.arange(low[other] + _PATCH_M / 2, high[other], _PATCH_M) for other in (first, second)]
        grid = np.stack(np.meshgrid(*steps), axis=-1).reshape(-1, 2)
        for side in (low[axis], high[axis]):
            face = np.empty((len(grid), 3))
            face[:, axis], face[:, first], face[:, second] = side, grid[:, 0], grid[:, 1]
            patches.append(face)
    return np.concatenate(patches)


def _reachable_places(room: Room, height: float, rng: np.random.Generator, count: int) -> list[NDArray]:
    """Explore: each place is in straight reach of the one before and, of many such, farthest from all before."""
    candidates = np.full((3000, 3), height)
    candidates[:, :2] = rng.uniform(_MARGIN_M, room.size[:2] - _MARGIN_M, (len(candidates), 2))
    for low, high in room.boxes[:, :, :2]:
        is_near = ((candidates[:, :2] > low - _MARGIN_M) & (candidates[:, :2] < high + _MARGIN_M)).all(axis=1)
        candidates = candidates[~is_near]
    places = [candidates[0]]
    while len(places) < count:
        way = candidates - places[-1]
        is_reached = room.distance(np.broadcast_to(places[-1], way.shape), way) > 1.1
        nearest = np.linalg.norm(candidates[:, None] - places, axis=2).min(axis=1)
        places.append(candidates[np.where(is_reached, nearest, -1).argmax()])
    return places


def _walk(places: list[NDArray], num_frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Go from place to place, turning towards the next and looking about; sampled to [T,4]: x, y, z, heading."""
    states, heading = [], float(rng.uniform(-np.pi, np.pi))
    for start, end in zip(places[:-1], places[1:], strict=True):
        towards = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
        turn = (towards - heading + np.pi) % (2 * np.pi) - np.pi
        for share in np.linspace(0, 1, max(2, int(abs(turn) / _STEP_RAD))):
            states.append([*start, heading + share * turn])
        heading = towards
        for share in np.linspace(0, 1, max(2, int(np.linalg.norm(end - start) / _STEP_M))):
            states.append([*(start + share * (end - start)), heading + 0.4 * np.sin(6 * share)])
    chosen = np.linspace(0, len(states) - 1, num_frames).round().astype(int)
    return np.array(states)[chosen]


def _pose(x: float, y: float, z: float, heading: float) -> NDArray[np.float64]:
    """Return world_from_camera of a camera that looks along `heading`, a little downwards."""
    forward = np.array([np.cos(heading), np.sin(heading), -0.15])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = x, y, z
    return pose
