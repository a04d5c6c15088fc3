"""Decode the payload of a sensor_msgs/CompressedImage: JPEG and PNG, colour and depth.

The codec is told by the data's first bytes, not by the message's `format`. The size is read from the image header and
checked before OpenCV is given the data, and a JPEG or PNG that ends early is refused (older OpenCV fills the rest with
grey without a word). `format` says only what the bytes cannot: the channel order, and how depth was coded.

Source: ITU-T T.81 (JPEG), W3C PNG 3rd ed., ROS compressed_image_transport and compressed_depth_image_transport.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.decoding import COLOUR_ENCODINGS, decode_image, eight_bits
from spatial_mllm_ros.frames.layout import bytes_view, check_size

__all__ = ["decode_compressed", "decode_compressed_depth", "encoded_size", "source_encoding"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15; the three are DHT, JPG and DAC
_DEPTH_HEADER = struct.Struct("<iff")  # compressedDepth: enum, then the two parameters of the inverse-depth quantiser
_MILLIMETRE = np.float32(0.001)


def decode_compressed(data: Any, *, format: str = "", apply_orientation: bool = False) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG image.

    Args:
        data: buffer with one whole image file.
        format: the message's `format`, such as "jpeg" or "bgr8; jpeg compressed bgr8". What it says of the codec is not
            trusted; "compressed rgb8" says that red and blue were swapped when the image was coded.
        apply_orientation: rotate by the EXIF tag. Right for photos; wrong for a calibrated camera.

    Returns:
        uint8 [H,W,3] RGB, a new array. Grey is repeated, 16 bits are scaled to 8 (v / 257), alpha is dropped.

    Raises:
        InputError: if the data is neither JPEG nor PNG, is cut off or damaged, claims an absurd size, or is depth.
    """
    if "compressedDepth" in format:
        raise InputError(f"compressed image: found format {format!r}, expected colour; give the topic as depth")
    mode = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    encoding, codec = source_encoding(format), format.partition(";")[2]
    if encoding.startswith("bayer_") and "compressed bgr" not in codec:
        return _decode_mosaic(data, encoding)
    decoded = _imdecode(data, mode if apply_orientation else mode | cv2.IMREAD_IGNORE_ORIENTATION)
    image = eight_bits(decoded)
    if _is_coded_as_rgb(encoding, codec):
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def decode_compressed_depth(data: Any, *, format: str) -> NDArray[np.float32]:
    """Decode a compressed depth image: `compressedDepth` with PNG inside, or a plain 16-bit PNG.

    Args:
        data: buffer with the whole message payload.
        format: the message's `format`, such as "16UC1; compressedDepth png", "32FC1; compressedDepth png" or
            "16UC1; png compressed".

    Returns:
        float32 [H,W], metres; 0 (16UC1) or NaN (32FC1) means "no depth".

    Raises:
        InputError: if the payload is not one of these, is cut off or damaged, or claims an absurd size.

    Source: compressed_depth_image_transport: a 12-byte header (int32, float32 A, float32 B), then a PNG; for 32FC1
        depth = A / (value - B), value 0 for none.
    """
    encoding, payload = source_encoding(format), bytes_view("compressed depth image", data)
    if encoding not in ("16UC1", "mono16", "32FC1"):
        raise InputError(f"compressed depth image: found format {format!r}, expected it to begin with 16UC1 or 32FC1")
    header = None
    if "compressedDepth" in format:
        if payload.size < _DEPTH_HEADER.size:
            raise InputError(f"compressed depth image: found {payload.size} bytes, expected a header of 12 and a PNG")
        header = _DEPTH_HEADER.unpack(payload[: _DEPTH_HEADER.size].tobytes())
        payload = payload[_DEPTH_HEADER.size :]
    if payload[: len(_PNG_SIGNATURE)].tobytes() != _PNG_SIGNATURE:
        raise InputError(
            f"compressed depth image: format {format!r} holds no PNG; other codecs (RVL, JPEG) cannot be read"
        )
    stored = _imdecode(payload, cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise InputError(
            f"compressed depth image: found {stored.dtype} {list(stored.shape)}, expected a 16-bit grey PNG"
        )
    if encoding != "32FC1":
        return np.multiply(stored, _MILLIMETRE, dtype=np.float32)
    if header is None:
        raise InputError(f"compressed depth image: found format {format!r}, expected compressedDepth for 32FC1")
    return _dequantised(stored, header[1], header[2])


def source_encoding(format: str) -> str:
    """Return the encoding of the image before it was compressed, or "" where `format` ("jpeg") does not say."""
    encoding, separator, _ = format.partition(";")
    return encoding.strip() if separator else ""


def encoded_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the header of a whole JPEG or PNG image, without decoding it.

    Raises:
        InputError: if the data is neither, or is cut off.
    """
    if data.startswith(_PNG_SIGNATURE):
        return _png_size(data)
    if data.startswith(_JPEG_SIGNATURE):
        return _jpeg_size(data)
    raise InputError(f"compressed image: found data that begins with {data[:8].hex(' ')!r}, expected a JPEG or a PNG")


def _imdecode(data: Any, flags: int) -> NDArray:
    flat = bytes_view("compressed image", data)
    width, height = encoded_size(flat.tobytes())
    check_size("compressed image", width, height)
    try:
        decoded = cv2.imdecode(flat, flags)
    except cv2.error as error:
        raise InputError(f"compressed image: {width}x{height}, damaged: {error.err or error}") from error
    if decoded is None:
        raise InputError(f"compressed image: {width}x{height} in {flat.size} bytes is damaged and cannot be decoded")
    return decoded


def _decode_mosaic(data: Any, encoding: str) -> NDArray[np.uint8]:
    """Decode a Bayer mosaic that was compressed as the grey image that it is stored as."""
    mosaic = _imdecode(data, cv2.IMREAD_UNCHANGED)
    name = encoding.rstrip("0123456789") + str(8 * mosaic.dtype.itemsize)
    if mosaic.ndim != 2 or name not in COLOUR_ENCODINGS:
        raise InputError(
            f"compressed image: found {encoding!r} with shape {list(mosaic.shape)}, expected a grey mosaic"
        )
    height, width = mosaic.shape
    return decode_image(mosaic, encoding=name, width=width, height=height, step=width * mosaic.dtype.itemsize)


def _is_coded_as_rgb(encoding: str, codec: str) -> bool:
    """Tell whether the coder was given RGB in place of the BGR it expects, by the rule of the ROS subscriber."""
    is_colour = encoding.startswith(("rgb", "bgr"))
    return is_colour and bool(codec) and "compressed bgr" not in codec


def _dequantised(stored: NDArray[np.uint16], slope: float, offset: float) -> NDArray[np.float32]:
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = np.float32(slope) / (stored.astype(np.float32) - np.float32(offset))
    return np.where(stored == 0, np.float32(np.nan), depth_m)


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 33 or data[12:16] != b"IHDR" or data.rfind(b"IEND") < 33:
        raise InputError(
            f"compressed image: a PNG of {len(data)} bytes is cut off (no IHDR at its begin or no IEND at its end)"
        )
    return struct.unpack(">II", data[16:24])


def _jpeg_size(data: bytes) -> tuple[int, int]:
    size = None
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in _JPEG_SIZES and size is None and position + 9 <= len(data):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            size = width, height
        if marker == _JPEG_SCAN:
            # In the scans 0xFF is always stuffed, so only the real end can follow; a thumbnail's end lies before.
            if size is None or data.rfind(_JPEG_END) < position:
                break
            return size
        position += 2 + max(length, 2)
    raise InputError(
        f"compressed image: a JPEG of {len(data)} bytes is damaged or cut off (no size, no scan or no end)"
    )
