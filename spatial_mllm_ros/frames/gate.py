"""Let through the camera frames that are worth keeping: not too many, not blurred, not the same view again.

`FrameGate` looks at one camera's frames in order of arrival and says yes or no to each. It measures sharpness and
motion on a small grey image (about 160 pixels wide), so a frame costs a fraction of a millisecond. It knows stamps
only, no clock. A robot with two cameras needs two gates.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.history import TIME_JUMP_NS
from spatial_mllm_ros.frames.tally import Tally
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["FrameGate", "GateConfig", "mean_motion", "sharpness", "small_grey"]

logger = logging.getLogger(__name__)

_MIN_SMALL_WIDTH = 120  # halving an image ends with a width of 120 to 239 pixels; 160 for 640 and 1280
_JITTER = 0.5  # share of the interval by which a frame may come early, so that a 30 Hz camera passes a 30 Hz gate
_DEPTH_JITTER = _JITTER + 1.0  # the same for one with depth after one without: it may follow at once


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What a frame must be to pass the gate.

    Sharpness depends on the scene as much as on blur: rendered rooms measure 40 to 110, a plain wall seen by a noisy
    sensor 7 to 20. The default therefore stops only what is blurred beyond use; the debug log shows what a camera
    measures. The default motion lies just above sensor noise (0.6 to 0.8) and is reached by turning half a degree or
    by walking a few centimetres.
    """

    max_rate_hz: float = param(
        10.0, "Frames per second that may pass, by their stamps; 0: any", ge=0.0, le=1000.0, live=True
    )
    min_sharpness: float = param(
        8.0, "Least variance of the Laplacian of the small grey image; 0: any", ge=0.0, le=1e6, live=True
    )
    min_motion: float = param(
        1.0,
        "Least mean difference in grey levels (0..255) from the last frame that passed; 0: any",
        ge=0.0,
        le=255.0,
        live=True,
    )
    max_gap_s: float = param(
        2.0, "Seconds after which a frame passes even if it is blurred or unmoved", ge=0.0, le=3600.0, live=True
    )

    depth_patience_s: float = param(
        0.5, "Seconds for which frames without depth are passed over after one with depth", ge=0.0, le=60.0, live=True
    )

    def __post_init__(self) -> None:
        check_parameters(self)


class FrameGate:
    """Decide frame by frame what passes, and count why the rest did not.

    Over any span of `t` seconds at most `t * max_rate_hz + 1.5` frames pass, and at most one more if some have depth.
    Within that rate a frame must be sharp and must differ from the last one that passed; after `max_gap_s` without a
    frame the next one passes as it is, so that a white wall or a parked robot does not leave the window without a
    recent view. A stamp more than a second before the newest one is a jump in time and resets the gate. `config` may be
    replaced at any time.

    A depth camera is often slower than the colour camera, and the gate must not settle on the images between. So the
    first frame with depth after one without passes at any time (that is the one more, paid back by a longer wait), and
    where a frame with depth has passed the next one is waited for, `depth_patience_s` beyond the time when it is due.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = GateConfig() if config is None else config
        self._tally = Tally(logger)
        self.reset()

    def accept(self, frame: Frame) -> bool:
        """Return True if the frame passes; later frames are then compared with its stamp and image."""
        self._notice_time(frame.stamp_ns)
        reason, small = self._judge(frame)
        if reason is None:
            self._remember(frame, small)
        self._tally.add(reason or "accepted")
        return reason is None

    def would_be_too_soon(self, stamp_ns: int, *, may_have_depth: bool) -> bool:
        """Tell whether a frame of this stamp would be refused for its rate alone; changes and counts nothing.

        Lets a camera callback skip the decoding of frames that cannot pass, now or later.

        Args:
            stamp_ns: of the frame.
            may_have_depth: False if the frame surely has no depth.
        """
        if self._due_ns is None or self.config.max_rate_hz == 0 or self._newest_ns is None:
            return False
        if self._newest_ns - stamp_ns > TIME_JUMP_NS:
            return False
        return stamp_ns < self._earliest_ns(may_have_depth and not self._has_reference_depth)

    def reset(self) -> None:
        """Forget the frames seen so far; the counts stay."""
        self._newest_ns: int | None = None  # of all frames
        self._reference_ns: int | None = None  # of the last frame that passed, or the first one seen
        self._due_ns: int | None = None  # when the next frame may pass
        self._depth_ns: int | None = None  # of the last frame with depth
        self._has_reference_depth = False  # the last frame that passed had depth
        self._reference: NDArray[np.uint8] | None = None  # small grey image of the last frame that passed

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts: accepted, too_soon, no_depth, blurred, unmoved, out_of_order, and time_jump."""
        return self._tally.counts

    def _notice_time(self, stamp_ns: int) -> None:
        if self._newest_ns is not None and self._newest_ns - stamp_ns > TIME_JUMP_NS:
            self._tally.add("time_jump")
            self.reset()
        if self._reference_ns is None:
            self._reference_ns = stamp_ns

    def _judge(self, frame: Frame) -> tuple[str | None, NDArray[np.uint8] | None]:
        """Return why the frame must not pass (None if it may) and its small grey image if that was needed."""
        config = self.config
        if self._newest_ns is not None and frame.stamp_ns < self._newest_ns:
            return "out_of_order", None
        self._newest_ns = frame.stamp_ns
        has_depth = frame.depth_m is not None
        if has_depth:
            self._depth_ns = frame.stamp_ns
        if self.would_be_too_soon(frame.stamp_ns, may_have_depth=has_depth):
            return "too_soon", None
        if not has_depth and self._is_depth_coming(frame.stamp_ns):
            return "no_depth", None
        if config.min_sharpness == 0 and config.min_motion == 0:
            return None, None
        small = small_grey(frame.image)
        measured_sharpness = sharpness(small)
        motion = 255.0 if self._reference is None else mean_motion(small, self._reference)
        logger.debug("frame at %d ns: sharpness %.1f, motion %.2f", frame.stamp_ns, measured_sharpness, motion)
        if frame.stamp_ns - self._reference_ns > config.max_gap_s * 1e9:
            return None, small
        if measured_sharpness < config.min_sharpness:
            return "blurred", small
        return ("unmoved" if motion < config.min_motion else None), small

    def _is_depth_coming(self, stamp_ns: int) -> bool:
        """Tell whether to wait for a frame with depth instead of one of this stamp without."""
        if self._depth_ns is None:
            return False
        since_ns = self._depth_ns
        if self._has_reference_depth and self._due_ns is not None and self.config.max_rate_hz > 0:
            since_ns = max(since_ns, self._earliest_ns(False))  # those before it were not shown to the gate
        return stamp_ns - since_ns < self.config.depth_patience_s * 1e9

    def _earliest_ns(self, is_depth_wanted: bool) -> int:
        """Return when the next frame may pass, at the earliest; the gate must have a rate and a frame passed."""
        slack = _DEPTH_JITTER if is_depth_wanted else _JITTER
        return self._due_ns - int(slack * 1e9 / self.config.max_rate_hz)

    def _remember(self, frame: Frame, small: NDArray[np.uint8] | None) -> None:
        # A schedule with a slack (the "generic cell rate algorithm") instead of a least distance between frames: with
        # the latter, a jitter of one microsecond turns 30 Hz behind a 10 Hz gate into 7.5 Hz.
        if self.config.max_rate_hz > 0:
            start_ns = frame.stamp_ns if self._due_ns is None else max(self._due_ns, frame.stamp_ns)
            self._due_ns = start_ns + math.ceil(1e9 / self.config.max_rate_hz)
        self._reference_ns = frame.stamp_ns
        self._reference = small
        self._has_reference_depth = frame.depth_m is not None


def small_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink an RGB image to the small grey one on which sharpness and motion are measured.

    Args:
        image: uint8 [H,W,3] RGB.

    Returns:
        uint8 [h,w], the image halved (2x2 means) until its width is 120 to 239 pixels; a narrower image keeps its size.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    while grey.shape[1] >= 2 * _MIN_SMALL_WIDTH and grey.shape[0] >= 2:
        # Exact halves are many times faster than one large INTER_AREA step.
        even = grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2]
        grey = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return grey


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Measure sharpness: the variance of the Laplacian of a grey image, uint8 [h,w]; about 0 for a flat one.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def mean_motion(grey: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Measure change: the mean absolute difference of two grey images, uint8 [h,w], in grey levels 0..255.

    Images of different shapes share no view, so their difference is the largest possible, 255.
    """
    if grey.shape != reference.shape:
        return 255.0
    return float(cv2.norm(grey, reference, cv2.NORM_L1)) / grey.size
