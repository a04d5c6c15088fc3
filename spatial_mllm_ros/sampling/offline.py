"""Space-aware sampling of a finished video: the picks of the paper's code, in the same order, on the same arrays.

Source: Wu et al., Spatial-MLLM (arXiv 2505.23747), sec. 3.3 and the v1.1 code. Where that code has no answer (no
trusted point, a flat scene, NaN) this one has; `docs/sampling.md` lists the cases.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.sampling.bits import count_bits
from spatial_mllm_ros.sampling.confidence import MIN_CONFIDENCE, confidence_percentile, trusted_from
from spatial_mllm_ros.sampling.coverage import greedy_max_coverage
from spatial_mllm_ros.sampling.spacing import even_count, spread_in_time
from spatial_mllm_ros.sampling.voxels import fit_grid, voxel_words

__all__ = ["Sampling", "coverage_of", "space_aware_sampling"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The keyframes of a video, and how much of its space they see.

    Attributes:
        indices: all keyframes, ascending.
        order: those picked for what they add, as picked.
        gains: voxels that each of `order` added.
        filled: those taken only to make up the number, in the order in which they were.
        total_voxels: voxels that all frames see together.
        voxel_size: side of a voxel, in the unit of the points; 0 if no point is trusted.
        confidence_threshold: the percentile of the confidence, from which on a point counts if it is also above 0.1.
    """

    indices: tuple[int, ...]
    order: tuple[int, ...]
    gains: tuple[int, ...]
    filled: tuple[int, ...] = ()
    total_voxels: int = 0
    voxel_size: float = 0.0
    confidence_threshold: float = 0.0

    @property
    def covered_voxels(self) -> int:
        """Voxels that the keyframes see together; frames are filled in only when none adds a voxel any more."""
        return sum(self.gains)

    @property
    def coverage(self) -> float:
        """Share of the video's voxels that the keyframes see, in [0, 1]; 0 if there are none."""
        return self.covered_voxels / self.total_voxels if self.total_voxels else 0.0

    @property
    def coverage_curve(self) -> tuple[float, ...]:
        """Share of the video's voxels that the first, the first two, ... of `order` see; empty if there are none."""
        return tuple(seen / self.total_voxels for seen in itertools.accumulate(self.gains)) if self.total_voxels else ()


def space_aware_sampling(
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    num_keyframes: int,
    *,
    fill: bool = False,
    stamps_ns: ArrayLike | None = None,
    percentile: float = 50.0,
    min_confidence: float = MIN_CONFIDENCE,
) -> Sampling:
    """Pick the frames of a video that see the most space.

    Args:
        points: float32 [T,H,W,3], a point map per frame, all in one coordinate frame, any unit. Points with a NaN or an
            infinite coordinate do not count.
        confidence: float32 [T,H,W]. NaN counts as 0.
        num_keyframes: the most frames to pick; 0 picks none.
        fill: if picking ends early because no frame adds a voxel, take frames spaced in time up to `num_keyframes`,
            which must be even; with fewer frames than that, up to the largest even number (one, if there is one).
        stamps_ns: int64 [T], when each frame was seen, for `fill`; equal steps if None.
        percentile: of all confidences, below which a point does not count; the paper's is 50.
        min_confidence: at or below which a point does not count; the paper's is 0.1.

    Returns:
        The keyframes. `order` is shorter than `num_keyframes` if no further frame adds a voxel.

    Raises:
        InputError: if shapes or dtypes disagree, there is no frame or no pixel, or a number is out of its range.

    Source: arXiv 2505.23747, sec. 3.3; same picks as its v1.1 code (`test_picks_are_those_of_the_papers_code`).
    """
    points, confidence = _checked(points, confidence)
    if num_keyframes < 0 or (fill and num_keyframes % 2):
        raise InputError(f"num_keyframes must be 0 or more, and even to be filled up to, not {num_keyframes}")
    num_frames = len(points)
    stamps_ns = np.arange(num_frames) if stamps_ns is None else np.asarray(stamps_ns, np.int64)
    if stamps_ns.shape != (num_frames,):
        raise InputError(f"stamps_ns must have one stamp for each of {num_frames} frames, not shape {stamps_ns.shape}")

    wanted = even_count(num_keyframes, num_frames) if fill else num_keyframes
    scene = _Scene.of(points, confidence, percentile, min_confidence)
    order, gains = greedy_max_coverage(scene.words, wanted)
    filled = spread_in_time(stamps_ns, order, wanted) if fill else []
    return scene.sampling(order, gains, filled)


def coverage_of(
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    order: Sequence[int],
    *,
    percentile: float = 50.0,
    min_confidence: float = MIN_CONFIDENCE,
) -> Sampling:
    """Say what given frames would cover, on the voxels of `space_aware_sampling`.

    Args:
        points, confidence, percentile, min_confidence: as there.
        order: distinct indices of frames, in the order in which gains are counted.

    Raises:
        InputError: as there, or if an index is repeated or there is no such frame.
    """
    points, confidence = _checked(points, confidence)
    order = list(order)
    if len(set(order)) < len(order) or not set(order) <= set(range(len(points))):
        raise InputError(f"order must be distinct indices of {len(points)} frames, not {order}")
    scene = _Scene.of(points, confidence, percentile, min_confidence)
    return scene.sampling(*greedy_max_coverage(scene.words, len(order), first=order))


@dataclass(frozen=True, eq=False)
class _Scene:
    """The voxels of a video."""

    words: NDArray[np.uint64]  # [W,T]
    voxel_size: float
    threshold: float

    @classmethod
    def of(
        cls, points: NDArray[np.float32], confidence: NDArray[np.float32], percentile: float, min_confidence: float
    ) -> _Scene:
        if not 0 <= percentile <= 100:
            raise InputError(f"percentile must lie in [0, 100], not {percentile}")
        threshold = confidence_percentile(confidence, percentile)
        trusted = trusted_from(threshold, min_confidence)
        grid = fit_grid(points, confidence, trusted)
        if grid is None:
            return cls(np.zeros((0, len(points)), np.uint64), 0.0, float(threshold))
        return cls(voxel_words(points, confidence, trusted, grid), float(grid.voxel_size), float(threshold))

    def sampling(self, order: Sequence[int], gains: Sequence[int], filled: Sequence[int] = ()) -> Sampling:
        return Sampling(
            indices=tuple(sorted([*order, *filled])),
            order=tuple(order),
            gains=tuple(gains),
            filled=tuple(filled),
            total_voxels=int(count_bits(np.bitwise_or.reduce(self.words, axis=1))),
            voxel_size=self.voxel_size,
            confidence_threshold=self.threshold,
        )


def _checked(points: NDArray, confidence: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points, confidence = np.asarray(points), np.asarray(confidence)
    for name, array, shape in (("points", points, "[T,H,W,3]"), ("confidence", confidence, "[T,H,W]")):
        if array.dtype != np.float32 or array.ndim != shape.count(",") + 1:
            raise InputError(f"{name} must be float32 {shape}, not {array.dtype} {list(array.shape)}")
    if points.shape != (*confidence.shape, 3):
        raise InputError(f"points {list(points.shape)} must be confidence {list(confidence.shape)} with 3 coordinates")
    if confidence.size == 0:
        raise InputError(f"there must be at least one frame and one pixel, but confidence is {list(confidence.shape)}")
    if not np.isfinite(confidence).all():
        confidence = np.nan_to_num(confidence, nan=0.0)
    return np.ascontiguousarray(points), np.ascontiguousarray(confidence)
