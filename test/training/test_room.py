"""Rooms are drawn from their seed, and everything in them stands where a robot and a person would expect it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.catalogue import AGAINST_WALL, CATALOGUE
from spatial_mllm_ros.training.scenes.room import _overlap, is_free, make_room
from spatial_mllm_ros.training.scenes.shapes import extents
from spatial_mllm_ros.training.scenes.tour import make_tour

seeds = st.integers(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_furniture_stands_in_the_room_and_apart(seed):
    room = make_room(seed)
    assert room.furniture
    for index, piece in enumerate(room.furniture):
        assert (np.abs(piece.corners()) <= np.array([room.length, room.width]) / 2 + 1e-9).all()
        assert piece.size[2] < room.height
        assert not any(_overlap(piece.corners(), other.corners()) for other in room.furniture[:index])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_piece_fills_its_box(seed):
    for piece in make_room(seed).furniture:
        low, high = extents(piece.parts)
        corners = piece.corners()
        assert (low[:2] >= corners.min(0) - 0.06).all() and (high[:2] <= corners.max(0) + 0.06).all()
        assert high[2] == pytest.approx(piece.size[2])


def test_the_same_seed_gives_the_same_room_and_tour():
    first, second, other = make_room(5), make_room(5), make_room(6)
    assert [p.centre for p in first.furniture] == [p.centre for p in second.furniture]
    assert [p.centre for p in first.furniture] != [p.centre for p in other.furniture]
    assert np.array_equal(make_tour(first, 60, 10.0), make_tour(second, 60, 10.0))


def test_every_category_is_drawn_sooner_or_later():
    seen = {piece.category for seed in range(20) for piece in make_room(seed).furniture}
    assert seen == set(CATALOGUE) and len(CATALOGUE) >= 12


def test_what_belongs_at_a_wall_looks_into_the_room():
    for seed in range(10):
        room = make_room(seed)
        for piece in room.furniture:
            if piece.category in AGAINST_WALL:
                ahead = np.array([np.cos(piece.yaw), np.sin(piece.yaw)])
                front = np.array(piece.centre) + 0.3 * ahead
                back = np.array(piece.centre) - (piece.size[0] / 2 + 0.1) * ahead
                assert (np.abs(front) < np.array([room.length, room.width]) / 2).all()
                assert (np.abs(back) > np.array([room.length, room.width]) / 2).any()


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_tour_keeps_clear_of_walls_and_furniture_and_moves_like_a_robot(seed):
    room = make_room(seed)
    tour = make_tour(room, 200, 10.0)
    assert tour.shape == (200, 4, 4)
    for pose in tour:
        assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3)) and np.linalg.det(pose[:3, :3]) > 0
        assert is_free(room, pose[0, 3], pose[1, 3], 0.25)
    assert np.linalg.norm(np.diff(tour[:, :3, 3], axis=0), axis=1).max() < 0.12  # 0.5 m/s at 10 Hz, and a rounded step


def test_tour_dwells_as_long_as_it_is_told():
    room = make_room(3)
    tour = make_tour(room, 300, 10.0, dwell_share=0.5)
    steps = np.linalg.norm(np.diff(tour[:, :3, 3], axis=0), axis=1)
    assert (steps < 0.005).sum() >= 150 - 2


def test_camera_is_level_but_for_its_pitch():
    tour = make_tour(make_room(1), 20, 10.0)
    assert np.allclose(tour[:, 2, 0], 0)  # image x is level
    assert (tour[:, 2, 2] < 0).all() and (tour[:, 2, 1] < 0).all()  # looks down a little, image y points down


@pytest.mark.parametrize("arguments", [(-1, 12), (0, 0)])
def test_impossible_room_is_refused(arguments):
    with pytest.raises(InputError, match="seed of at least 0"):
        make_room(*arguments)
