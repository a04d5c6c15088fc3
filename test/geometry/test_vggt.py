"""Chunks of predictions, each in a frame and scale of its own, come together in one world."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.geometry import (
    DepthElseVggt,
    DepthProvider,
    GeometryConfig,
    Sim3,
    VggtProvider,
    align_points,
    choose_provider,
)

INTRINSICS = np.array([[40.0, 0, 31.5], [0, 40, 23.5], [0, 0, 1]])
CONFIG = GeometryConfig(grid_width=16, chunk_frames=6, overlap_frames=2, max_depth_m=50.0)


def room_frames(num_frames):
    """Frames of a camera that turns (and walks) in a box of a room, with true depth; the image holds the number."""
    frames = []
    v, u = np.mgrid[0:48, 0:64]
    rays = np.stack([(u - 31.5) / 40, (v - 23.5) / 40, np.ones_like(u)], axis=-1)
    for number in range(num_frames):
        turn = 0.15 * number
        cos, sin = np.cos(turn), np.sin(turn)
        pose = np.eye(4)
        pose[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
        pose[:3, 3] = (0.1 * number, 0.02 * number, 0.3 * np.sin(number))
        directions, centre = rays @ pose[:3, :3].T, pose[:3, 3]
        walls = np.where(directions > 0, np.array([4, 1.5, 3]) - centre, np.array([-4, -1.2, -3]) - centre)
        depth = (walls / np.where(directions == 0, 1e-9, directions)).min(axis=-1)
        frames.append(
            Frame(
                image=np.full((48, 64, 3), number, np.uint8),
                stamp_ns=number,
                depth_m=depth.astype(np.float32),
                intrinsics=INTRINSICS,
                world_from_camera=pose,
                world_frame_id="odom",
            )
        )
    return frames


def without_pose(frames):
    return [Frame(image=frame.image, stamp_ns=frame.stamp_ns) for frame in frames]


class FakeVggt:
    """Predicts true geometry of `room_frames`, each chunk in a random frame of its own, with noise and outliers."""

    def __init__(self, frames, *, noise=0.01, outliers=0.3, seed=0):
        self.truth = DepthProvider(GeometryConfig(grid_width=64, max_depth_m=50.0)).point_maps(frames)
        self.frames, self.noise, self.outliers = frames, noise, outliers
        self.rng = np.random.default_rng(seed)
        self.chunks = []
        self.is_broken = False

    def __call__(self, images):
        numbers = images[:, 0, 0, 0]
        self.chunks.append(numbers.tolist())
        rng = self.rng
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        chunk_from_world = Sim3(
            rotation=q * np.sign(np.linalg.det(q)), translation=rng.normal(0, 2, 3), scale=float(rng.uniform(0.2, 5))
        )
        points = np.stack([self.truth[number].points for number in numbers]).astype(np.float64)
        points += rng.normal(0, self.noise, points.shape)
        wrong = rng.random(points.shape[:3]) < self.outliers
        points[wrong] = rng.uniform(-6, 6, (wrong.sum(), 3))
        if self.is_broken:
            points = rng.uniform(-6, 6, points.shape)
        poses = np.stack([self.frames[number].world_from_camera for number in numbers])
        rotation = chunk_from_world.rotation @ poses[:, :3, :3]
        centre = chunk_from_world.apply(poses[:, :3, 3])
        if self.is_broken:
            centre = rng.normal(size=centre.shape)
        camera_from_chunk = np.concatenate(
            [rotation.transpose(0, 2, 1), -rotation.transpose(0, 2, 1) @ centre[..., None]], axis=2
        )
        return SimpleNamespace(
            points=chunk_from_world.apply(points).astype(np.float32),
            confidence=rng.uniform(1, 3, points.shape[:3]).astype(np.float32),
            camera_from_world=camera_from_chunk.astype(np.float32),
        )


def worst_median_distance(maps, frames, *, fitted_on=0):
    """Compare maps with the truth after one similarity, found on the first few of them: the worst map's median, m."""
    truth = DepthProvider(CONFIG).point_maps(frames)
    source, target = ([point_map.points.reshape(-1, 3) for point_map in side] for side in (maps, truth))
    truth_from_world = Sim3.identity()
    if fitted_on:
        fitted = align_points(np.concatenate(source[:fitted_on]), np.concatenate(target[:fitted_on]))
        truth_from_world = fitted.target_from_source
    distances = [np.linalg.norm(truth_from_world.apply(a) - b, axis=1) for a, b in zip(source, target, strict=True)]
    return np.median(distances, axis=1).max()


def test_chunks_come_together_by_their_overlap():
    frames = room_frames(20)
    predict = FakeVggt(frames)
    provider = VggtProvider(predict, CONFIG)

    maps = provider.point_maps(without_pose(frames))

    assert worst_median_distance(maps, frames, fitted_on=6) < 0.06
    assert {(point_map.frame_id, point_map.is_metric) for point_map in maps} == {("vggt_1", False)}
    assert [report.aligned_by for report in provider.reports] == ["first", "overlap", "overlap", "overlap", "overlap"]
    assert predict.chunks[1] == [4, 5, 6, 7, 8, 9]


def test_one_call_or_many_align_alike():
    frames = room_frames(12)
    provider = VggtProvider(FakeVggt(frames), CONFIG)

    maps = [point_map for frame in without_pose(frames) for point_map in provider.point_maps([frame])]

    assert worst_median_distance(maps, frames, fitted_on=4) < 0.15  # each of 11 alignments adds some drift


def test_odometry_gives_the_world_and_the_scale():
    frames = room_frames(14)
    provider = VggtProvider(FakeVggt(frames), CONFIG)

    maps = provider.point_maps(frames)

    assert worst_median_distance(maps, frames) < 0.05
    assert {(point_map.frame_id, point_map.is_metric) for point_map in maps} == {("odom", True)}
    assert {report.aligned_by for report in provider.reports} == {"odometry"}


def test_a_camera_that_only_turns_keeps_world_and_scale_of_the_chunk_before():
    travelling = room_frames(6)
    turning = [
        dataclasses.replace(travelling[-1], image=np.full((48, 64, 3), number, np.uint8)) for number in range(6, 8)
    ]
    frames = travelling + turning
    config = dataclasses.replace(CONFIG, overlap_frames=1)
    provider = VggtProvider(FakeVggt(frames), config)

    maps = provider.point_maps(travelling) + provider.point_maps(turning)

    assert [report.aligned_by for report in provider.reports] == ["odometry", "overlap"]
    assert worst_median_distance(maps, frames) < 0.1
    assert {(point_map.frame_id, point_map.is_metric) for point_map in maps} == {("odom", True)}


def test_a_chunk_that_does_not_fit_is_reported_and_the_next_one_is_tried_on_the_same_overlap(caplog):
    frames = room_frames(14)
    predict = FakeVggt(frames)
    provider = VggtProvider(predict, CONFIG)
    hidden = without_pose(frames)
    first = provider.point_maps(hidden[:6])
    predict.is_broken = True

    failed = provider.point_maps(hidden[6:10])
    predict.is_broken = False
    later = provider.point_maps(hidden[10:14])

    assert failed == [None] * 4
    assert (provider.num_failures, [report.is_aligned for report in provider.reports]) == (1, [True, False, True])
    assert provider.reports[1].residual > CONFIG.max_residual
    assert "does not fit the world vggt_1 by overlap" in caplog.text
    assert predict.chunks[2][:2] == [4, 5]
    assert {point_map.frame_id for point_map in first + later} == {"vggt_1"}


def test_after_two_failures_a_new_world_begins():
    frames = room_frames(18)
    predict = FakeVggt(frames)
    provider = VggtProvider(predict, CONFIG)
    hidden = without_pose(frames)
    provider.point_maps(hidden[:6])
    predict.is_broken = True
    assert provider.point_maps(hidden[6:14]) == [None] * 8
    predict.is_broken = False

    maps = provider.point_maps(hidden[14:])

    assert {point_map.frame_id for point_map in maps} == {"vggt_2"}
    assert provider.reports[-1].aligned_by == "first"


def test_odometry_that_contradicts_the_prediction_is_reported():
    frames = room_frames(6)
    predict = FakeVggt(frames)
    predict.is_broken = True
    provider = VggtProvider(predict, CONFIG)

    assert provider.point_maps(frames) == [None] * 6
    assert (provider.reports[0].aligned_by, provider.reports[0].is_aligned) == ("odometry", False)


def test_another_image_size_begins_a_new_world():
    frames = without_pose(room_frames(8))
    provider = VggtProvider(FakeVggt(room_frames(8)), CONFIG)
    small = [Frame(image=frame.image[:24, :32], stamp_ns=frame.stamp_ns) for frame in frames[4:]]

    maps = provider.point_maps(frames[:4] + small)

    assert [point_map.frame_id for point_map in maps] == ["vggt_1"] * 4 + ["vggt_2"] * 4


def test_clearing_begins_a_new_world():
    frames = without_pose(room_frames(4))
    provider = VggtProvider(FakeVggt(room_frames(4)), CONFIG)
    provider.point_maps(frames[:2])

    provider.clear()

    assert provider.point_maps(frames[2:])[0].frame_id == "vggt_2"


def test_points_that_are_not_finite_are_marked():
    frames = without_pose(room_frames(2))
    predict = FakeVggt(room_frames(2), outliers=0.0)

    def with_hole(images):
        prediction = predict(images)
        prediction.points[0, :24] = np.inf
        return prediction

    maps = VggtProvider(with_hole, CONFIG).point_maps(frames)

    assert np.isnan(maps[0].points[:6]).all()
    assert (maps[0].confidence[:6] == 0).all()
    assert np.isfinite(maps[0].points[6:]).all()


def test_a_prediction_of_a_wrong_shape_is_named():
    def predict(images):
        return SimpleNamespace(
            points=np.zeros((1, 4, 4, 3), np.float32),
            confidence=np.zeros((1, 4, 4), np.float32),
            camera_from_world=np.zeros((1, 4, 4), np.float32),
        )

    with pytest.raises(InputError, match=r"cameras \[T,3,4\], not \[1, 4, 4, 3\], \[1, 4, 4\] and \[1, 4, 4\]"):
        VggtProvider(predict, CONFIG).point_maps(without_pose(room_frames(1)))


def test_no_frames_give_no_maps():
    assert VggtProvider(FakeVggt([]), CONFIG).point_maps([]) == []


@pytest.mark.parametrize(
    ("provider", "has_depth", "has_pose", "has_vggt", "expected"),
    [
        ("auto", True, True, True, "depth"),
        ("auto", True, False, True, "vggt"),
        ("auto", False, True, True, "vggt"),
        ("auto", True, False, False, None),
        ("auto", False, False, False, None),
        ("depth", True, True, False, "depth"),
        ("vggt", True, True, True, "vggt"),
        ("none", True, True, True, None),
    ],
)
def test_the_best_provider_that_the_inputs_allow_is_chosen(provider, has_depth, has_pose, has_vggt, expected):
    chosen = choose_provider(
        GeometryConfig(provider=provider),
        has_depth=has_depth,
        has_pose=has_pose,
        predict=FakeVggt([]) if has_vggt else None,
    )

    assert (None if chosen is None else chosen.name) == expected


@pytest.mark.parametrize(
    ("provider", "has_depth", "message"),
    [
        ("depth", False, "no depth with intrinsics and no poses"),
        ("depth", True, "there are no poses"),
        ("vggt", True, "geometry heads"),
    ],
)
def test_a_provider_asked_for_by_name_says_what_it_lacks(provider, has_depth, message):
    with pytest.raises(InputError, match=message):
        choose_provider(GeometryConfig(provider=provider), has_depth=has_depth, has_pose=False, predict=None)


def test_the_network_takes_over_where_depth_stays_away_until_it_comes():
    frames = room_frames(40)
    blind = [dataclasses.replace(frame, depth_m=None) for frame in frames]
    seen_by_network = []
    vggt = VggtProvider(FakeVggt(frames), CONFIG)
    vggt.point_maps = lambda new: seen_by_network.append(len(new)) or [None] * len(new)
    provider = DepthElseVggt(DepthProvider(CONFIG), vggt)

    assert provider.point_maps(blind[:29]) == [None] * 29
    assert (provider.name, seen_by_network) == ("depth", [])
    provider.point_maps(blind[29:31])
    assert (provider.name, seen_by_network) == ("vggt", [2])
    assert provider.point_maps(frames[31:32])[0] is not None
    assert provider.point_maps(blind[32:]) == [None] * 8  # lost on the way: the world stays that of depth
    assert (provider.name, seen_by_network) == ("depth", [2])
