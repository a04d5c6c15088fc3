"""Score what the spatial encoder says about cameras and depth on tours through held-out rooms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.examples import Example

__all__ = ["GeometryScore", "score_geometry"]

_MIN_TURN_DEG, _MIN_MOVE_M = 5.0, 0.3
_NEAREST_M, _FARTHEST_M = 0.2, 8.0
_COUNT = 8
_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class GeometryScore:
    """Median error beside that of a guess that knows nothing, and their ratio with its 95 % interval.

    Attributes:
        what: such as "rotation, space-aware".
        unit: of the errors.
        error, trivial: medians over frames; `trivial` is a camera that never moves, or the best
            single depth.
        ratio, low, high: error / trivial, from drawing rooms anew.
        frames: how many.
    """

    what: str
    unit: str
    error: float
    trivial: float
    ratio: float
    low: float
    high: float
    frames: int


def score_geometry(
    model: SpatialMLLM, examples: Sequence[Example], on_example: Callable[[], object] = lambda: None
) -> list[GeometryScore]:
    """Predict cameras and depth of 8 frames of each example and compare: evenly spaced, space-aware, and the last ones.

    The last frames of a tour overlap; of the others many show places that no other shows.

    Cameras are compared relative to the first keyframe: rotation where the camera turned by 5 degrees or more,
    translation in metres where it moved by 0.3 m or more. Depth is compared in its logarithm, without any rescaling.

    Raises:
        InputError: if the model was loaded without its geometry heads.
    """
    found: dict[tuple[str, str], list[tuple[NDArray, NDArray]]] = defaultdict(list)
    for example in examples:
        step = len(example.uniform) // _COUNT
        spread = (("uniform", example.uniform[::step]), ("space-aware", example.space_aware))
        for kind, chosen in (*spread, ("last", example.run[-_COUNT:])):
            for (what, unit), pair in _errors(model, example, np.sort(chosen[:_COUNT])).items():
                found[f"{what}, {kind}", unit].append(pair)
        on_example()
    return [
        _score(what, unit, pairs)
        for (what, unit), pairs in sorted(found.items())
        if any(len(error) for error, _ in pairs)  # no camera may have turned
    ]


def _errors(
    model: SpatialMLLM, example: Example, chosen: NDArray[np.int64]
) -> dict[tuple[str, str], tuple[NDArray, NDArray]]:
    prediction = model.predict_geometry(example.images(chosen))
    predicted = np.tile(np.eye(4), (len(chosen), 1, 1))
    predicted[:, :3] = prediction.camera_from_world
    predicted = predicted @ np.linalg.inv(predicted[0])
    true = np.linalg.inv(example.world_from_camera[chosen].astype(np.float64))
    true = true @ np.linalg.inv(true[0])
    turned, moved = _angle_deg(true[:, :3, :3]), np.linalg.norm(true[:, :3, 3], axis=1)
    turn_error = _angle_deg(predicted[:, :3, :3] @ true[:, :3, :3].transpose(0, 2, 1))
    move_error = np.linalg.norm(predicted[:, :3, 3] - true[:, :3, 3], axis=1)
    has_turned, has_moved = turned >= _MIN_TURN_DEG, moved >= _MIN_MOVE_M
    coarse = example.depth_m[chosen].astype(np.float64).clip(_NEAREST_M, _FARTHEST_M)
    rows, columns = (np.arange(n) * 4 + 2 for n in coarse.shape[1:])
    depth = np.log(prediction.depth_m[:, rows][:, :, columns].astype(np.float64).clip(1e-3))
    true_depth = np.log(coarse)
    depth_error = np.abs(depth - true_depth).mean((1, 2))
    flat_error = np.abs(true_depth - np.median(true_depth)).mean((1, 2))
    return {
        ("rotation", "deg"): (turn_error[has_turned], turned[has_turned]),
        ("translation", "m"): (move_error[has_moved], moved[has_moved]),
        ("log depth", ""): (depth_error, flat_error),
    }


def _score(what: str, unit: str, pairs: Sequence[tuple[NDArray, NDArray]]) -> GeometryScore:
    rng = np.random.default_rng(0)
    errors, trivials = (np.concatenate(arrays) for arrays in zip(*pairs))
    room = np.repeat(np.arange(len(pairs)), [len(error) for error, _ in pairs])
    by_room = [np.flatnonzero(room == index) for index in range(len(pairs))]
    ratios = []
    for _ in range(_DRAWS // 10):
        drawn = np.concatenate([by_room[i] for i in rng.integers(len(pairs), size=len(pairs))])
        if not len(drawn):
            continue
        ratios.append(np.median(errors[drawn]) / max(np.median(trivials[drawn]), 1e-9))
    error, trivial = float(np.median(errors)), float(np.median(trivials))
    low, high = np.percentile(ratios, (2.5, 97.5))
    return GeometryScore(
        what=what,
        unit=unit,
        error=round(error, 3),
        trivial=round(trivial, 3),
        ratio=round(error / max(trivial, 1e-9), 3),
        low=round(float(low), 3),
        high=round(float(high), 3),
        frames=len(errors),
    )


def _angle_deg(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    trace = np.trace(rotation, axis1=1, axis2=2)
    return np.degrees(np.arccos(((trace - 1) / 2).clip(-1, 1)))
