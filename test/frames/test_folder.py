import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import FolderReader, Span
from spatial_mllm_ros.frames.folder import natural_order


@pytest.fixture
def folder(tmp_path):
    """Twelve images, 1.png to 12.PNG, whose red value is their number, and a file that is no image."""
    path = tmp_path / "photos"
    path.mkdir()
    for number in range(1, 13):
        bgr = np.full((4, 6, 3), (0, 0, number), np.uint8)
        (path / f"{number}.{'png' if number % 2 else 'PNG'}").write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    (path / "notes.txt").write_text("not an image")
    (path / "sub.png").mkdir()
    return path


def numbers(frames):
    return [int(frame.image[0, 0, 0]) for frame in frames]


def test_images_come_in_natural_order_with_stamps_at_the_rate(folder):
    reader = FolderReader(folder, rate_hz=4.0)
    assert reader.len_hint == 12 and reader.name == "photos"
    frames = list(reader)
    assert numbers(frames) == list(range(1, 13))
    assert [frame.stamp_ns for frame in frames] == [index * 250_000_000 for index in range(12)]
    assert {frame.camera for frame in frames} == {"photos"}


def test_a_span_takes_its_part(folder):
    reader = FolderReader(folder, Span(start_s=0.3, duration_s=0.6, stride=2), rate_hz=10.0, camera="phone")
    assert reader.len_hint == 3
    frames = list(reader)
    assert numbers(frames) == [4, 6, 8] and frames[0].stamp_ns == 300_000_000 and frames[0].camera == "phone"


def test_a_damaged_image_is_refused_by_its_name(folder):
    (folder / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    reader = FolderReader(folder)
    assert numbers([next(reader), next(reader)]) == [1, 2]
    with pytest.raises(InputError, match=r"3\.png: .*cut off.*remove or replace this file"):
        next(reader)
    assert list(reader) == []


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"found no image \(\.jpg, \.jpeg, \.png\)"):
        FolderReader(tmp_path)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(folder, rate_hz):
    with pytest.raises(InputError, match="rate must be above 0"):
        FolderReader(folder, rate_hz=rate_hz)


def test_numbers_are_ordered_by_value_and_words_by_letter():
    names = ["b1", "a10", "a2", "A1", "2", "10", "²", "a"]
    assert sorted(names, key=natural_order) == ["2", "10", "a", "A1", "a2", "a10", "b1", "²"]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_names_can_be_ordered(names):
    assert sorted(sorted(names, key=natural_order), key=natural_order) == sorted(names, key=natural_order)
