import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.calibration import CalibrationBook, calibration_from_camera_info
from spatial_mllm_ros.frames.tally import Tally

K = (500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0)
P = (400.0, 0.0, 310.0, 0.0, 0.0, 410.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def camera_info(k=K, **fields):
    return calibration_from_camera_info(k, **{"width": 640, "height": 480, "frame_id": "camera", **fields})


@pytest.fixture
def tally():
    return Tally(logging.getLogger("test_calibration"))


def test_an_image_of_the_calibrated_size_has_the_intrinsics_as_given():
    intrinsics = camera_info().intrinsics_of(640, 480, is_rectified=False)
    assert intrinsics.dtype == np.float64 and intrinsics.reshape(-1).tolist() == list(K)


def test_the_rectified_image_has_those_of_the_projection():
    calibration = camera_info(p=P)
    assert calibration.intrinsics_of(640, 480, is_rectified=True)[0].tolist() == [400, 0, 310]
    assert calibration.intrinsics_of(640, 480, is_rectified=False)[0].tolist() == [500, 0, 320]


@pytest.mark.parametrize("p", [(), (0.0,) * 12])
def test_without_a_projection_the_rectified_image_has_those_of_k(p):
    assert camera_info(p=p).intrinsics_of(640, 480, is_rectified=True)[0, 0] == 500


def test_half_the_size_by_hand():
    intrinsics = camera_info().intrinsics_of(320, 240, is_rectified=False)
    np.testing.assert_allclose(intrinsics, [[250, 0, 159.75], [0, 255, 119.75], [0, 0, 1]], rtol=0, atol=1e-12)


@given(scale=st.integers(1, 8), u=st.floats(0, 639), v=st.floats(0, 479))
def test_a_ray_keeps_its_direction_when_the_image_is_scaled(scale, u, v):
    small = camera_info().intrinsics_of(640, 480, is_rectified=False)
    large = camera_info().intrinsics_of(640 * scale, 480 * scale, is_rectified=False)
    scaled = ((u + 0.5) * scale - 0.5, (v + 0.5) * scale - 0.5, 1.0)
    np.testing.assert_allclose(np.linalg.inv(large) @ scaled, np.linalg.inv(small) @ (u, v, 1.0), rtol=0, atol=1e-12)


def test_a_calibration_without_a_size_is_taken_to_fit():
    assert camera_info(width=0, height=0).intrinsics_of(64, 99, is_rectified=False)[0, 0] == 500


def test_a_cropped_image_is_refused():
    with pytest.raises(InputError, match="camera_info is for 640x480 but the image is 640x360"):
        camera_info().intrinsics_of(640, 360, is_rectified=False)


@pytest.mark.parametrize(
    "k",
    [
        (0.0,) * 9,
        (500.0, 0, 1, 0, -500.0, 1, 0, 0, 1),
        (np.nan, 0, 1, 0, 1, 1, 0, 0, 1),
        (500.0, 0, 1, 0, 500, 1, 0, 0, 0),
    ],
)
def test_an_uncalibrated_camera_is_refused(k):
    with pytest.raises(InputError, match="expected focal lengths above 0"):
        camera_info(k)


def test_another_number_of_numbers_is_refused():
    with pytest.raises(InputError, match="found 8 numbers in k, expected 9"):
        camera_info(K[:8])


def test_what_is_handed_out_can_be_changed_without_harm():
    calibration = camera_info()
    calibration.intrinsics_of(640, 480, is_rectified=False)[:] = 0
    assert calibration.intrinsics_of(640, 480, is_rectified=False)[0, 0] == 500


def test_the_book_finds_the_camera_of_the_image(tally):
    book = CalibrationBook(tally)
    assert book.intrinsics_of("/image", "left", 640, 480) is None and not tally.counts
    book.add(camera_info(frame_id="left"))
    book.add(camera_info((700.0, *K[1:]), frame_id="right"))
    assert book.intrinsics_of("/image", "left", 640, 480)[0, 0] == 500
    assert book.intrinsics_of("/image", "right", 640, 480)[0, 0] == 700
    assert book.intrinsics_of("/image", "", 640, 480)[0, 0] == 700
    assert book.intrinsics_of("/image", "rear", 640, 480) is None
    assert tally.counts == {"intrinsics_other_camera": 1}


def test_a_calibration_without_a_frame_serves_any_image(tally):
    book = CalibrationBook(tally)
    book.add(camera_info(frame_id=""))
    assert book.intrinsics_of("/image", "left", 640, 480) is not None


def test_the_newest_calibration_of_a_camera_holds(tally):
    book = CalibrationBook(tally)
    book.add(camera_info())
    book.add(camera_info((700.0, *K[1:])))
    assert book.intrinsics_of("/image", "camera", 640, 480)[0, 0] == 700


def test_the_book_is_bounded(tally):
    book = CalibrationBook(tally)
    for index in range(100):
        book.add(camera_info(frame_id="kept"))
        book.add(camera_info(frame_id=f"camera {index}"))
    assert book.intrinsics_of("/image", "kept", 640, 480) is not None
    assert book.intrinsics_of("/image", "camera 3", 640, 480) is None


@pytest.mark.parametrize(
    ("topic", "focal_length"),
    [("/camera/image_rect_color", 400), ("/camera/rect/image", 400), ("/direct/image_raw", 500)],
)
def test_a_topic_named_rect_is_rectified(topic, focal_length, tally):
    book = CalibrationBook(tally)
    book.add(camera_info(p=P))
    assert book.intrinsics_of(topic, "camera", 640, 480)[0, 0] == focal_length


def test_distortion_that_is_ignored_is_reported(tally):
    book = CalibrationBook(tally)
    book.add(camera_info(p=P, d=(0.1, 0.0)))
    book.intrinsics_of("/camera/image_rect", "camera", 640, 480)
    assert not tally.counts
    book.intrinsics_of("/camera/image_raw", "camera", 640, 480)
    assert tally.counts == {"distortion_ignored": 1}


def test_an_image_of_another_view_is_counted_and_has_no_intrinsics(tally):
    book = CalibrationBook(tally)
    book.add(camera_info())
    assert book.intrinsics_of("/image", "camera", 640, 360) is None
    assert tally.counts == {"intrinsics_other_view": 1}
