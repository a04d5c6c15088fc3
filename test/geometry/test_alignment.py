"""Similarity transforms are found, in noise and among points that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.geometry import Sim3, align_cameras, align_points, umeyama

SEEDS = st.integers(0, 2**32 - 1)


def random_rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * [1, 1, np.sign(np.linalg.det(q))]


def random_sim3(rng):
    return Sim3(
        rotation=random_rotation(rng), translation=rng.normal(0, 5, 3), scale=float(np.exp(rng.uniform(-2.5, 2.5)))
    )


def room_points(rng, count=1500):
    """Points on the walls, floor and ceiling of a room."""
    points = rng.uniform(-1, 1, (count, 3)) * [3, 1.3, 2]
    wall = rng.integers(0, 3, count)
    points[np.arange(count), wall] = np.sign(points[np.arange(count), wall]) * np.array([3, 1.3, 2])[wall]
    return points


def assert_close(found, known, tolerance):
    """Compare what the transforms do to a box of 4 m, in units of the target."""
    corners = np.array([[x, y, z] for x in (-2, 2) for y in (-2, 2) for z in (-2, 2)], float)
    error = np.linalg.norm(found.apply(corners) - known.apply(corners), axis=1).max() / known.scale
    assert error < tolerance


@settings(deadline=None)
@given(seed=SEEDS)
def test_exact_points_give_the_exact_similarity(seed):
    rng = np.random.default_rng(seed)
    known, source = random_sim3(rng), room_points(rng, 10)

    found = umeyama(source, known.apply(source))

    assert found.scale == pytest.approx(known.scale)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, known.translation, atol=1e-8)


def test_a_quarter_turn_worked_out_by_hand():
    source = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    target = np.array([[5, 0, 0], [5, 2, 0], [3, 0, 0]], float)  # turned left about z, doubled, moved 5 along x

    found = umeyama(source, target)

    np.testing.assert_allclose(found.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.translation, [5, 0, 0], atol=1e-12)
    assert found.scale == pytest.approx(2)


def test_a_mirror_image_is_matched_by_a_rotation():
    rng = np.random.default_rng(0)
    source = room_points(rng, 50)

    assert np.linalg.det(umeyama(source, source * [1, 1, -1]).rotation) == pytest.approx(1)


def test_points_without_weight_do_not_matter():
    rng = np.random.default_rng(0)
    known, source = random_sim3(rng), room_points(rng, 20)
    target = known.apply(source)
    target[10:] = 1e3

    assert_close(umeyama(source, target, np.arange(20) < 10), known, 1e-9)


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    outliers=st.sampled_from([("anywhere", 0.3), ("moved_together", 0.3), ("far_away", 0.3), ("anywhere", 0.55)]),
)
def test_a_known_similarity_is_recovered_among_outliers(seed, outliers):
    kind, share = outliers
    rng = np.random.default_rng(seed)
    known, source = random_sim3(rng), room_points(rng)
    noise = 0.005
    target = known.apply(source) + rng.normal(0, noise * known.scale, source.shape)
    is_outlier = rng.permutation(len(source)) < share * len(source)
    wrong = {
        "anywhere": lambda: known.apply(rng.uniform(-4, 4, source.shape)),
        "moved_together": lambda: target + known.scale * rng.normal(0, 1.5, 3),
        "far_away": lambda: known.apply(rng.normal(0, 1e4, source.shape)),
    }[kind]()
    target[is_outlier] = wrong[is_outlier]
    weights = rng.uniform(0.5, 1.5, len(source))

    found = align_points(source.astype(np.float32), target.astype(np.float32), weights)

    assert_close(found.target_from_source, known, 0.01)
    assert found.residual < 0.01


def test_pairs_that_are_not_finite_do_not_count():
    rng = np.random.default_rng(0)
    known, source = random_sim3(rng), room_points(rng, 100)
    target = known.apply(source)
    source[:10], target[10:20] = np.nan, np.inf

    found = align_points(source, target)

    assert_close(found.target_from_source, known, 1e-6)


def test_points_that_have_nothing_in_common_leave_a_large_residual():
    rng = np.random.default_rng(0)

    assert align_points(room_points(rng), room_points(rng)).residual > 0.3


@pytest.mark.parametrize(
    ("source", "weights", "message"),
    [
        (np.zeros((5, 3)), None, "one line"),
        (np.outer(np.arange(5.0), [1, 2, 3]), None, "one line"),
        (np.eye(3)[:2], None, "one line"),
        (np.eye(3), np.zeros(3), "no point has weight"),
        (np.eye(3)[:, :2], None, r"\[N,3\]"),
        (np.eye(3), np.ones(2), r"\[N,3\]"),
    ],
)
def test_points_that_do_not_tell_a_similarity_are_refused(source, weights, message):
    with pytest.raises(InputError, match=message):
        umeyama(source, source, weights)


@settings(deadline=None)
@given(seed=SEEDS)
def test_the_inverse_undoes_the_transform(seed):
    rng = np.random.default_rng(seed)
    known, points = random_sim3(rng), room_points(rng, 5)

    np.testing.assert_allclose(known.inverse().apply(known.apply(points)), points, atol=1e-9)
    np.testing.assert_array_equal(Sim3.identity().apply(points), points)


def test_applying_keeps_the_dtype():
    assert random_sim3(np.random.default_rng(0)).apply(np.zeros((2, 2, 3), np.float32)).dtype == np.float32


def cameras_along(centres, rng):
    poses = np.tile(np.eye(4), (len(centres), 1, 1))
    poses[:, :3, 3] = centres
    poses[:, :3, :3] = [random_rotation(rng) for _ in centres]
    return poses


def moved(poses, sim3):
    result = poses.copy()
    result[:, :3, :3] = sim3.rotation @ poses[:, :3, :3]
    result[:, :3, 3] = sim3.apply(poses[:, :3, 3])
    return result


@settings(deadline=None)
@given(seed=SEEDS)
def test_cameras_on_one_line_are_enough(seed):
    rng = np.random.default_rng(seed)
    known = random_sim3(rng)
    source = cameras_along(np.linspace(0, 1, 6)[:, None] * [1, 0.2, -0.4], rng)

    found = align_cameras(source, moved(source, known))

    assert_close(found.target_from_source, known, 1e-6)
    assert found.residual < 1e-6


def test_cameras_in_one_place_do_not_tell_the_scale():
    rng = np.random.default_rng(0)
    source = cameras_along(np.zeros((4, 3)), rng)

    assert align_cameras(source, source).residual == np.inf


def test_cameras_that_are_not_finite_do_not_tell_anything():
    source = cameras_along(np.arange(6.0).reshape(2, 3), np.random.default_rng(0))
    source[0, 0, 3] = np.nan

    assert align_cameras(source, source).residual == np.inf
