"""A bag holds what was rendered as a robot would record it; the sample bag is the one that the docs say how to make."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import BagFile, Span, open_source
from spatial_mllm_ros.frames.bag import BagReader
from spatial_mllm_ros.training.scenes import (
    RecordingPlan,
    RoomConfig,
    RoomRenderer,
    TourConfig,
    make_room,
    make_tour,
    questions_from_truth,
    record_bag,
    room_truth,
    save_arrays,
)
from spatial_mllm_ros.training.scenes.question import KINDS
from spatial_mllm_ros.training.scenes.rendering import render_tour

DATA = Path(__file__).parents[2] / "data"
SAMPLE_ROOM = (282, RoomConfig(style="natural"))
SAMPLE_TOUR = TourConfig(frames=600, seconds=20.0, dwell_share=0.4)


@pytest.fixture(scope="module")
def drive():
    room = make_room(3)
    return room, make_tour(room, TourConfig(frames=8, seconds=2.0))


def test_bag_gives_back_what_was_rendered(renderer, drive, tmp_path):
    room, tour = drive
    written = []
    plan = RecordingPlan(depth_every=2, depth_divisor=2, jpeg_quality=95)
    record_bag(room, tour, tmp_path / "bag", renderer, plan, written.append)
    assert written == list(range(8))
    frames = list(open_source(tmp_path / "bag"))
    assert len(frames) == 8
    stamps = np.array([frame.stamp_ns for frame in frames])
    assert np.allclose(np.diff(stamps), 0.25e9)
    for index in (0, 2, 6):
        frame = frames[index]
        assert frame.frame_id == "camera_color_optical_frame" and frame.world_frame_id == "odom"
        assert np.allclose(frame.world_from_camera, tour.world_from_camera[index], atol=1e-6)
        assert np.allclose(frame.intrinsics, renderer.intrinsics)
        assert np.abs(frame.image.astype(int) - renderer.image(tour.world_from_camera[index])).mean() < 4
        depth_m, _ = renderer.geometry(tour.world_from_camera[index], 2)
        assert np.abs(frame.depth_m - depth_m).max() <= 0.0006  # millimetres


def test_bag_is_what_rosbag2_of_humble_plays(renderer, drive, tmp_path):
    record_bag(*drive, tmp_path / "bag", renderer)
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "storage_identifier: sqlite3" in text and "compression_format: ''" in text
    with BagFile(tmp_path / "bag") as bag:
        assert {(topic.name, topic.type) for topic in bag.topics} == {
            ("/camera/color/image_raw/compressed", "sensor_msgs/msg/CompressedImage"),
            ("/camera/color/camera_info", "sensor_msgs/msg/CameraInfo"),
            ("/camera/aligned_depth_to_color/image_raw", "sensor_msgs/msg/Image"),
            ("/odom", "nav_msgs/msg/Odometry"),
        }


def test_nothing_is_written_over_and_sizes_must_divide(renderer, drive, tmp_path):
    room, tour = drive
    with pytest.raises(InputError, match="exists already"):
        record_bag(room, tour, tmp_path, renderer)
    with pytest.raises(InputError, match="160x120 cannot be divided by 7"):
        record_bag(room, tour, tmp_path / "bag", renderer, RecordingPlan(depth_divisor=7))
    with pytest.raises(InputError, match="exists already"):
        save_arrays(tmp_path, room, None)


def test_arrays_give_back_what_was_rendered(renderer, drive, tmp_path):
    room, tour = drive
    rendered = render_tour(room, tour, renderer)
    save_arrays(tmp_path / "arrays", room, rendered)
    with np.load(tmp_path / "arrays" / "frames.npz") as arrays:
        assert np.array_equal(arrays["images"], rendered.images)
        assert np.abs(arrays["depth_mm"] / 1000 - rendered.depth_m).max() <= 0.0006
        assert np.array_equal(arrays["furniture"], rendered.furniture)
        assert np.array_equal(arrays["world_from_camera"], tour.world_from_camera)
    truth = json.loads((tmp_path / "arrays" / "room.json").read_text())
    assert truth == json.loads(json.dumps(room_truth(room)))
    assert [entry["category"] for entry in truth["objects"]] == [piece.category for piece in room.furniture]


def test_sample_room_is_the_one_the_docs_say_how_to_make():
    truth = json.loads((DATA / "sample_room.json").read_text())
    made = json.loads(json.dumps(room_truth(make_room(*SAMPLE_ROOM))))
    assert {**truth, "questions": []} == made
    assert len(truth["questions"]) >= 8 and {entry["kind"] for entry in truth["questions"]} >= {"object_counting"}


def test_sample_bag_shows_the_sample_room(renderer):
    room = make_room(*SAMPLE_ROOM)
    tour = make_tour(room, SAMPLE_TOUR)
    frames = list(BagReader(DATA / "sample_bag", Span(stride=150)))
    with RoomRenderer(320, 240) as camera:
        camera.show(room)
        for index, frame in enumerate(frames):
            assert np.allclose(frame.world_from_camera, tour.world_from_camera[150 * index], atol=1e-6)
            rendered = camera.image(tour.world_from_camera[150 * index])
            assert np.abs(frame.image.astype(int) - rendered).mean() < 8


def test_sample_bag_is_small_and_thirty_hertz():
    path = DATA / "sample_bag"
    assert sum(file.stat().st_size for file in path.iterdir()) < 6_000_000
    with BagFile(path) as bag:
        counts = {topic.name: topic.count for topic in bag.topics}
        assert counts["/camera/color/image_raw/compressed"] == 600 == counts["/odom"]
        assert bag.length_s == pytest.approx(599 / 30, abs=0.01)


def test_the_sample_rooms_questions_are_read_with_their_answers(tmp_path):
    questions = questions_from_truth(DATA / "sample_room.json")
    assert {question.kind for question in questions} == set(KINDS)
    assert all(question.chosen in question.prompt for question in questions if question.options)
    for text in ("{", '{"questions": [{"kind": "object_counting"}]}', "[]"):
        (tmp_path / "room.json").write_text(text)
        with pytest.raises(InputError, match=r"room\.json does not hold questions"):
            questions_from_truth(tmp_path / "room.json")
    with pytest.raises(InputError, match=r"absent\.json"):
        questions_from_truth(tmp_path / "absent.json")
