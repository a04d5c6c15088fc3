"""Depth, intrinsics and pose make points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.geometry import DepthProvider, GeometryConfig, scale_intrinsics, unproject
from spatial_mllm_ros.geometry.grid import grid_pixels

INTRINSICS = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])


def pose_at(x, y, z, turn=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    cos, sin = np.cos(turn), np.sin(turn)
    pose[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
    return pose


def frame_with(**fields):
    defaults = {
        "image": np.zeros((48, 64, 3), np.uint8),
        "stamp_ns": 7,
        "depth_m": np.full((48, 64), 2, np.float32),
        "intrinsics": INTRINSICS,
        "world_from_camera": np.eye(4),
        "world_frame_id": "odom",
    }
    return Frame(**{**defaults, **fields})


def test_points_worked_out_by_hand():
    depth = np.full((48, 64), 2, np.float32)

    points = unproject(depth, INTRINSICS, pose_at(1, 0, 0, turn=np.pi / 2))

    # The principal point looks along z, which after the turn is the world's x; 50 pixels right of it lies 1 m to the
    # right, which is the world's -z.
    np.testing.assert_allclose(points[24, 32], [3, 0, 0], atol=1e-6)
    np.testing.assert_allclose(points[24, 63], [3, 0, -0.62], atol=1e-6)
    np.testing.assert_allclose(points[44, 32], [3, 0.4, 0], atol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_projecting_the_points_gives_pixels_and_depth_back(seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 8, (6, 8)).astype(np.float32)
    world_from_camera = pose_at(*rng.normal(0, 3, 3), turn=rng.uniform(-3, 3))

    points = unproject(depth, INTRINSICS, world_from_camera).astype(np.float64)

    in_camera = (points - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    pixels = in_camera @ INTRINSICS.T
    np.testing.assert_allclose(in_camera[..., 2], depth, rtol=1e-5)
    np.testing.assert_allclose(pixels[..., 0] / pixels[..., 2], np.tile(np.arange(8), (6, 1)), atol=2e-3)
    np.testing.assert_allclose(pixels[..., 1] / pixels[..., 2], np.tile(np.arange(6), (8, 1)).T, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_no_depth_is_no_point(value):
    depth = np.full((3, 3), 2, np.float32)
    depth[1, 1] = value

    points = unproject(depth, INTRINSICS, np.eye(4))

    assert np.isnan(points).all(axis=-1).tolist() == [[False] * 3, [False, True, False], [False] * 3]


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"not \[3\], \[3, 3\] and \[4, 4\]"):
        unproject(np.ones(3, np.float32), INTRINSICS, np.eye(4))


def test_intrinsics_of_half_the_size_look_the_same_way():
    half = scale_intrinsics(INTRINSICS, (48, 64), (24, 32))

    assert half[0, 0] == 50
    # The image's left edge (-0.5) and right edge (63.5) are the same rays at either size.
    for edge, half_edge in ((-0.5, -0.5), (63.5, 31.5)):
        assert (half_edge - half[0, 2]) / half[0, 0] == pytest.approx((edge - INTRINSICS[0, 2]) / INTRINSICS[0, 0])


def test_the_grid_of_a_vga_camera_is_the_papers():
    rows, columns = grid_pixels(480, 640, 50)

    assert (len(rows), len(columns)) == (37, 50)
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (6, 473, 6, 633)


def test_a_map_smaller_than_the_grid_is_kept():
    rows, columns = grid_pixels(3, 4, 50)

    assert (rows.tolist(), columns.tolist()) == ([0, 1, 2], [0, 1, 2, 3])


def test_a_map_lies_on_the_grid_in_the_frames_world():
    (point_map,) = DepthProvider(GeometryConfig(grid_width=16)).point_maps([frame_with()])

    assert point_map.points.shape == (12, 16, 3)
    assert (point_map.frame_id, point_map.stamp_ns, point_map.is_metric) == ("odom", 7, True)
    assert (point_map.confidence == 1).all()
    full = unproject(frame_with().depth_m, INTRINSICS, np.eye(4))
    np.testing.assert_array_equal(point_map.points, full[2::4, 2::4])


def test_depth_of_another_size_gives_the_same_points():
    large = frame_with(depth_m=np.full((96, 128), 2, np.float32))
    config = GeometryConfig(grid_width=2048)

    (at_image_size,), (at_double,) = (DepthProvider(config).point_maps([f]) for f in (frame_with(), large))

    means = at_double.points.reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(means, at_image_size.points, atol=1e-5)


def test_depth_out_of_range_has_no_confidence():
    depth = np.full((48, 64), 2, np.float32)
    depth[:, :16], depth[:, 16:32], depth[:, 32:48] = 0.05, 9, np.nan

    (point_map,) = DepthProvider(GeometryConfig(grid_width=4)).point_maps([frame_with(depth_m=depth)])

    assert point_map.confidence.tolist() == [[0, 0, 0, 1]] * 3
    assert np.isnan(point_map.points[:, :3]).all()
    assert np.isfinite(point_map.points[:, 3]).all()


@pytest.mark.parametrize(
    ("field", "reason"), [("depth_m", "depth"), ("intrinsics", "intrinsics"), ("world_from_camera", "pose")]
)
def test_a_frame_that_lacks_something_has_no_map_and_is_counted(field, reason):
    provider = DepthProvider()

    maps = provider.point_maps([frame_with(), frame_with(**{field: None})])

    assert [point_map is None for point_map in maps] == [False, True]
    assert provider.counts == {"mapped": 1, reason: 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_depth_m": 9.0}, "min_depth_m must be below max_depth_m"),
        ({"overlap_frames": 16}, "overlap_frames must be below chunk_frames"),
        ({"provider": "stereo"}, "provider must be one of"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        GeometryConfig(**values)
