import cv2
import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Span, VideoReader

RATE_HZ = 12.5
CODEC_TOLERANCE = 8  # of 255, for flat colours


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Twenty frames at 12.5 Hz: red grows by 10 a frame, blue is 200."""
    path = tmp_path_factory.mktemp("video") / "tour.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE_HZ, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write MJPG in AVI")
    for index in range(20):
        writer.write(np.full((48, 64, 3), (200, 0, 10 * index), np.uint8))
    writer.release()
    return path


def indices(frames):
    return [round(float(frame.image[..., 0].mean()) / 10) for frame in frames]


def test_a_video_gives_rgb_frames_with_the_times_of_the_file(video):
    reader = VideoReader(video)
    assert reader.len_hint == 20 and reader.name == "tour.avi"
    frames = list(reader)
    assert indices(frames) == list(range(20))
    assert [frame.stamp_ns for frame in frames] == [index * 80_000_000 for index in range(20)]
    assert np.abs(frames[0].image.reshape(-1, 3).mean(0) - (0, 0, 200)).max() <= CODEC_TOLERANCE
    assert {frame.camera for frame in frames} == {"tour.avi"}
    assert reader.counts == {"frames": 20}


def test_a_span_takes_its_part(video):
    reader = VideoReader(video, Span(start_s=0.4, duration_s=0.8, stride=4), camera="phone")
    frames = list(reader)
    assert indices(frames) == [5, 9, 13] and reader.len_hint == 3
    assert frames[0].stamp_ns == 400_000_000 and frames[0].camera == "phone"


def test_times_always_increase(video, monkeypatch):
    reader = VideoReader(video)
    told = iter([0.0, 80.0, 80.0, 0.0, 300.0])
    capture = reader._capture

    class Forgetful:
        def get(self, key):
            return next(told, 0.0) if key == cv2.CAP_PROP_POS_MSEC else capture.get(key)

        def __getattr__(self, name):
            return getattr(capture, name)

    reader._capture = Forgetful()
    stamps = [frame.stamp_ns for frame in reader]
    assert stamps[:5] == [0, 80_000_000, 160_000_000, 240_000_000, 300_000_000]
    assert (np.diff(stamps) > 0).all()


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "tour.mp4"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(InputError, match=r"tour\.mp4: OpenCV cannot open this video"):
        VideoReader(path)


def test_a_video_that_is_cut_off_gives_what_it_has_and_a_warning(video, tmp_path, caplog):
    path = tmp_path / "tour.avi"
    whole = video.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        reader = VideoReader(path)
        frames = list(reader)
    except InputError:
        return  # an OpenCV that does not open it at all says so
    assert 0 < len(frames) < 20 and indices(frames) == list(range(len(frames)))


def test_a_reader_can_be_closed_early(video):
    with VideoReader(video) as reader:
        next(reader)
    assert list(reader) == []
