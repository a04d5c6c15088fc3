"""Primitives measure what they say, and pieces are scaled without distortion."""

import math

import numpy as np
import pytest

from spatial_mllm_ros.training.scenes.shapes import Paint, box, cylinder, ellipsoid, extents, fitted, panel, placed, rod

GREY = Paint(colour=(0.5, 0.5, 0.5))


def test_extents_of_each_primitive_by_hand():
    assert extents([box((0, 2), (-1, 1), (0, 3), GREY)]).tolist() == [[0, -1, 0], [2, 1, 3]]
    assert extents([cylinder(1, 0, (0, 4), 0.5, GREY)]).tolist() == [[0.5, -0.5, 0], [1.5, 0.5, 4]]
    assert extents([ellipsoid((0, 0, 1), (1, 2, 1), GREY)]).tolist() == [[-1, -2, 0], [1, 2, 2]]
    lying = rod((0, 0, 1), (2, 0, 1), 0.1, GREY)
    assert np.allclose(extents([lying]), [[0, -0.1, 0.9], [2, 0.1, 1.1]])


def test_turned_box_reaches_as_far_as_its_corners():
    turned = placed(box((-1, 1), (-1, 1), (0, 1), GREY), (3, 0, 0), math.pi / 4)
    assert np.allclose(extents([turned])[1], [3 + math.sqrt(2), math.sqrt(2), 1])


def test_tipped_ellipsoid_leans_forward_and_turns():
    flat = ellipsoid((0, 0, 0), (1, 0.1, 0.1), GREY, lean=math.pi / 2)  # its long axis points down
    assert np.allclose(extents([flat])[1], [0.1, 0.1, 1])
    turned = ellipsoid((0, 0, 0), (1, 0.1, 0.2), GREY, turn=math.pi / 2)
    assert np.allclose(extents([turned])[1], [0.1, 1, 0.2])


def test_panel_shows_to_the_side_that_right_and_up_span():
    wall = panel((0, 0, 1), (1, 0, 0), (0, 0, 2), GREY)
    assert np.allclose(wall.rotation[:, 2], (0, -1, 0))  # seen from -y, x is to the right and z is up
    assert wall.half_size == (1.0, 2.0, 0.0)


def test_fitted_piece_has_its_longest_edge_and_stands_in_the_middle():
    parts, size = fitted([box((1, 3), (0, 1), (2, 2.5), GREY), cylinder(1.5, 0.5, (2, 3), 0.1, GREY)], 1.0)
    assert np.allclose(size, (1.0, 0.5, 0.5))
    assert np.allclose(extents(parts), [[-0.5, -0.25, 0], [0.5, 0.25, 0.5]])


def test_darker_paint_stays_in_range():
    assert Paint(colour=(0.5, 0.9, 0.1)).darker(1.5).colour == pytest.approx((0.75, 1.0, 0.15))
