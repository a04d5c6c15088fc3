"""Turn raw camera images into RGB arrays and raw depth images into metres.

The functions take the plain fields of a sensor_msgs/Image, not the message, so they serve the node, the bag reader and
tests alike. One table, `_COLOUR`, says how each encoding is read. A message whose size, step, encoding and data
disagree raises `InputError` and is never read out of bounds. `rgb8` and 32FC1 depth are views on the message's own
bytes.

Source: sensor_msgs/image_encodings.hpp and REP 118 (depth images).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.bridge import cv_bridge_probe, rgb_from_cv_bridge
from spatial_mllm_ros.frames.layout import check_size, integers, pixel_view
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["COLOUR_ENCODINGS", "DEPTH_ENCODINGS", "DecodingConfig", "decode_depth", "decode_image", "eight_bits"]

_MILLIMETRE = np.float32(0.001)


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """How raw images are decoded."""

    use_cv_bridge: bool = param(
        True, "Let cv_bridge decode the encodings it gets right, where it is installed and works"
    )

    def __post_init__(self) -> None:
        check_parameters(self)


def decode_image(
    data: Any,
    *,
    encoding: str,
    width: int,
    height: int,
    step: int,
    is_bigendian: bool = False,
    use_cv_bridge: bool = True,
) -> NDArray[np.uint8]:
    """Decode a raw colour or grey image.

    Args:
        data: buffer of `step * height` bytes (half as many rows again for nv12 and nv21).
        encoding: one of `COLOUR_ENCODINGS`.
        width, height: pixels.
        step: bytes from one row to the next, padding included.
        is_bigendian: byte order of 16-bit samples.
        use_cv_bridge: let cv_bridge decode what it has proved to get right; see `cv_bridge_probe`.

    Returns:
        uint8 [H,W,3] RGB. For rgb8 a view on `data`, for other encodings a new array.

    Convention: 16-bit samples span their whole range, so 65535 becomes 255 (v / 257, rounded); grey is repeated in
    three channels; alpha is ignored; YUV is BT.601 in video range; 8UC3 and 8UC4 are BGR and BGRA as in OpenCV.

    Raises:
        InputError: if the encoding is unknown or is one of depth, or size, step, encoding and data disagree.
    """
    colour = _COLOUR.get(encoding)
    if colour is None:
        hint = "; this is a depth encoding, give the topic as depth" if encoding in DEPTH_ENCODINGS else ""
        raise InputError(f"image: found encoding {encoding!r}, expected one of {', '.join(COLOUR_ENCODINGS)}{hint}")
    what = f"{encoding} image"
    width, height, step = integers(what, width, height, step)
    colour.check_sides(what, width, height)
    pixels = pixel_view(
        what,
        data,
        dtype=_sample(colour.bits, is_bigendian),
        channels=colour.channels,
        width=width,
        height=height,
        step=step,
        rows=height * 3 // 2 if colour.is_planar else None,
    )
    is_plain = pixels.flags.c_contiguous and pixels.dtype.isnative  # cv_bridge stumbles over padding and byte order
    if use_cv_bridge and colour.is_bridgeable and is_plain and encoding in cv_bridge_probe().encodings:
        return rgb_from_cv_bridge(pixels, encoding, width, height)
    return colour.convert(pixels)


def decode_depth(
    data: Any, *, encoding: str, width: int, height: int, step: int, is_bigendian: bool = False
) -> NDArray[np.float32]:
    """Decode a raw depth image.

    Args:
        data: buffer of `step * height` bytes.
        encoding: 16UC1 or mono16 (millimetres), or 32FC1 (metres).
        width, height, step, is_bigendian: as for `decode_image`.

    Returns:
        float32 [H,W], metres along the optical axis. "No depth" stays what it was: 0 in 16UC1; 0, NaN or Inf in 32FC1.
        A view on `data` where that holds native floats.

    Raises:
        InputError: if the encoding is not one of depth, or size, step, encoding and data disagree.

    Source: REP 118.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise InputError(f"depth image: found encoding {encoding!r}, expected one of {', '.join(DEPTH_ENCODINGS)}")
    what = f"{encoding} depth image"
    width, height, step = integers(what, width, height, step)
    dtype = f"{'>' if is_bigendian else '<'}{'f4' if encoding == '32FC1' else 'u2'}"
    stored = pixel_view(what, data, dtype=dtype, channels=1, width=width, height=height, step=step)
    if encoding == "32FC1":
        return _without_much_padding(stored.astype(np.float32, copy=False))
    return np.multiply(stored, _MILLIMETRE, dtype=np.float32)


def eight_bits(samples: NDArray) -> NDArray[np.uint8]:
    """Scale 16-bit samples to 8 bits, v / 257 rounded (65535 becomes 255); 8-bit samples pass unchanged."""
    if samples.dtype.itemsize == 1:
        return samples
    native = samples.astype(np.uint16, copy=False)
    return cv2.convertScaleAbs(native, alpha=1 / 257).reshape(samples.shape)


def _sample(bits: int, is_bigendian: bool) -> str:
    return "u1" if bits == 8 else f"{'>' if is_bigendian else '<'}u2"


def _without_much_padding(view: NDArray) -> NDArray:
    """Copy a view that keeps more than twice its own bytes alive: a buffer's byte budget counts the view only."""
    return view if view.strides[0] * view.shape[0] <= 2 * view.nbytes else view.copy()


@dataclass(frozen=True)
class _Colour:
    """How one encoding is stored and turned into RGB."""

    bits: int  # per sample
    channels: int  # samples per pixel
    convert: Callable[[NDArray], NDArray[np.uint8]]
    width_step: int = 1  # the width is a multiple of this
    height_step: int = 1
    min_side: int = 1
    is_planar: bool = False  # chroma in half as many rows under the luma plane
    is_bridgeable: bool = True  # cv_bridge is asked whether it can

    def check_sides(self, what: str, width: int, height: int) -> None:
        check_size(what, width, height)
        if width % self.width_step or height % self.height_step or min(width, height) < self.min_side:
            raise InputError(
                f"{what}: found a size of {width}x{height}, expected a width that is a multiple of {self.width_step}, "
                f"a height that is a multiple of {self.height_step}, and sides of at least {self.min_side}"
            )


def _by_opencv(code: int) -> Callable[[NDArray], NDArray[np.uint8]]:
    return lambda pixels: cv2.cvtColor(eight_bits(pixels), code)


_GREY = _by_opencv(cv2.COLOR_GRAY2RGB)
_BGR = _by_opencv(cv2.COLOR_BGR2RGB)
_BGRA = _by_opencv(cv2.COLOR_BGRA2RGB)
_RGBA = _by_opencv(cv2.COLOR_RGBA2RGB)

# OpenCV names a Bayer pattern by the second and third pixel of the second row, ROS by the first two rows.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}

_UYVY = _Colour(8, 2, _by_opencv(cv2.COLOR_YUV2RGB_UYVY), width_step=2)
_YUYV = _Colour(8, 2, _by_opencv(cv2.COLOR_YUV2RGB_YUY2), width_step=2)


def _semi_planar(code: int) -> _Colour:
    return _Colour(8, 1, _by_opencv(code), width_step=2, height_step=2, is_planar=True, is_bridgeable=False)


_COLOUR: dict[str, _Colour] = {
    "rgb8": _Colour(8, 3, _without_much_padding, is_bridgeable=False),  # a view; nothing to convert
    "bgr8": _Colour(8, 3, _BGR),
    "rgba8": _Colour(8, 4, _RGBA),
    "bgra8": _Colour(8, 4, _BGRA),
    "mono8": _Colour(8, 1, _GREY),
    "mono16": _Colour(16, 1, _GREY),
    "rgb16": _Colour(16, 3, eight_bits),
    "bgr16": _Colour(16, 3, _BGR),
    "rgba16": _Colour(16, 4, _RGBA),
    "bgra16": _Colour(16, 4, _BGRA),
    # OpenCV's demosaicing leaves an image of fewer than 3 rows or columns black.
    **{f"bayer_{order}8": _Colour(8, 1, _by_opencv(code), min_side=3) for order, code in _BAYER.items()},
    **{f"bayer_{order}16": _Colour(16, 1, _by_opencv(code), min_side=3) for order, code in _BAYER.items()},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _semi_planar(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _semi_planar(cv2.COLOR_YUV2RGB_NV21),
    "8UC1": _Colour(8, 1, _GREY, is_bridgeable=False),
    "8UC3": _Colour(8, 3, _BGR, is_bridgeable=False),
    "8UC4": _Colour(8, 4, _BGRA, is_bridgeable=False),
}

COLOUR_ENCODINGS = tuple(_COLOUR)
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
