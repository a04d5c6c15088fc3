"""Point maps from the network itself: VGGT in overlapping chunks, put into one world frame.

VGGT gives every chunk of frames in a coordinate frame and a scale of its own. A chunk is put into the world

- by odometry, if its frames have poses and the camera has travelled: the world is odometry's, in metres;
- else by the frames that it shares with the chunk before: the world is that of the first chunk.

A chunk that does not fit is reported and gives no maps; the next one is tried on the same shared frames. After two
failures in a row the world is given up, and the next chunk begins a new one with another `frame_id`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.geometry.alignment import Alignment, Sim3, align_cameras, align_points
from spatial_mllm_ros.geometry.config import GeometryConfig
from spatial_mllm_ros.geometry.grid import grid_pixels
from spatial_mllm_ros.geometry.point_map import PointMap

__all__ = ["ChunkReport", "VggtPrediction", "VggtProvider"]

logger = logging.getLogger(__name__)

_MAX_FAILURES = 2
_MAX_REPORTS = 64


class VggtPrediction(Protocol):
    """What is used of a prediction for T frames, in the chunk's own coordinate frame.

    Attributes:
        points: float32 [T,H,W,3].
        confidence: float32 [T,H,W], at least 0.
        camera_from_world: float32 [T,3,4]; "world" is the chunk's own frame.
    """

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    camera_from_world: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ChunkReport:
    """What became of one chunk.

    Attributes:
        first_stamp_ns, last_stamp_ns: of its new frames.
        num_frames: new frames.
        aligned_by: "odometry", "overlap", or "first" for the chunk that a world begins with.
        residual: typical misfit as a share of the extent; 0 for a first chunk.
        is_aligned: False if the residual was too large; its frames then have no point maps.
        frame_id: the world frame that it was, or was to be, put into.
    """

    first_stamp_ns: int
    last_stamp_ns: int
    num_frames: int
    aligned_by: str
    residual: float
    is_aligned: bool
    frame_id: str


@dataclass(frozen=True, eq=False)
class _World:
    """A coordinate frame that chunks are put into."""

    frame_id: str
    is_metric: bool


@dataclass(frozen=True, eq=False)
class _Placing:
    """A chunk's place in a world, and what it was found by."""

    aligned_by: str
    alignment: Alignment
    world: _World


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Frames and their prediction on the working grid."""

    frames: list[Frame]
    points: NDArray[np.float32]  # [T,h,w,3]
    confidence: NDArray[np.float32]  # [T,h,w]
    world_from_camera: NDArray[np.float64]  # [T,3,4]; "world" is the chunk's own frame


class VggtProvider:
    """Makes point maps of frames in order of time, one chunk after another.

    Args:
        predict: runs VGGT on uint8 RGB [T,H,W,3], such as `SpatialMLLM.predict_geometry`.
        config: sizes of chunks and limits.

    Attributes:
        reports: the newest chunks, oldest first.
        num_failures: chunks that did not fit, since the beginning.
    """

    name = "vggt"

    def __init__(
        self, predict: Callable[[NDArray[np.uint8]], VggtPrediction], config: GeometryConfig | None = None
    ) -> None:
        self._predict = predict
        self._config = config or GeometryConfig()
        self._num_worlds = 0
        self.reports: deque[ChunkReport] = deque(maxlen=_MAX_REPORTS)
        self.num_failures = 0
        self.clear()

    def clear(self) -> None:
        """Forget the frames so far; the next ones begin a new world."""
        self._anchors: list[tuple[Frame, PointMap]] = []  # the newest frames that have a map, at most `overlap_frames`
        self._world: _World | None = None
        self._failures_in_a_row = 0

    def point_maps(self, frames: Sequence[Frame]) -> list[PointMap | None]:
        """Make point maps of frames that come after those of the calls before.

        Args:
            frames: in order of time. The more at once, the fewer are seen twice.

        Returns:
            A map on the working grid per frame; None where its chunk could not be put into the world. Maps of
            different worlds have different `frame_id`s.

        Raises:
            InputError: if `predict` gives arrays of a wrong shape.
        """
        maps: list[PointMap | None] = []
        for shape, group in itertools.groupby(frames, key=lambda frame: frame.image.shape):
            if self._anchors and self._anchors[0][0].image.shape != shape:
                self.clear()  # another camera or resolution
            rest = list(group)
            while rest:
                num_new = self._config.chunk_frames - len(self._anchors)
                maps += self._maps_of_chunk(rest[:num_new])
                rest = rest[num_new:]
        return maps

    def _maps_of_chunk(self, new_frames: list[Frame]) -> list[PointMap | None]:
        chunk = self._look_at([frame for frame, _ in self._anchors] + new_frames)
        for placing in self._placings(chunk):
            is_aligned = placing.alignment.residual <= self._config.max_residual
            if is_aligned:
                break
        self._report(new_frames, placing, is_aligned)
        if not is_aligned:
            return [None] * len(new_frames)
        self._world = world = placing.world
        world_from_chunk = placing.alignment.target_from_source
        num_anchors = len(self._anchors)
        maps = [
            PointMap(
                points=world_from_chunk.apply(chunk.points[num_anchors + index]),
                confidence=chunk.confidence[num_anchors + index],
                stamp_ns=frame.stamp_ns,
                frame_id=world.frame_id,
                is_metric=world.is_metric,
            )
            for index, frame in enumerate(new_frames)
        ]
        self._anchors += zip(new_frames, maps, strict=True)
        del self._anchors[: -self._config.overlap_frames]
        return maps

    def _look_at(self, frames: list[Frame]) -> _Chunk:
        prediction = self._predict(np.stack([frame.image for frame in frames]))
        points, confidence, cameras = prediction.points, prediction.confidence, prediction.camera_from_world
        num_frames = len(frames)
        if points.shape != (*confidence.shape, 3) or len(points) != num_frames or cameras.shape != (num_frames, 3, 4):
            raise InputError(
                f"a prediction for {num_frames} frames must have points [T,H,W,3], confidence [T,H,W] and cameras "
                f"[T,3,4], not {list(points.shape)}, {list(confidence.shape)} and {list(cameras.shape)}"
            )
        rows, columns = grid_pixels(*confidence.shape[1:], self._config.grid_width)
        points = points[:, rows[:, None], columns]
        is_finite = np.isfinite(points).all(axis=-1)
        rotation = cameras[:, :, :3].transpose(0, 2, 1).astype(np.float64)  # [T,3,3], world from camera
        return _Chunk(
            frames=frames,
            points=np.where(is_finite[..., None], points, np.float32(np.nan)),
            confidence=np.where(is_finite, confidence[:, rows[:, None], columns], np.float32(0)),
            world_from_camera=np.concatenate([rotation, -rotation @ cameras[:, :, 3:]], axis=2),
        )

    def _placings(self, chunk: _Chunk) -> Iterator[_Placing]:
        """Align by what there is, the best first; at least one placing is given."""
        if self._has_odometry(chunk.frames):
            odometry = np.stack([frame.world_from_camera for frame in chunk.frames])
            world = _World(chunk.frames[0].world_frame_id, is_metric=True)
            yield _Placing("odometry", align_cameras(chunk.world_from_camera, odometry), world)
        if self._anchors:
            yield _Placing("overlap", self._by_overlap(chunk), self._world)
        elif not self._has_odometry(chunk.frames):
            self._num_worlds += 1
            world = _World(f"vggt_{self._num_worlds}", is_metric=False)
            yield _Placing("first", Alignment(target_from_source=Sim3.identity(), residual=0.0), world)

    def _has_odometry(self, frames: list[Frame]) -> bool:
        """Say whether all frames have a pose in one world, and the camera has travelled."""
        if any(frame.world_from_camera is None for frame in frames):
            return False
        if len({frame.world_frame_id for frame in frames}) > 1:
            return False
        centres = np.stack([frame.world_from_camera[:3, 3] for frame in frames])
        return float(np.ptp(centres, axis=0).max()) >= self._config.min_baseline_m

    def _by_overlap(self, chunk: _Chunk) -> Alignment:
        shared = len(self._anchors)
        target = np.stack([point_map.points for _, point_map in self._anchors])
        confidence = np.stack([point_map.confidence for _, point_map in self._anchors])
        weights = np.sqrt(chunk.confidence[:shared] * confidence)
        try:
            return align_points(chunk.points[:shared].reshape(-1, 3), target.reshape(-1, 3), weights.reshape(-1))
        except InputError:  # too few points in common
            return Alignment(target_from_source=Sim3.identity(), residual=np.inf)

    def _report(self, new_frames: list[Frame], placing: _Placing, is_aligned: bool) -> None:
        report = ChunkReport(
            first_stamp_ns=new_frames[0].stamp_ns,
            last_stamp_ns=new_frames[-1].stamp_ns,
            num_frames=len(new_frames),
            aligned_by=placing.aligned_by,
            residual=placing.alignment.residual,
            is_aligned=is_aligned,
            frame_id=placing.world.frame_id,
        )
        self.reports.append(report)
        if is_aligned:
            self._failures_in_a_row = 0
            return
        self.num_failures += 1
        self._failures_in_a_row += 1
        logger.warning(
            "VGGT chunk of %d frames does not fit the world %s by %s: residual %.2f, allowed %.2f",
            report.num_frames,
            report.frame_id,
            report.aligned_by,
            report.residual,
            self._config.max_residual,
        )
        if self._failures_in_a_row >= _MAX_FAILURES:
            self.clear()
