import cv2
import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import AssemblerConfig, BagReader, FolderReader, VideoReader, open_source


def write_images(path, count=3):
    path.mkdir()
    for index in range(count):
        cv2.imwrite(str(path / f"{index}.png"), np.full((4, 6, 3), index, np.uint8))
    return path


def write_video(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_a_folder_of_images_is_opened(tmp_path):
    reader = open_source(str(write_images(tmp_path / "photos")), rate_hz=2.0, stride=2, camera="phone")
    assert isinstance(reader, FolderReader)
    assert [(frame.stamp_ns, frame.camera) for frame in reader] == [(0, "phone"), (1_000_000_000, "phone")]


def test_a_video_is_opened_whatever_the_case_of_its_suffix(tmp_path):
    path = write_video(tmp_path / "tour.avi").rename(tmp_path / "tour.AVI")
    assert isinstance(open_source(path), VideoReader)


def test_bags_are_opened_as_folder_as_file_and_as_folder_without_metadata(tmp_path):
    pytest.importorskip("rosbags", reason="bags are read with the library rosbags, which is not installed")
    from support import recorded_bags as bags

    folder = bags.write_bag(tmp_path / "tour", bags.tour(3), "mcap")
    assert len(list(open_source(folder, topic="/camera/color/image_raw", assembler=AssemblerConfig()))) == 3
    assert len(list(open_source(folder / "tour.mcap", duration_s=0.15))) == 2
    (folder / "metadata.yaml").unlink()
    reader = open_source(folder)
    assert isinstance(reader, BagReader) and len(list(reader)) == 3
    (folder / "other.mcap").write_bytes(b"")
    with pytest.raises(InputError, match="found 2 bag files but no metadata.yaml; run `ros2 bag reindex`"):
        open_source(folder)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        open_source(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", r"found a file that ends in '\.txt', expected a ROS 2 bag \(a folder, \.mcap, \.db3\), a video"),
        ("old.bag", r"ROS 1 bag, convert it with `rosbags-convert"),
        ("photo.JPG", r"give the folder that holds the images"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / name)


def test_arguments_of_another_kind_of_source_are_refused(tmp_path):
    photos = write_images(tmp_path / "photos")
    with pytest.raises(InputError, match="is a folder of images, which has no topic, depth_topic; leave that out"):
        open_source(photos, topic="/image", depth_topic="")
    with pytest.raises(InputError, match="is a video, which has no rate_hz"):
        open_source(write_video(tmp_path / "tour.avi"), rate_hz=5.0)


def test_a_wrong_span_is_refused(tmp_path):
    with pytest.raises(InputError, match="stride must be at least 1"):
        open_source(write_images(tmp_path / "photos"), stride=0)
