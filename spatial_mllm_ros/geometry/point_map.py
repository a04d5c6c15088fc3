"""A frame's surface points in the world: what the sampling stage receives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError

__all__ = ["PointMap"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PointMap:
    """Where in the world each pixel (of a working grid) of one frame lies.

    Attributes:
        points: float32 [H,W,3], read-only, in `frame_id`; NaN where there is no point.
        confidence: float32 [H,W], read-only, at least 0; 0 where there is no point. 1 throughout for measured depth.
        stamp_ns: the frame's stamp in nanoseconds.
        frame_id: the world coordinate frame of the points.
        is_metric: True if the points are in metres, False if their scale is the network's own.

    Raises:
        InputError: if shapes or dtypes disagree.
    """

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    stamp_ns: int
    frame_id: str = ""
    is_metric: bool = True

    def __post_init__(self) -> None:
        points, confidence = self.points, self.confidence
        if points.dtype != np.float32 or points.ndim != 3 or points.shape[2] != 3:
            raise InputError(f"a point map's points must be float32 [H,W,3], not {points.dtype} {list(points.shape)}")
        if confidence.dtype != np.float32 or confidence.shape != points.shape[:2]:
            raise InputError(
                f"a point map's confidence must be float32 {list(points.shape[:2])}, "
                f"not {confidence.dtype} {list(confidence.shape)}"
            )
        for name in ("points", "confidence"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def nbytes(self) -> int:
        """Bytes held by both arrays."""
        return self.points.nbytes + self.confidence.nbytes
