"""Tours of rooms of boxes: what a frame measures and what it truly sees agree."""

from __future__ import annotations

import numpy as np
import pytest

from spatial_mllm_ros.bench.coverage import coverage_of_tour
from spatial_mllm_ros.bench.tours import Room, make_tour

# A room of 4 x 4 x 2 m with a pillar in its middle, and a camera that looks along x at the pillar.
ROOM = Room(boxes=np.array([[[1.9, 1.9, 0], [2.1, 2.1, 2]]]), size=np.array([4.0, 4, 2]))


def looking_along_x(x, y, z):
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]).T
    pose[:3, 3] = x, y, z
    return pose


def test_rays_end_at_the_first_surface():
    origins = np.array([[0.5, 2, 1], [0.5, 1, 1], [0.5, 2, 1], [3.5, 2, 1]])
    directions = np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 2], [1, 0, 0]])

    assert ROOM.distance(origins, directions) == pytest.approx([1.4, 3.5, 0.5, 0.5])


def test_a_pillar_hides_what_is_behind_it():
    front, behind, beside, back = [1.9, 2, 1], [4, 2, 1], [4, 1, 1], [0, 2, 1]

    seen = ROOM.sees(looking_along_x(0.5, 2, 1), np.array([front, behind, beside, back], float))

    assert seen.tolist() == [True, False, True, False]


def test_patches_cover_the_surface_and_nothing_hidden():
    patches = ROOM.patches()

    area = 0.08**2 * len(patches)
    assert area == pytest.approx(2 * 16 - 0.08 + 4 * 8 + 4 * 0.4, rel=0.07)  # floor, ceiling, walls, pillar
    inside_pillar = (np.abs(patches[:, :2] - 2) < 0.099).all(axis=1)
    assert not inside_pillar.any()


def test_measured_points_lie_on_surface_that_the_frame_sees():
    tour = make_tour(3, 40)
    patches = tour.room.patches()
    for index in (0, 20, 39):
        points = tour.point_map(index).points.reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        seen = patches[tour.room.sees(tour.world_from_camera[index], patches)]
        distance = np.linalg.norm(points[:, None] - seen, axis=2).min(axis=1)
        assert np.percentile(distance, 95) < 0.2


def test_a_tour_dwells_and_stays_clear_of_everything():
    tour = make_tour(1, 200, dwell_share=0.5)

    centres = tour.world_from_camera[:, :3, 3]
    moves = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert len(tour) == 200
    assert np.count_nonzero(moves == 0) >= 99
    assert ((centres > 0) & (centres < tour.room.size)).all()


def test_the_same_seed_gives_the_same_tour():
    first, second = make_tour(7, 20), make_tour(7, 20)

    np.testing.assert_array_equal(first.world_from_camera, second.world_from_camera)
    np.testing.assert_array_equal(first.point_map(3).points, second.point_map(3).points)


@pytest.mark.slow
def test_live_keyframes_see_more_of_a_tour_that_dwells_than_uniform_ones():
    outcomes = coverage_of_tour(make_tour(0, 150, dwell_share=0.5), window_frames=64, num_keyframes=8)

    assert outcomes["space-aware, explore"].surface > outcomes["uniform, whole tour"].surface
    assert all(0 < outcome.surface <= 1 for outcome in outcomes.values())


def test_pairs_that_an_earlier_keyframe_set_had_are_counted():
    recent = coverage_of_tour(make_tour(0, 12, dwell_share=0.0), window_frames=4, num_keyframes=4)["recent"]

    # one frame; one pair; another; then at each of nine frames the pair of two frames ago and a new one
    assert (recent.sets, recent.pairs_again) == (12, 9 / 20)
