"""Voxels anchored in the world."""

from __future__ import annotations

import numpy as np
import pytest

from spatial_mllm_ros.geometry import PointMap
from spatial_mllm_ros.sampling.world_voxels import voxel_centres, voxel_names


def point_map(points, confidence=None):
    points = np.asarray(points, np.float32).reshape(1, -1, 3)
    confidence = np.ones(points.shape[:2], np.float32) if confidence is None else np.float32([confidence])
    return PointMap(points=points, confidence=confidence, stamp_ns=0)


def names(points, confidence=None, percentile=50.0, min_confidence=0.1):
    return voxel_names(
        point_map(points, confidence), 0.5, percentile=percentile, min_confidence=min_confidence
    ).tolist()


def test_points_of_one_cube_share_a_name_and_neighbours_do_not():
    assert names([[0, 0, 0], [0.4, 0.4, 0.4]]) == names([[0.1, 0.1, 0.1]])
    assert len(names([[0, 0, 0], [0.6, 0, 0], [0, 0.6, 0], [0, 0, 0.6], [-0.1, 0, 0]])) == 5


def test_names_ascend_and_differ_whatever_the_order_of_points():
    points = np.random.default_rng(0).normal(0, 3, (500, 3))

    assert names(points) == names(points[::-1]) == sorted(set(names(points)))


def test_a_voxel_has_the_same_name_in_every_map():
    here, there = [[1.2, -3.4, 0.2]], [[9.0, 9.0, 9.0]]

    assert set(names(here)) < set(names(here + there))


def test_points_out_of_reach_or_not_finite_do_not_count():
    far = 0.5 * 2**20
    assert names([[far, 0, 0], [0, -far - 1, 0], [np.nan, 0, 0], [0, np.inf, 0]]) == []
    assert len(names([[far - 1, 1 - far, 0]])) == 1


def test_confidence_decides_as_it_does_offline():
    points = [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]

    assert names(points, [0, 0, 0, 0.1]) == []
    assert names(points, [1, 2, 3, 4]) == names(points[2:])
    assert names(points, [np.nan, 1, 1, np.inf]) == names(points[1:])
    assert names(points, [1, 2, 3, 4], percentile=0.0) == names(points)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_a_map_without_pixels_has_no_voxels(shape):
    empty = PointMap(points=np.zeros((*shape, 3), np.float32), confidence=np.zeros(shape, np.float32), stamp_ns=0)

    assert voxel_names(empty, 0.1, percentile=50.0, min_confidence=0.1).tolist() == []


def test_a_centre_lies_in_the_voxel_that_it_names():
    points = np.random.default_rng(0).normal(0, 100, (200, 3))

    centres = voxel_centres(np.array(names(points)), 0.5)

    assert names(centres) == names(points)
    np.testing.assert_array_equal(voxel_centres(np.array(names([[0.1, -0.1, 7.6]])), 0.5), [[0.25, -0.25, 7.75]])
