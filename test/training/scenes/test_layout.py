"""Rooms are drawn from their seed; everything in them stands inside, apart, and leaves a robot room to drive."""

import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes import CATALOGUE, RoomConfig, make_room
from spatial_mllm_ros.training.scenes.footprints import area_of, is_overlapping
from spatial_mllm_ros.training.scenes.furniture import looks_of
from spatial_mllm_ros.training.scenes.layout import BALANCED_LONGEST_M, ROBOT_RADIUS_M
from spatial_mllm_ros.training.scenes.shell import walls_of

configs = st.builds(
    RoomConfig, split=st.sampled_from(["train", "heldout"]), style=st.sampled_from(["natural", "balanced"])
)
seeds = st.integers(0, 100_000)


@pytest.mark.parametrize("style", ["natural", "balanced"])
def test_rooms_are_furnished(style):
    counts = [len(make_room(seed, RoomConfig(style=style)).furniture) for seed in range(20)]
    assert np.median(counts) >= 6


@settings(max_examples=40, deadline=None)
@given(seeds, configs)
def test_furniture_stands_in_the_room_and_apart(seed, config):
    room = make_room(seed, config)
    assert len(room.furniture) >= 3  # one balanced room in 250 has no place for a fourth piece
    walls = walls_of(room.outline)
    for index, piece in enumerate(room.furniture):
        assert piece.size[2] < room.height and piece.centre[2] == piece.size[2] / 2
        assert not any(is_overlapping(piece.corners(), other.corners()) for other in room.furniture[:index])
        for corner in piece.corners():
            assert _is_inside(room.outline, corner)
        for wall in walls:  # no wall goes through a piece, as the inner corner of an L could
            offset = piece.corners() - wall.middle
            ahead, along = offset @ wall.inward, offset @ wall.right
            crosses = ahead.min() < 0 < ahead.max() and np.abs(along).min() < wall.length / 2
            assert not crosses or not _is_cut(piece.corners(), wall)


def _is_inside(outline, point):
    """Ray casting: an odd number of edges lies to the right of the point."""
    x, y = point
    crossings = 0
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0)):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            crossings += 1
    return crossings % 2 == 1


def _is_cut(corners, wall):
    ends = np.stack([wall.middle - wall.right * wall.length / 2, wall.middle + wall.right * wall.length / 2])
    return is_overlapping(corners, ends)


@settings(max_examples=25, deadline=None)
@given(seeds, configs)
def test_robot_can_drive_and_doors_can_open(seed, config):
    room = make_room(seed, config)
    places = room.floor_map().standing_places(ROBOT_RADIUS_M)
    assert len(places) * 0.05**2 > 0.15 * room.area_m2
    for door in [opening for opening in room.openings if opening.kind == "door"]:
        wall = walls_of(room.outline)[door.wall]
        before = wall.at(wall.length / 2 - door.middle, 0.45, 0.0)[:2]
        clearance = room.floor_map().clearance(before[None])[0]
        assert clearance > 0.3


@settings(max_examples=25, deadline=None)
@given(seeds, configs)
def test_only_the_looks_of_the_split_appear(seed, config):
    for piece in make_room(seed, config).furniture:
        assert piece.look in looks_of(piece.category, config.split)


def test_the_same_seed_gives_the_same_room_and_another_split_another():
    first, second = make_room(5), make_room(5)
    assert [p.centre for p in first.furniture] == [p.centre for p in second.furniture]
    assert np.array_equal(first.outline, second.outline) and first.light == second.light
    assert not np.array_equal(first.outline, make_room(6).outline)
    assert not np.array_equal(first.outline, make_room(5, RoomConfig(split="heldout")).outline)


def test_rooms_tours_and_questions_do_not_depend_on_the_hash_seed():
    code = (
        "from spatial_mllm_ros.training.scenes import *; import hashlib, json\n"
        "room = make_room(3); tour = make_tour(room)\n"
        "text = json.dumps(room_truth(room, make_questions(room, per_kind=4)))\n"
        "print(hashlib.sha256(text.encode() + tour.world_from_camera.tobytes()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        digests.add(subprocess.check_output([sys.executable, "-c", code], env=environment, text=True))
    assert len(digests) == 1


def test_both_outlines_and_all_categories_appear_and_areas_are_those_asked_for():
    config = RoomConfig(min_area_m2=15.0, max_area_m2=25.0)
    rooms = [make_room(seed, config) for seed in range(40)]
    assert {len(room.outline) for room in rooms} == {4, 6}
    assert {name for room in rooms for name in room.counts()} == set(CATALOGUE)
    assert min(room.area_m2 for room in rooms) >= 15.0
    assert np.mean([room.area_m2 <= 25.0 for room in rooms]) > 0.6  # the others grew so that their furniture fits
    assert all(room.area_m2 == pytest.approx(area_of(room.outline)) for room in rooms)


@pytest.mark.slow
def test_balanced_rooms_draw_sizes_and_counts_alike_for_every_category():
    counts, lengths = defaultdict(list), defaultdict(list)
    for seed in range(200):
        room = make_room(seed)
        for name, count in room.counts().items():
            counts[name].append(count)
        for piece in room.furniture:
            lengths[piece.category].append(max(piece.size))
    every_count = np.concatenate([counts[name] for name in sorted(counts)])
    for name in CATALOGUE:  # means lie within four standard errors of what all categories share
        error = every_count.std() / np.sqrt(len(counts[name]))
        assert abs(np.mean(counts[name]) - every_count.mean()) < 4 * error, name
        low, high = BALANCED_LONGEST_M
        assert low <= min(lengths[name]) and max(lengths[name]) <= high + 1e-9
        error = (high - low) / np.sqrt(12 * len(lengths[name]))
        assert abs(np.mean(lengths[name]) - (low + high) / 2) < 4 * error, name


def test_natural_rooms_hold_natural_sizes():
    for seed in range(15):
        for piece in make_room(seed, RoomConfig(style="natural")).furniture:
            low, high = CATALOGUE[piece.category].longest_m
            assert low - 1e-9 <= max(piece.size) <= high + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_area_m2": 30.0, "max_area_m2": 20.0}, "min_area_m2 30 is more than max_area_m2 20"),
        ({"split": "test"}, "split must be one of train, heldout"),
        ({"max_pieces": 2}, r"max_pieces must lie in \[4, 30\]"),
    ],
)
def test_impossible_config_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        RoomConfig(**change)


def test_negative_seed_is_refused():
    with pytest.raises(InputError, match="at least 0, not -1"):
        make_room(-1)
