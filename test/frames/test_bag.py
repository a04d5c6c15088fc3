import dataclasses
import itertools
import operator
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags are read with the library rosbags, which is not installed")

from support import recorded_bags as bags

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.frames import AssemblerConfig, BagReader, Frame, Span

SAMPLE_BAG = Path(__file__).parents[1] / "data" / "sample_bag"


def bag_file(folder: Path) -> Path:
    """The one storage file in a bag folder."""
    return next(entry for entry in folder.iterdir() if entry.suffix in (".db3", ".mcap"))


def indices(frames: list[Frame]) -> list[int]:
    """Which pictures of the tour these are, by their colour."""
    return [int(frame.image[0, 0, 0]) // 5 for frame in frames]


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("storage", bags.STORAGES)
def test_a_bag_gives_complete_frames_from_either_storage(tmp_path, storage, is_compressed):
    reader = BagReader(bags.write_bag(tmp_path / "tour", bags.tour(10, is_compressed=is_compressed), storage))
    assert reader.len_hint == operator.length_hint(reader) == 10 and reader.name == "tour"
    frames = list(reader)
    assert indices(frames) == list(range(10))
    for index, frame in enumerate(frames):
        assert frame.stamp_ns == bags.BEGIN_NS + index * 100_000_000
        assert (frame.camera, frame.frame_id) == ("/camera/color/image_raw", "optical")
        assert frame.world_frame_id == "odom" and frame.world_from_camera[0, 3] == index
        assert frame.intrinsics.reshape(-1).tolist() == list(bags.K)
        np.testing.assert_allclose(frame.depth_m, 1 + index / 1000, rtol=1e-6)
    assert reader.counts == {"frames": 10, "with_depth": 10, "with_intrinsics": 10, "with_pose": 10}


@pytest.mark.parametrize("storage", bags.STORAGES)
def test_a_storage_file_alone_gives_the_same_frames_as_its_folder(tmp_path, storage):
    folder = bags.write_bag(tmp_path / "tour", bags.tour(4), storage)
    alone = list(BagReader(bag_file(folder)))
    for frame, expected in zip(alone, BagReader(folder), strict=True):
        assert frame.stamp_ns == expected.stamp_ns
        np.testing.assert_array_equal(frame.image, expected.image)
        np.testing.assert_array_equal(frame.world_from_camera, expected.world_from_camera)


def test_a_span_reads_its_part_with_the_calibration_from_before(tmp_path):
    path = bags.write_bag(tmp_path / "tour", bags.tour(20))
    reader = BagReader(path, Span(start_s=0.5, duration_s=1.0, stride=3))
    frames = list(reader)
    assert indices(frames) == [5, 8, 11, 14]
    assert all(frame.intrinsics is not None and frame.depth_m is not None for frame in frames)
    assert abs(reader.len_hint - 4) <= 1


def test_images_between_strides_are_not_decoded(tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr("spatial_mllm_ros.frames.bag._colour", lambda fields: decoded.append(1) or bags.picture(0))
    path = bags.write_bag(tmp_path / "tour", bags.tour(9))
    assert len(list(BagReader(path, Span(stride=4)))) == len(decoded) == 3


def test_messages_that_cannot_be_decoded_are_skipped_counted_and_said_once(tmp_path, caplog):
    stored = bags.tour(6)
    for index in (1, 3):
        at = next(n for n, entry in enumerate(stored) if entry.time_s == index / 10 and "/color/image" in entry.topic)
        stored[at] = bags.image(stored[at].topic, stored[at].time_s, bags.picture(index), step=7)
    at = next(n for n, entry in enumerate(stored) if entry.time_s == 0.2 and "/color/image" in entry.topic)
    stored[at] = dataclasses.replace(stored[at], message=b"\x00\x01\x00\x00garbage")
    reader = BagReader(bags.write_bag(tmp_path / "tour", stored))
    assert indices(list(reader)) == [0, 4, 5]
    assert reader.counts["frames"] == 3 and reader.counts["image_unreadable"] == 3
    assert len(caplog.records) == 1 and "found step 7, expected at least 32 pixels x 3 bytes" in caplog.text


def test_other_readings_that_cannot_be_decoded_leave_the_image(tmp_path):
    stored = [
        entry if "/color/image" in entry.topic else dataclasses.replace(entry, message=b"\x00\x01\x00\x00")
        for entry in bags.tour(3)
    ]
    path = bags.write_bag(tmp_path / "tour", stored)
    reader = BagReader(path, depth_topic="/camera/aligned_depth_to_color/image_raw")
    frames = list(reader)
    assert len(frames) == 3
    for frame in frames:
        assert frame.depth_m is None and frame.intrinsics is None and frame.world_from_camera is None
    assert reader.counts["depth_unreadable"] == reader.counts["pose_unreadable"] == 3
    assert reader.counts["camera_info_unreadable"] == 2  # once as the first of the bag, once in its place


def test_an_image_without_a_stamp_gets_the_time_of_recording(tmp_path):
    stored = bags.image("/image", 0.5, bags.picture(0))
    stored.message.header.stamp.sec = stored.message.header.stamp.nanosec = 0
    (frame,) = BagReader(bags.write_bag(tmp_path / "bag", [stored]))
    assert frame.stamp_ns == bags.BEGIN_NS + 500_000_000
    assert frame.depth_m is None and frame.intrinsics is None and frame.world_from_camera is None


def test_poses_without_covariance_and_compressed_depth_are_read(tmp_path):
    depth_mm = np.full((bags.HEIGHT, bags.WIDTH), 1500, np.uint16)
    stored = [
        bags.pose_stamped("/pose", 0.0, 7.0),
        bags.image("/camera/image_raw", 0.0, bags.picture(1)),
        bags.compressed("/camera/depth/image/compressed", 0.0, depth_mm, "16UC1; png compressed "),
    ]
    (frame,) = BagReader(bags.write_bag(tmp_path / "bag", stored))
    assert frame.world_from_camera[0, 3] == 7.0 and frame.world_frame_id == "map"
    np.testing.assert_allclose(frame.depth_m, 1.5)


def test_the_camera_mount_reaches_the_frames(tmp_path):
    stored = [bags.odometry("/odom", 0.0, 2.0, "base_link"), bags.image("/image", 0.0, bags.picture(0))]
    path = bags.write_bag(tmp_path / "bag", stored)
    (frame,) = BagReader(path, assembler=AssemblerConfig(camera_mount="1 0 0 0 0 0"))
    assert frame.world_from_camera[:3, 3].tolist() == [3, 0, 0]


def test_two_cameras_ask_for_a_choice_and_a_choice_is_taken(tmp_path):
    stored = [bags.image(f"/{side}/image_raw", 0.0, bags.picture(n)) for n, side in enumerate(("left", "right"))]
    path = bags.write_bag(tmp_path / "bag", stored)
    with pytest.raises(InputError, match=r"bag: this bag has several cameras.*/left/image_raw .*/right/image_raw"):
        BagReader(path)
    (frame,) = BagReader(path, topic="/right/image_raw", camera="right")
    assert frame.camera == "right" and indices([frame]) == [1]


def test_a_bag_without_images_lists_its_topics(tmp_path):
    path = bags.write_bag(tmp_path / "bag", [bags.odometry("/odom", 0.0, 0.0)])
    with pytest.raises(
        InputError, match=r"no topic with colour images; its topics are /odom \(nav_msgs/msg/Odometry\)"
    ):
        BagReader(path)


@pytest.mark.parametrize("storage", bags.STORAGES)
def test_a_bag_of_garbage_is_refused(tmp_path, storage):
    folder = bags.write_bag(tmp_path / "tour", bags.tour(3), storage)
    bag_file(folder).write_bytes(bytes(range(256)) * 40)
    for path in (folder, bag_file(folder)):
        with pytest.raises(InputError, match="cannot be opened"):
            BagReader(path)


def test_a_damaged_metadata_file_is_refused(tmp_path):
    folder = bags.write_bag(tmp_path / "tour", bags.tour(3))
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: [1, 2")
    with pytest.raises(InputError, match="cannot be opened"):
        BagReader(folder)


@pytest.mark.parametrize("storage", bags.STORAGES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_bag_that_is_cut_off_gives_whole_frames_or_is_refused(tmp_path, storage, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, bags.HEIGHT, bags.WIDTH, 3), np.uint8)
    stored = [bags.image("/image", index / 10, image) for index, image in enumerate(noise)]
    folder = bags.write_bag(tmp_path / "tour", stored, storage)
    whole = bag_file(folder).read_bytes()
    bag_file(folder).write_bytes(whole[: int(share * len(whole))])
    for path in (folder, bag_file(folder)):
        try:
            frames = list(BagReader(path))
        except InputError:
            continue
        for frame, image in zip(frames, noise, strict=False):
            np.testing.assert_array_equal(frame.image, image)


def test_damage_behind_the_first_frames_is_a_warning(tmp_path, monkeypatch, caplog):
    reader = BagReader(bags.write_bag(tmp_path / "tour", bags.tour(10)))
    messages = reader._bag.messages

    def damaged(topics, **limits):
        yield from itertools.islice(messages(topics, **limits), 15)
        raise InputError("this bag is damaged")

    monkeypatch.setattr(reader._bag, "messages", damaged)
    assert len(list(reader)) == 5
    assert reader.counts["cut_off"] == 1 and "damaged (after 4 frames" in caplog.text


def test_a_reader_closes_itself_and_can_be_closed_early(tmp_path):
    path = bags.write_bag(tmp_path / "tour", bags.tour(5))
    with BagReader(path) as reader:
        assert indices([next(reader)]) == [0]
    assert list(reader) == []
    whole = BagReader(path)
    assert len(list(whole)) == 5 and list(whole) == []
    whole.close()


def test_without_rosbags_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    with pytest.raises(DependencyError, match="pip install rosbags"):
        BagReader(tmp_path)


@pytest.mark.skipif(not SAMPLE_BAG.is_dir(), reason="the sample bag has not been generated")
def test_the_sample_bag_gives_frames_with_depth_intrinsics_and_pose():
    reader = BagReader(SAMPLE_BAG, Span(stride=6))  # the depth camera is six times slower
    frames = list(reader)
    assert len(frames) == reader.len_hint
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps))
    for frame in frames:
        assert frame.depth_m is not None and frame.intrinsics is not None and frame.world_frame_id == "odom"
        assert frame.world_from_camera is not None
    assert set(reader.counts) == {"frames", "with_depth", "with_intrinsics", "with_pose"}
