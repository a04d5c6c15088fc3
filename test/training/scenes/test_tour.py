"""Tours: rigid poses of a robot that keeps clear, keeps its speed, and dwells as long as it is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes import RoomConfig, TourConfig, make_room, make_tour

seeds = st.integers(0, 100_000)


def _turned_deg(poses):
    cosines = (np.einsum("tij,tij->t", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.3, 0.6]))
def test_tour_keeps_clear_and_moves_like_a_robot(seed, dwell_share):
    room = make_room(seed)
    config = TourConfig(frames=200, seconds=20.0, dwell_share=dwell_share)
    tour = make_tour(room, config)
    poses = tour.world_from_camera
    assert poses.shape == (200, 4, 4) and len(tour) == 200
    assert np.allclose(poses[:, :3, :3].transpose(0, 2, 1) @ poses[:, :3, :3], np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(poses[:, :3, :3]), 1) and np.array_equal(
        poses[:, 3], np.tile([0, 0, 0, 1], (200, 1))
    )
    assert room.floor_map().clearance(poses[:, :2, 3]).min() >= 0.15
    assert np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1).max() < 0.6 * 0.1 + 0.005  # 0.6 m/s at 10 Hz
    assert _turned_deg(poses).max() < np.degrees(1.0 * 0.1) + 2  # 1 rad/s, and the sway
    assert np.allclose(poses[:, 2, 3], 1.0, atol=0.02)


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(0.3, 0.65))
def test_tour_dwells_as_long_as_it_is_told(seed, share):
    tour = make_tour(make_room(seed), TourConfig(frames=300, seconds=30.0, dwell_share=share))
    start, stop = tour.dwell
    assert stop - start == pytest.approx(share * 300, abs=2)
    places = tour.world_from_camera[start + 1 : stop - 1, :2, 3]
    assert np.ptp(places, axis=0).max() < 1e-9


def test_drawn_dwell_lies_between_thirty_and_sixty_five_per_cent():
    shares = []
    for seed in range(20):
        start, stop = make_tour(make_room(seed), TourConfig(frames=100)).dwell
        shares.append((stop - start) / 100)
    assert 0.28 <= min(shares) < 0.42 and 0.5 < max(shares) <= 0.67


@pytest.mark.parametrize(("frames", "seconds"), [(64, 25.0), (96, 30.0), (256, 60.0)])
def test_neighbouring_frames_overlap(frames, seconds):
    for seed in range(5):
        tour = make_tour(make_room(seed), TourConfig(frames=frames, seconds=seconds))
        assert _turned_deg(tour.world_from_camera).max() < 26  # of a field of view of 75 degrees
        assert np.linalg.norm(np.diff(tour.world_from_camera[:, :3, 3], axis=0), axis=1).max() < 0.25


def test_camera_looks_ahead_and_a_little_down_with_its_image_upright():
    poses = make_tour(make_room(1), TourConfig(frames=40, sway=0.0, pitch_deg=9.0)).world_from_camera
    assert np.allclose(poses[:, 2, 0], 0)  # image x is level
    assert np.allclose(poses[:, 2, 2], -np.sin(np.radians(9)))
    assert (poses[:, 2, 1] < -0.9).all()  # image y points down


def test_another_seed_drives_another_tour_through_the_same_room():
    room = make_room(2)
    first, again, other = make_tour(room), make_tour(room), make_tour(room, seed=1)
    assert np.array_equal(first.world_from_camera, again.world_from_camera)
    assert not np.allclose(first.world_from_camera, other.world_from_camera)


def test_tour_sees_most_of_the_furniture():
    shares = []
    for seed in range(12):
        room = make_room(seed, RoomConfig(style="natural"))
        poses = make_tour(room, TourConfig(frames=150, seconds=30.0)).world_from_camera
        centres = np.array([piece.centre for piece in room.furniture])
        local = np.einsum("tij,tnj->tni", poses[:, :3, :3].transpose(0, 2, 1), centres[None] - poses[:, None, :3, 3])
        ahead = np.abs(np.arctan2(local[..., 0], local[..., 2])) < np.radians(35)
        shares.append(ahead.any(0).mean())
    assert np.mean(shares) > 0.9


def test_impossible_tour_is_refused():
    with pytest.raises(InputError, match="frames must lie in"):
        TourConfig(frames=1)
