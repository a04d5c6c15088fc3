import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.layout import MAX_PIXELS, MAX_SIDE, bytes_view, check_size, integers, pixel_view

BYTES = bytes(range(24))


def view(data=BYTES, *, dtype="u1", channels=3, width=2, height=3, step=8, rows=None):
    return pixel_view("image", data, dtype=dtype, channels=channels, width=width, height=height, step=step, rows=rows)


def test_rows_start_one_step_apart_and_padding_is_left_out():
    pixels = view()
    assert pixels.shape == (3, 2, 3)
    assert pixels[:, 0, 0].tolist() == [0, 8, 16] and pixels[2, 1].tolist() == [19, 20, 21]


def test_one_channel_has_no_channel_axis():
    assert view(channels=1, dtype=">u2", width=4).tolist()[0] == [0x0001, 0x0203, 0x0405, 0x0607]


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda b: array.array("B", b), lambda b: np.frombuffer(b, "u1")]
)
def test_every_kind_of_buffer_is_seen_without_a_copy(kind):
    data = kind(BYTES)
    assert np.shares_memory(view(data), np.frombuffer(data, np.uint8))


def test_the_view_of_a_read_only_buffer_is_read_only():
    assert not view(BYTES).flags.writeable
    assert view(bytearray(BYTES)).flags.writeable


@pytest.mark.parametrize("data", [list(BYTES), "text", None, 3, np.zeros((4, 12), np.uint8)[:, ::2]])
def test_data_that_is_no_contiguous_buffer_is_refused(data):
    with pytest.raises(InputError, match="must be a contiguous buffer"):
        bytes_view("image", data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 5}, r"found step 5, expected at least 2 pixels x 3 bytes = 6"),
        ({"data": BYTES[:-1]}, r"found 23 bytes, expected step 8 x 3 rows = 24"),
        ({"data": BYTES + b"x"}, r"found 25 bytes, expected step 8 x 3 rows = 24"),
        ({"data": b""}, r"found 0 bytes"),
        ({"height": 4}, r"expected step 8 x 4 rows = 32"),
        ({"rows": 4}, r"expected step 8 x 4 rows = 32"),
        ({"width": 0}, r"found a size of 0x3"),
        ({"height": -3}, r"found a size of 2x-3"),
        ({"step": -8}, r"found step -8"),
        ({"step": 2**63}, r"found 24 bytes"),
    ],
)
def test_what_disagrees_is_named_with_what_was_expected(changes, message):
    with pytest.raises(InputError, match=message):
        view(**changes)


@pytest.mark.parametrize(
    "size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (MAX_SIDE, MAX_PIXELS // MAX_SIDE + 1), (2**31, 2**31)]
)
def test_absurd_sizes_are_refused(size):
    with pytest.raises(InputError, match="found a size of"):
        check_size("image", *size)


def test_the_largest_sizes_are_allowed():
    check_size("image", MAX_SIDE, 1)
    check_size("image", 8192, MAX_PIXELS // 8192)


def test_only_integers_count_as_integers():
    assert integers("image", np.uint32(5), 2**70) == (5, 2**70)
    with pytest.raises(InputError, match="must be integers"):
        integers("image", 5.0)


@given(
    width=st.integers(1, 9), height=st.integers(1, 9), channels=st.integers(1, 4), padding=st.integers(0, 7),
    dtype=st.sampled_from(["u1", "<u2", ">u2", "<f4", ">f4"]), data=st.data(),
)  # fmt: skip
def test_any_agreeing_layout_gives_back_the_pixels_that_were_laid_out(width, height, channels, padding, dtype, data):
    sample = np.dtype(dtype)
    row_bytes = width * channels * sample.itemsize
    seed = data.draw(st.integers(0, 2**16))
    rows = np.random.default_rng(seed).integers(0, 256, (height, row_bytes + padding), dtype=np.uint8)
    expected = np.ascontiguousarray(rows[:, :row_bytes]).view(sample).reshape(height, width, channels)
    pixels = view(rows.tobytes(), dtype=dtype, channels=channels, width=width, height=height, step=row_bytes + padding)
    assert pixels.dtype == sample
    assert pixels.tobytes() == expected.tobytes()
