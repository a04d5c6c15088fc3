"""Footprints: overlap, distance and clearance, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.training.scenes.footprints import (
    FloorMap,
    area_of,
    corners_of,
    distance_between,
    is_overlapping,
)

SQUARE = corners_of((0, 0), (2, 2), 0.0)
L_SHAPE = np.array([(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)], float)
rectangles = st.builds(
    corners_of,
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)),
    st.floats(-math.pi, math.pi),
)


def test_corners_are_turned_about_the_centre_and_counter_clockwise():
    corners = corners_of((1, 0), (4, 2), math.pi / 2)
    assert np.allclose(sorted(map(tuple, corners)), [(0, -2), (0, 2), (2, -2), (2, 2)], atol=1e-9)
    x, y = corners.T
    assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


def test_area_of_an_l_is_that_of_its_parts():
    assert area_of(L_SHAPE) == 12.0


@pytest.mark.parametrize(
    ("other", "distance"),
    [
        (corners_of((5, 0), (2, 2), 0.0), 3.0),
        (corners_of((4, 5), (2, 2), 0.0), math.hypot(2, 3)),
        (corners_of((3, 0), (math.sqrt(2), math.sqrt(2)), math.pi / 4), 1.0),  # its corner points at the square
        (corners_of((0.5, 0), (1, 5), 0.3), 0.0),
        (corners_of((2, 0), (2, 2), 0.0), 0.0),  # touches
    ],
)
def test_distance_between_footprints_by_hand(other, distance):
    assert distance_between(SQUARE, other) == pytest.approx(distance)


@settings(max_examples=60, deadline=None)
@given(rectangles, rectangles)
def test_distance_is_symmetric_and_zero_only_on_overlap_or_touch(first, second):
    distance = distance_between(first, second)
    assert distance == pytest.approx(distance_between(second, first))
    if distance > 1e-6:
        assert not is_overlapping(first, second)
    assert distance <= np.linalg.norm(first[:, None] - second[None], axis=-1).min() + 1e-9


def test_clearance_is_the_distance_to_the_nearest_wall_or_piece():
    floor = FloorMap(L_SHAPE, [corners_of((1, 1), (0.4, 0.4), 0.0)])
    assert floor.clearance(np.array([(3.0, 1.0), (1.0, 1.0), (3.0, 3.0), (9.0, 9.0)])) == pytest.approx(
        [1.0, 0.0, 0.0, 0.0], abs=0.08
    )
    assert not floor.is_line_free((0.4, 3.5), (3.5, 0.4), 0.2)  # cuts the inner corner
    assert floor.is_line_free((0.4, 3.5), (0.4, 0.4), 0.2)


def test_standing_places_are_the_largest_connected_region():
    wall = corners_of((1.5, 2), (0.2, 4), 0.0)  # leaves 1.4 m on the left and 2.4 m on the right of a 4 m room
    square = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], float)
    places = FloorMap(square, [wall]).standing_places(0.3)
    assert len(places) and places[:, 0].min() > 1.6
    assert len(FloorMap(square, [square]).standing_places(0.1)) == 0
