import array
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import COLOUR_ENCODINGS, DEPTH_ENCODINGS, DecodingConfig, Frame, decode_depth, decode_image
from spatial_mllm_ros.frames.decoding import eight_bits

PERMUTATIONS = {"rgb": (0, 1, 2), "bgr": (2, 1, 0), "rgba": (0, 1, 2, 3), "bgra": (2, 1, 0, 3)}
BAYER = {  # the colour at rows 0 and 1, columns 0 and 1
    "rggb": ((0, 1), (1, 2)),
    "bggr": ((2, 1), (1, 0)),
    "gbrg": ((1, 2), (0, 1)),
    "grbg": ((1, 0), (2, 1)),
}
YUV_TOLERANCE = 3  # of 255: 8-bit YUV in video range has fewer steps than RGB
FLAT_COLOURS = [(200, 60, 30), (10, 240, 90), (16, 16, 16), (235, 235, 235), (128, 0, 255)]

images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))
paddings = st.integers(0, 9)


def packed(rows: np.ndarray, padding: int = 0) -> dict:
    """Lay out samples [H,W,C] or [H,W] as the fields of a message, with padding of 0xAA at the end of each row."""
    height, width = rows.shape[:2]
    row_bytes = rows.reshape(height, -1).view(np.uint8) if rows.dtype.itemsize > 1 else rows.reshape(height, -1)
    padded = np.pad(row_bytes, ((0, 0), (0, padding)), constant_values=0xAA)
    return {"data": padded.tobytes(), "width": width, "height": height, "step": padded.shape[1]}


def with_alpha(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image, np.full_like(image[..., :1], 7)], axis=2)


def stored(image: np.ndarray, order: str) -> np.ndarray:
    """Arrange RGB as an encoding of the rgb8 family stores it."""
    channels = with_alpha(image) if len(order) == 4 else image
    return np.ascontiguousarray(channels[..., PERMUTATIONS[order]])


def yuv_of(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """BT.601 in video range: Y, U, V."""
    r, g, b = (value / 255 for value in colour)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return round(16 + 219 * luma), round(128 + 224 * (b - luma) / 1.772), round(128 + 224 * (r - luma) / 1.402)


@pytest.mark.parametrize("use_cv_bridge", [True, False])
@pytest.mark.parametrize("order", PERMUTATIONS)
@given(image=images, padding=paddings)
def test_the_rgb8_family_comes_back_exactly(order, use_cv_bridge, image, padding):
    fields = packed(stored(image, order), padding)
    decoded = decode_image(encoding=f"{order}8", use_cv_bridge=use_cv_bridge, **fields)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize("order", PERMUTATIONS)
@given(image=images, padding=paddings, is_bigendian=st.booleans())
def test_the_rgb16_family_keeps_the_high_digits_in_either_byte_order(order, image, padding, is_bigendian):
    wide = (stored(image, order).astype(np.uint16) * 257).astype(">u2" if is_bigendian else "<u2")
    decoded = decode_image(encoding=f"{order}16", is_bigendian=is_bigendian, **packed(wide, padding))
    np.testing.assert_array_equal(decoded, image)


@given(image=images, padding=paddings)
def test_grey_is_repeated_in_three_channels(image, padding):
    grey = np.ascontiguousarray(image[..., 0])
    for encoding in ("mono8", "8UC1"):
        decoded = decode_image(encoding=encoding, **packed(grey, padding))
        np.testing.assert_array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


@given(
    grey=hnp.arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    is_bigendian=st.booleans(),
    padding=paddings,
)
def test_mono16_is_scaled_over_its_whole_range_in_either_byte_order(grey, is_bigendian, padding):
    laid_out = grey.astype(">u2" if is_bigendian else "<u2")
    decoded = decode_image(encoding="mono16", is_bigendian=is_bigendian, **packed(laid_out, padding))
    np.testing.assert_array_equal(decoded[..., 1], np.round(grey / 257).astype(np.uint8))


def test_opencv_names_are_in_opencv_order():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(decode_image(encoding="8UC3", **packed(image)), image[..., ::-1])
    np.testing.assert_array_equal(decode_image(encoding="8UC4", **packed(with_alpha(image))), image[..., ::-1])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("colour", FLAT_COLOURS)
@pytest.mark.parametrize("order", BAYER)
def test_a_flat_colour_survives_a_bayer_mosaic(order, colour, is_bigendian, bits):
    mosaic = np.array([[colour[c] for c in row] for row in BAYER[order]])
    mosaic = np.tile(mosaic, (4, 5))
    dtype = "u1" if bits == 8 else ">u2" if is_bigendian else "<u2"
    rows = (mosaic * (1 if bits == 8 else 257)).astype(dtype)
    decoded = decode_image(encoding=f"bayer_{order}{bits}", is_bigendian=is_bigendian, **packed(rows, padding=4))
    assert np.abs(decoded.astype(int) - colour).max() <= 1


@pytest.mark.parametrize("colour", FLAT_COLOURS)
@pytest.mark.parametrize(("encodings", "pattern"), [(("yuv422", "uyvy"), "UYVY"), (("yuv422_yuy2", "yuyv"), "YUYV")])
def test_a_flat_colour_survives_packed_yuv(encodings, pattern, colour):
    values = dict(zip("YUV", yuv_of(colour), strict=True))
    row = np.array([values[letter] for letter in pattern] * 3, np.uint8)
    fields = packed(np.tile(row, (5, 1)).reshape(5, 6, 2), padding=3)
    for encoding in encodings:
        decoded = decode_image(encoding=encoding, **fields)
        assert decoded.shape == (5, 6, 3)
        assert np.abs(decoded.astype(int) - colour).max() <= YUV_TOLERANCE


@pytest.mark.parametrize("colour", FLAT_COLOURS)
@pytest.mark.parametrize(("encoding", "chroma"), [("nv12", "UV"), ("nv21", "VU")])
def test_a_flat_colour_survives_semi_planar_yuv(encoding, chroma, colour):
    values = dict(zip("YUV", yuv_of(colour), strict=True))
    luma = np.full((4, 6), values["Y"], np.uint8)
    interleaved = np.tile(np.array([values[letter] for letter in chroma], np.uint8), (2, 3))
    fields = {**packed(np.vstack([luma, interleaved]), padding=2), "height": 4}
    decoded = decode_image(encoding=encoding, **fields)
    assert decoded.shape == (4, 6, 3)
    assert np.abs(decoded.astype(int) - colour).max() <= YUV_TOLERANCE


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_rgb8_is_a_view_on_the_message_and_not_a_copy(kind):
    fields = packed(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), padding=2)
    fields["data"] = kind(fields["data"])
    decoded = decode_image(encoding="rgb8", **fields)
    assert np.shares_memory(decoded, np.frombuffer(fields["data"], np.uint8))
    frame = Frame(image=decoded, stamp_ns=0)
    assert np.shares_memory(frame.image, decoded) and not frame.image.flags.writeable


def test_a_view_never_keeps_more_than_twice_its_own_bytes_alive():
    image = np.arange(12, dtype=np.uint8).reshape(4, 1, 3)
    fields = packed(image, padding=4)
    decoded = decode_image(encoding="rgb8", **fields)
    assert not np.shares_memory(decoded, np.frombuffer(fields["data"], np.uint8))
    np.testing.assert_array_equal(decoded, image)


def test_every_listed_encoding_decodes():
    for encoding in COLOUR_ENCODINGS:
        rows = 9 if encoding.startswith("nv") else 6
        decoded = decode_image(
            bytes(64 * rows), encoding=encoding, width=8, height=6, step=64
        )  # 8 bytes a pixel do for all
        assert decoded.shape == (6, 8, 3) and decoded.dtype == np.uint8, encoding


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "rgb7"}, r"found encoding 'rgb7', expected one of rgb8, bgr8"),
        ({"encoding": "16UC1"}, r"this is a depth encoding"),
        ({"encoding": ""}, r"found encoding ''"),
        ({"step": 11}, r"rgb8 image: found step 11, expected at least 4 pixels x 3 bytes = 12"),
        ({"data": bytes(35)}, r"rgb8 image: found 35 bytes, expected step 12 x 3 rows = 36"),
        ({"data": bytes(37)}, r"found 37 bytes"),
        ({"width": 0}, r"found a size of 0x3"),
        ({"width": 4.0}, r"must be integers"),
        ({"encoding": "bgra8"}, r"bgra8 image: found step 12, expected at least 4 pixels x 4 bytes = 16"),
        ({"encoding": "yuv422", "width": 3}, r"found a size of 3x3, expected a width that is a multiple of 2"),
        ({"encoding": "nv21"}, r"a height that is a multiple of 2"),
        ({"encoding": "bayer_rggb8", "width": 2}, r"sides of at least 3"),
        ({"width": 2**31, "height": 2**31, "step": 2**33}, r"found a size of 2147483648x2147483648"),
    ],
)
def test_a_message_that_contradicts_itself_is_refused_by_name(fields, message):
    good = {"data": bytes(36), "encoding": "rgb8", "width": 4, "height": 3, "step": 12}
    with pytest.raises(InputError, match=message):
        decode_image(**{**good, **fields})


@given(
    encoding=st.sampled_from(COLOUR_ENCODINGS + DEPTH_ENCODINGS + ("", "rgb9")),
    width=st.integers(-1, 9), height=st.integers(-1, 9), step=st.integers(-1, 80),
    length=st.one_of(st.integers(0, 700), st.none()), is_bigendian=st.booleans(),
)  # fmt: skip
def test_any_message_is_decoded_to_its_own_size_or_refused(encoding, width, height, step, length, is_bigendian):
    data = bytes(max(0, step * height) if length is None else length)
    fields = {"encoding": encoding, "width": width, "height": height, "step": step, "is_bigendian": is_bigendian}
    for decode, channels in ((decode_image, (3,)), (decode_depth, ())):
        try:
            decoded = decode(data, **fields)
        except InputError:
            continue
        assert decoded.shape == (height, width, *channels)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@given(
    stored_mm=hnp.arrays(np.uint16, st.tuples(st.integers(1, 8), st.integers(1, 8))),
    padding=paddings, is_bigendian=st.booleans(),
)  # fmt: skip
def test_depth_in_millimetres_becomes_metres(encoding, stored_mm, padding, is_bigendian):
    laid_out = stored_mm.astype(">u2" if is_bigendian else "<u2")
    depth_m = decode_depth(encoding=encoding, is_bigendian=is_bigendian, **packed(laid_out, padding))
    assert depth_m.dtype == np.float32 and depth_m.dtype.isnative
    np.testing.assert_allclose(depth_m, stored_mm / 1000, rtol=1e-6)
    assert ((depth_m == 0) == (stored_mm == 0)).all()


@given(
    depth_m=hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.floats(width=32)),
    padding=paddings, is_bigendian=st.booleans(),
)  # fmt: skip
def test_depth_in_metres_comes_back_exactly_with_its_holes(depth_m, padding, is_bigendian):
    laid_out = depth_m.astype(">f4" if is_bigendian else "<f4")
    decoded = decode_depth(encoding="32FC1", is_bigendian=is_bigendian, **packed(laid_out, padding))
    assert decoded.dtype == np.float32 and decoded.dtype.isnative and decoded.flags.aligned
    np.testing.assert_array_equal(decoded, depth_m)


def test_native_float_depth_is_a_view_on_the_message():
    fields = packed(np.arange(6, dtype=np.float32).reshape(2, 3))
    decoded = decode_depth(encoding="32FC1", is_bigendian=sys.byteorder == "big", **fields)
    assert np.shares_memory(decoded, np.frombuffer(fields["data"], np.uint8))


def test_depth_from_a_colour_topic_is_refused_by_name():
    with pytest.raises(InputError, match="found encoding 'rgb8', expected one of 16UC1, mono16, 32FC1"):
        decode_depth(bytes(12), encoding="rgb8", width=2, height=2, step=6)
    with pytest.raises(InputError, match="16UC1 depth image: found 7 bytes"):
        decode_depth(bytes(7), encoding="16UC1", width=2, height=2, step=4)


def test_sixteen_bits_are_rounded_to_eight_at_every_value():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(eight_bits(every), np.round(every / 257).astype(np.uint8))
    assert eight_bits(every).shape == (256, 256)


def test_a_bayer_picture_is_demosaiced_with_the_right_colours_in_the_right_places():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = (250, 30, 120)
    mosaic = np.empty((20, 20), np.uint8)
    for row, column in np.ndindex(2, 2):
        mosaic[row::2, column::2] = image[row::2, column::2, BAYER["gbrg"][row][column]]
    decoded = decode_image(encoding="bayer_gbrg8", **packed(mosaic))
    inner = np.abs(decoded.astype(int) - image)[:, [2, 5, 14, 17]]  # away from the edge between the halves
    assert inner.max() <= 1


def test_whether_cv_bridge_is_used_is_a_parameter():
    assert DecodingConfig().use_cv_bridge is True
    assert not DecodingConfig(use_cv_bridge=False).use_cv_bridge


def test_decoding_leaves_the_message_as_it_was():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    data = bytearray(image.tobytes())
    decoded = decode_image(data, encoding="bgr8", width=8, height=6, step=24)
    cv2.cvtColor(decoded, cv2.COLOR_RGB2BGR, dst=decoded)
    assert bytes(data) == image.tobytes()
