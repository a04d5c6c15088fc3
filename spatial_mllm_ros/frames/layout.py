"""See the bytes of an image message as an array, without a copy and without reading out of bounds.

One function decides whether size, step, pixel format and data of a raw image agree. Decoders build on the view that it
returns and never index the bytes themselves.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError

__all__ = ["MAX_PIXELS", "MAX_SIDE", "bytes_view", "check_size", "integers", "pixel_view"]

MAX_SIDE = 32_767  # OpenCV's remap and warp work with 16-bit coordinates
MAX_PIXELS = 2**26  # 8K video has half as many; a larger claim is a damaged message or a decompression bomb


def integers(what: str, *values: Any) -> tuple[int, ...]:
    """Return the fields of a message as Python integers, which cannot overflow.

    Raises:
        InputError: if one is not an integer.
    """
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise InputError(f"{what}: width, height and step must be integers, not {values}") from error


def check_size(what: str, width: int, height: int) -> None:
    """Refuse an image size that is empty or absurd, before anything is allocated for it.

    Args:
        what: the image in words, to begin the message with, such as "rgb8 image".
        width, height: pixels, as a header claims them.

    Raises:
        InputError: if a side lies outside 1 to `MAX_SIDE`, or the area is over `MAX_PIXELS`.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE) or width * height > MAX_PIXELS:
        raise InputError(
            f"{what}: found a size of {width}x{height}, expected sides of 1 to {MAX_SIDE} "
            f"and at most {MAX_PIXELS} pixels"
        )


def bytes_view(what: str, data: Any) -> NDArray[np.uint8]:
    """See a buffer (bytes, bytearray, memoryview, array.array, numpy array) as flat uint8 [n], without a copy.

    Raises:
        InputError: if `data` is not a contiguous buffer.
    """
    try:
        return np.frombuffer(memoryview(data).cast("B"), dtype=np.uint8) if len(data) else np.empty(0, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise InputError(f"{what}: data must be a contiguous buffer of bytes, not {type(data).__name__}") from error


def pixel_view(
    what: str, data: Any, *, dtype: str, channels: int, width: int, height: int, step: int, rows: int | None = None
) -> NDArray:
    """See raw image bytes as an array of pixels.

    Args:
        what: the image in words, to begin a message with.
        data: buffer of exactly `step * rows` bytes.
        dtype: numpy name of one sample with its byte order, such as "u1" or ">u2".
        channels: samples per pixel.
        width, height: pixels.
        step: bytes from one row to the next, padding included.
        rows: rows of bytes, where planes lie under each other; `height` if None.

    Returns:
        `dtype` [rows,width] for one channel, else [rows,width,channels]: a view on `data` (read-only where that is
        read-only) with strides of `step` bytes; a copy where `step` is no multiple of a sample.

    Raises:
        InputError: naming what was found and expected, if size, step and data disagree.
    """
    check_size(what, width, height)
    rows = height if rows is None else rows
    sample = np.dtype(dtype)
    pixel_bytes = sample.itemsize * channels
    if step < width * pixel_bytes:
        raise InputError(
            f"{what}: found step {step}, expected at least {width} pixels x {pixel_bytes} bytes = {width * pixel_bytes}"
        )
    flat = bytes_view(what, data)
    if flat.size != step * rows:
        raise InputError(f"{what}: found {flat.size} bytes, expected step {step} x {rows} rows = {step * rows}")
    shape, strides = (rows, width, channels), (step, pixel_bytes, sample.itemsize)
    pixels = np.ndarray(shape, sample, buffer=flat, strides=strides)
    if not pixels.flags.aligned:  # a step that is no multiple of the sample's size; OpenCV refuses such arrays
        pixels = pixels.copy()
    return pixels[..., 0] if channels == 1 else pixels
