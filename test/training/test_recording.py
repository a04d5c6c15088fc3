"""What the generated camera sees agrees with where things are; and the bag holds it as a robot would record it."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.frames import BagFile, Span, open_source
from spatial_mllm_ros.frames.bag import BagReader
from spatial_mllm_ros.geometry import unproject
from spatial_mllm_ros.training.scenes import RoomRenderer, make_room, make_tour, record_bag, room_truth
from spatial_mllm_ros.training.scenes.recording import RecordingPlan

DATA = Path(__file__).parents[1] / "data"
ROOM = make_room(11)
TOUR = make_tour(ROOM, 480, 30.0)


@pytest.fixture(scope="module")
def renderer():
    try:
        with RoomRenderer(ROOM, 160, 120) as renderer:
            yield renderer
    except DependencyError as error:
        pytest.skip(str(error))


def test_depth_and_pose_put_every_pixel_on_a_wall_or_in_a_box(renderer):
    for pose in TOUR[::60]:
        view = renderer.view(pose)
        points = unproject(view.depth_m, renderer.intrinsics, pose)
        half = np.array([ROOM.length, ROOM.width]) / 2
        assert (np.abs(points[..., :2]) <= half + 0.02).all()
        assert points[..., 2].min() > -0.02 and points[..., 2].max() < ROOM.height + 0.02
        for index in set(np.unique(view.furniture)) - {-1}:
            piece = ROOM.furniture[index]
            seen = points[view.furniture == index]
            c, s = np.cos(piece.yaw), np.sin(piece.yaw)
            local = (seen[:, :2] - piece.centre) @ np.array([[c, -s], [s, c]])
            inside = (np.abs(local) <= np.array(piece.size[:2]) / 2 + 0.03).all(axis=1)
            assert inside.mean() > 0.95, piece.category  # pixels at an edge may mix two surfaces


def test_views_are_pictures_not_plain_colour(renderer):
    images = [renderer.image(pose) for pose in TOUR[::80]]
    assert min(image.std() for image in images) > 8
    assert np.abs(images[0].astype(int) - images[3]).mean() > 10


def test_bag_gives_back_what_was_rendered(renderer, tmp_path):
    plan = RecordingPlan(width=160, height=120, depth_every=2, depth_divisor=2, jpeg_quality=95)
    record_bag(ROOM, TOUR[:4], tmp_path / "bag", plan)
    frames = list(open_source(tmp_path / "bag"))
    assert len(frames) == 4
    assert np.allclose(frames[2].world_from_camera, TOUR[2], atol=1e-6)
    assert np.allclose(frames[2].intrinsics, renderer.intrinsics)
    assert np.abs(frames[2].image.astype(int) - renderer.image(TOUR[2])).mean() < 4
    assert frames[2].depth_m.shape == (60, 80)
    assert np.abs(frames[2].depth_m - renderer.depth(TOUR[2])[::2, ::2]).mean() < 0.1


def test_bag_is_never_written_over(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        record_bag(ROOM, TOUR[:1], tmp_path)


def test_sample_bag_is_the_one_the_docs_say_how_to_make(renderer):
    truth = json.loads((DATA / "sample_room.json").read_text())
    assert truth == json.loads(json.dumps(room_truth(ROOM)))
    frames = list(BagReader(DATA / "sample_bag", Span(stride=120)))
    with RoomRenderer(ROOM, 320, 240) as large:
        for index, frame in enumerate(frames):
            rendered = large.image(TOUR[120 * index])
            assert np.abs(frame.image.astype(int) - rendered).mean() < 8


def test_sample_bag_is_small_and_thirty_hertz():
    path = DATA / "sample_bag"
    assert sum(file.stat().st_size for file in path.iterdir()) < 6_000_000
    with BagFile(path) as bag:
        counts = {topic.name: topic.count for topic in bag.topics}
        assert counts["/camera/color/image_raw/compressed"] == 480 == counts["/odom"]
        assert bag.length_s == pytest.approx(479 / 30, abs=0.01)
