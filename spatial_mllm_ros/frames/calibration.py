"""The intrinsics of cameras as sensor_msgs/CameraInfo gives them, fitted to the image at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.tally import Tally

__all__ = ["Calibration", "CalibrationBook", "calibration_from_camera_info"]

_MAX_ASPECT_ERROR = 0.02  # beyond rounding, the image was cropped and the calibration is of another view
_VISIBLE_DISTORTION = 1e-3
_MAX_CAMERAS = 16
_RECTIFIED = re.compile(r"(?<![a-z])rect", re.IGNORECASE)  # image_rect, image_rect_color; image_proc's names


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """One camera's calibration.

    Attributes:
        raw: float64 [3,3], pixels; K, of the image as the sensor gives it.
        rectified: float64 [3,3], pixels; the left part of P, of the rectified image.
        has_distortion: True if the raw image is visibly distorted.
        width, height: of the calibrated image, pixels; 0 if unsaid.
        frame_id: the camera's optical frame; empty if unsaid.
    """

    raw: NDArray[np.float64]
    rectified: NDArray[np.float64]
    has_distortion: bool
    width: int
    height: int
    frame_id: str

    def intrinsics_of(self, width: int, height: int, *, is_rectified: bool) -> NDArray[np.float64]:
        """Return the intrinsics, float64 [3,3], of an image of this camera at the given size in pixels.

        Convention: pixel centres at integers, so a scaled principal point is `(c + 0.5) * scale - 0.5`.

        Raises:
            InputError: if the image has another aspect ratio than the calibration, so it shows another view.
        """
        intrinsics = (self.rectified if is_rectified else self.raw).copy()
        if self.width and self.height and (width, height) != (self.width, self.height):
            scale_x, scale_y = width / self.width, height / self.height
            if abs(scale_x / scale_y - 1.0) > _MAX_ASPECT_ERROR:
                raise InputError(
                    f"camera_info is for {self.width}x{self.height} but the image is {width}x{height}, "
                    "which is another aspect ratio; publish the camera_info of this image"
                )
            intrinsics[0] *= scale_x
            intrinsics[1] *= scale_y
            intrinsics[:2, 2] += 0.5 * np.array((scale_x, scale_y)) - 0.5
        return intrinsics


class CalibrationBook:
    """The newest calibration of each camera by its optical frame; bounded, the one renewed longest ago goes first."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._by_frame_id: dict[str, Calibration] = {}

    def add(self, calibration: Calibration) -> None:
        """Keep a calibration until the next one of its `frame_id`."""
        self._by_frame_id.pop(calibration.frame_id, None)
        self._by_frame_id[calibration.frame_id] = calibration  # newest last
        while len(self._by_frame_id) > _MAX_CAMERAS:
            del self._by_frame_id[next(iter(self._by_frame_id))]

    def intrinsics_of(self, camera: str, frame_id: str, width: int, height: int) -> NDArray[np.float64] | None:
        """Return the intrinsics, float64 [3,3], of an image at its own size; None, counted, if they are unknown.

        Args:
            camera: the image's topic; a name with "rect" in it says that the image is rectified.
            frame_id: the image's optical frame; where it or the calibration does not say, they are taken to be the
                same.
            width, height: of the image, pixels.
        """
        if not self._by_frame_id:
            return None
        calibration = self._by_frame_id.get(frame_id) or self._by_frame_id.get("")
        if calibration is None and not frame_id:
            calibration = next(reversed(self._by_frame_id.values()))
        if calibration is None:
            known = ", ".join(map(repr, self._by_frame_id))
            self._tally.add(
                "intrinsics_other_camera", "camera_info is of %s but the image of %r; check the topics", known, frame_id
            )
            return None
        is_rectified = _RECTIFIED.search(camera) is not None
        if calibration.has_distortion and not is_rectified:
            self._tally.add(
                "distortion_ignored",
                "%s is distorted, which is ignored; a rectified topic (image_rect) is better",
                camera,
            )
        try:
            return calibration.intrinsics_of(width, height, is_rectified=is_rectified)
        except InputError as error:
            self._tally.add("intrinsics_other_view", "%s", error)
            return None


def calibration_from_camera_info(
    k: Sequence[float],
    *,
    p: Sequence[float] = (),
    d: Sequence[float] = (),
    width: int = 0,
    height: int = 0,
    frame_id: str = "",
) -> Calibration:
    """Check the fields of a sensor_msgs/CameraInfo and keep what is needed of them.

    Args:
        k: 9 numbers, row by row.
        p: 12 numbers, row by row; empty or zero if there is no rectification.
        d: distortion coefficients.
        width, height: of the calibrated image, pixels; 0 if unsaid.
        frame_id: `header.frame_id`.

    Raises:
        InputError: if K is not that of a calibrated camera (finite, focal lengths above 0, last row 0 0 1).
    """
    raw = np.array(k, np.float64).reshape(-1)
    if raw.size != 9:
        raise InputError(f"camera_info: found {raw.size} numbers in k, expected 9")
    raw = raw.reshape(3, 3)
    if not _is_calibrated(raw):
        raise InputError(
            f"camera_info: found k = {raw.reshape(-1).tolist()}, expected focal lengths above 0 "
            "(is the camera calibrated?)"
        )
    projection = np.array(p, np.float64).reshape(-1)
    rectified = projection.reshape(3, 4)[:, :3] if projection.size == 12 else raw
    return Calibration(
        raw=raw,
        rectified=rectified if _is_calibrated(rectified) else raw,
        has_distortion=bool(np.abs(np.array(d, np.float64)).max(initial=0.0) > _VISIBLE_DISTORTION),
        width=int(width),
        height=int(height),
        frame_id=frame_id,
    )


def _is_calibrated(matrix: NDArray[np.float64]) -> bool:
    return bool(
        np.isfinite(matrix).all()
        and matrix[0, 0] > 0
        and matrix[1, 1] > 0
        and np.array_equal(matrix[2], (0.0, 0.0, 1.0))
    )
