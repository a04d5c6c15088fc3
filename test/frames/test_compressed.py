import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import decode_compressed, decode_compressed_depth
from spatial_mllm_ros.frames.compressed import encoded_size, source_encoding

JPEG_TOLERANCE = 6  # of 255, for a smooth image at quality 95
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def gradient(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth RGB image in which the three channels differ."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 4 + 40, rows * 5 + 90, 200 - columns * 3], axis=2).clip(0, 255).astype(np.uint8)


def encoded(image: np.ndarray, suffix: str) -> bytes:
    """Encode an RGB or grey image as a file; OpenCV takes BGR."""
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def with_exif_rotation(jpeg: bytes) -> bytes:
    """Insert an APP1 segment whose EXIF orientation says "rotate by 90 degrees"."""
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("format", ["", "png", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8", "jpeg"])
def test_a_png_comes_back_exactly_whatever_its_format_says_of_the_codec(format):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    np.testing.assert_array_equal(decode_compressed(encoded(image, ".png"), format=format), image)


@pytest.mark.parametrize(
    "format", ["", "jpeg", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "mono8; jpeg compressed "]
)
def test_a_jpeg_comes_back_in_rgb(format):
    decoded = decode_compressed(encoded(gradient(), ".jpg"), format=format)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - gradient()).max() <= JPEG_TOLERANCE


def test_an_image_that_was_coded_with_red_and_blue_swapped_is_swapped_back():
    swapped = encoded(gradient()[..., ::-1], ".png")
    np.testing.assert_array_equal(decode_compressed(swapped, format="rgb8; png compressed rgb8"), gradient())


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_grey_image_is_repeated_in_three_channels(suffix):
    decoded = decode_compressed(encoded(gradient()[..., 0], suffix), format="mono8; jpeg compressed ")
    assert decoded.shape == (24, 40, 3) and (decoded[..., :1] == decoded).all()


def test_sixteen_bits_are_scaled_over_their_whole_range():
    wide = np.array([[0, 257, 65535, 128 * 257 + 100]], np.uint16)
    assert decode_compressed(encoded(wide, ".png"))[0, :, 1].tolist() == [0, 1, 255, 128]
    colour = np.dstack([wide, wide // 2, wide * 0])
    np.testing.assert_array_equal(decode_compressed(encoded(colour, ".png"))[0, 2], [255, 127, 0])


def test_alpha_is_dropped():
    bgra = np.dstack([gradient()[..., ::-1], np.full((24, 40), 9, np.uint8)])
    np.testing.assert_array_equal(decode_compressed(cv2.imencode(".png", bgra)[1].tobytes()), gradient())


def test_a_compressed_bayer_mosaic_gets_its_colours():
    mosaic = np.tile(np.array([[200, 60], [60, 30]], np.uint8), (6, 6))  # rggb of a flat colour
    decoded = decode_compressed(encoded(mosaic, ".png"), format="bayer_rggb8; png compressed ")
    assert (decoded == (200, 60, 30)).all()
    with pytest.raises(InputError, match="expected a grey mosaic"):
        decode_compressed(encoded(gradient(), ".png"), format="bayer_rggb8; png compressed ")


def test_exif_orientation_turns_photos_but_not_cameras():
    rotated = with_exif_rotation(encoded(gradient(), ".jpg"))
    assert decode_compressed(rotated).shape == (24, 40, 3)
    assert decode_compressed(rotated, apply_orientation=True).shape == (40, 24, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_size_is_read_from_the_header(suffix):
    assert encoded_size(encoded(gradient(13, 29), suffix)) == (29, 13)


def test_progressive_and_padded_jpegs_are_whole():
    progressive = cv2.imencode(".jpg", gradient(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_compressed(progressive + bytes(16)).shape == (24, 40, 3)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(40), bytes(100), b"\xff\xd8", PNG_SIGNATURE])
def test_data_that_is_no_image_is_refused(data):
    with pytest.raises(InputError, match="compressed image"):
        decode_compressed(data)


def test_what_was_found_instead_of_an_image_is_named():
    with pytest.raises(InputError, match=r"begins with '47 49 46 38 39 61 00 00', expected a JPEG or a PNG"):
        decode_compressed(b"GIF89a" + bytes(40))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@given(data=st.data())
def test_no_truncation_of_an_image_is_decoded_or_crashes(suffix, data):
    whole = encoded(gradient(), suffix)
    length = data.draw(st.integers(0, len(whole) - 1))
    if suffix == ".png" and length >= len(whole) - 4:
        return  # only the checksum of the empty last chunk is missing: every pixel is there
    with pytest.raises(InputError):
        decode_compressed(whole[:length])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@given(data=st.data())
def test_flipped_bytes_are_decoded_or_refused_and_never_crash(suffix, data):
    damaged = bytearray(encoded(gradient(), suffix))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert decode_compressed(bytes(damaged)).ndim == 3


def test_a_jpeg_with_only_its_thumbnail_whole_is_refused():
    jpeg = encoded(gradient(200, 200), ".jpg")
    thumbnail = encoded(gradient(), ".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = jpeg[:2] + segment + jpeg[2:]
    assert encoded_size(whole) == (200, 200)
    with pytest.raises(InputError, match="cut off"):
        decode_compressed(whole[: len(whole) // 2 + len(segment)])


@pytest.mark.parametrize("size", [(100_000, 100_000), (32_767, 32_767), (0, 5), (2**31 - 1, 1)])
def test_a_bomb_is_refused_by_its_header_before_anything_is_allocated(size):
    with pytest.raises(InputError, match=f"found a size of {size[0]}x{size[1]}"):
        decode_compressed(png_claiming(*size))


def test_depth_on_a_colour_topic_is_refused_with_a_hint():
    with pytest.raises(InputError, match="give the topic as depth"):
        decode_compressed(b"", format="16UC1; compressedDepth png")


DEPTH_MM = np.array([[0, 1, 1000], [2500, 65535, 42]], np.uint16)
NO_QUANTISER = struct.pack("<iff", 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("format", "header"),
    [
        ("16UC1; compressedDepth png", NO_QUANTISER),
        ("16UC1; compressedDepth", NO_QUANTISER),
        ("16UC1; png compressed ", b""),
    ],
)
def test_compressed_depth_in_millimetres_becomes_metres(format, header):
    depth_m = decode_compressed_depth(header + encoded(DEPTH_MM, ".png"), format=format)
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, DEPTH_MM / 1000, rtol=1e-6)


def test_compressed_depth_in_metres_is_dequantised_by_its_header():
    slope, offset = 100.0 * 101.0, -99.0  # depth = slope / (value - offset)
    depth_m = np.array([[0.5, 2.0], [7.25, 1.0]])
    stored = np.round(slope / depth_m + offset).astype(np.uint16)
    stored[1, 1] = 0
    payload = struct.pack("<iff", 0, slope, offset) + encoded(stored, ".png")
    decoded = decode_compressed_depth(payload, format="32FC1; compressedDepth png")
    assert np.isnan(decoded[1, 1])
    np.testing.assert_allclose(decoded[:, 0], depth_m[:, 0], rtol=2e-3)
    np.testing.assert_allclose(decoded[0, 1], 2.0, rtol=2e-3)


@pytest.mark.parametrize(
    ("payload", "format", "message"),
    [
        (NO_QUANTISER, "jpeg", "expected it to begin with 16UC1 or 32FC1"),
        (bytes(5), "16UC1; compressedDepth png", "found 5 bytes, expected a header of 12"),
        (NO_QUANTISER + bytes(50), "16UC1; compressedDepth rvl", "holds no PNG"),
        (NO_QUANTISER + encoded(gradient(), ".png"), "16UC1; compressedDepth png", "expected a 16-bit grey PNG"),
        (encoded(DEPTH_MM, ".png"), "32FC1; png compressed", "expected compressedDepth for 32FC1"),
        (NO_QUANTISER + png_claiming(60_000, 60_000), "16UC1; compressedDepth png", "found a size of 60000x60000"),
        (NO_QUANTISER + encoded(DEPTH_MM, ".png")[:-20], "16UC1; compressedDepth png", "cut off"),
    ],
)
def test_compressed_depth_that_cannot_be_read_is_refused_by_name(payload, format, message):
    with pytest.raises(InputError, match=message):
        decode_compressed_depth(payload, format=format)


@pytest.mark.parametrize(
    ("format", "encoding"),
    [("jpeg", ""), ("", ""), ("bgr8; jpeg compressed bgr8", "bgr8"), ("16UC1 ; compressedDepth", "16UC1")],
)
def test_the_encoding_before_compression_is_what_stands_before_the_semicolon(format, encoding):
    assert source_encoding(format) == encoding
