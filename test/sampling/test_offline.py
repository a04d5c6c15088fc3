"""The offline sampler picks what the paper's code picks, and has an answer where that code has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.bench.set_sampling import sample_with_sets
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.sampling import coverage_of, space_aware_sampling, voxels

TEST_DATA = Path(__file__).resolve().parents[1] / "data" / "sampling"
FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"


def golden_cases():
    """List (folder, case name, expected values) of the data in the repository and of the fixtures beside it."""
    folders = (TEST_DATA, FIXTURES / "sampling", FIXTURES / "official_sharded" / "sampling")
    cases = []
    for folder in folders:
        if not folder.is_dir():
            cases.append(pytest.param(None, None, None, marks=pytest.mark.skip(reason=f"no fixtures at {folder}")))
            continue
        expected = json.loads((folder / "expected.json").read_text())
        cases += [
            pytest.param(folder, name, values, id=f"{folder.parent.name}-{name}") for name, values in expected.items()
        ]
    return cases


def load(folder, name):
    with np.load(folder / f"{name}.npz") as data:
        points = data["points"] if "points" in data else data["world_points"]
        return points, data["confidence"] if "confidence" in data else data["conf"]


@pytest.mark.parametrize("method", ["flags", "sorting"])
@pytest.mark.parametrize(("folder", "name", "expected"), golden_cases())
def test_picks_are_those_of_the_papers_code(folder, name, expected, method, monkeypatch):
    if method == "sorting":
        monkeypatch.setattr(voxels, "_MAX_GRID_VOXELS", 0)
    num_keyframes = expected.get("num_keyframes") or expected["K"]

    sampling = space_aware_sampling(*load(folder, name), num_keyframes)

    assert list(sampling.order) == expected["order"]
    assert list(sampling.gains) == expected["gains"]
    assert list(sampling.indices) == sorted(expected["order"])
    assert sampling.confidence_threshold == expected.get("threshold", expected.get("conf_threshold"))
    assert sampling.voxel_size == expected["voxel_size"]
    if "voxels_total" in expected:
        assert (sampling.total_voxels, sampling.covered_voxels) == (
            expected["voxels_total"],
            expected["voxels_covered"],
        )


@st.composite
def videos(draw):
    """Small videos with many equal coordinates and confidences, so that ties and shared voxels abound."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_frames, height, width = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    shape = (num_frames, height, width)
    steps = draw(st.sampled_from([1, 2, 7, 30, 1000]))
    points = rng.integers(0, steps + 1, (*shape, 3)).astype(np.float32)
    points *= draw(st.sampled_from([[1, 1, 1], [1, 0, 1], [0, 0, 3], [1e-4, 1, 100], [1e4, 1e-9, 1]]))
    points += np.float32(draw(st.sampled_from([0, -3.7, 1e4])))
    confidence = rng.choice(np.float32([0, 0.05, 0.1, 0.2, 1, 3, 3.5]), shape)
    if draw(st.booleans()):
        confidence += rng.random(shape, np.float32)
    if draw(st.integers(0, 4)) == 0:
        points[rng.random(points.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return points.astype(np.float32), confidence


@settings(max_examples=2000, deadline=None)
@given(video=videos(), num_keyframes=st.integers(0, 14), by_sorting=st.booleans())
def test_random_videos_agree_with_sets(video, num_keyframes, by_sorting):
    limit = voxels._MAX_GRID_VOXELS
    voxels._MAX_GRID_VOXELS = 0 if by_sorting else limit
    try:
        sampling = space_aware_sampling(*video, num_keyframes)
    finally:
        voxels._MAX_GRID_VOXELS = limit

    assert (list(sampling.order), list(sampling.gains)) == sample_with_sets(*video, num_keyframes)


def test_large_maps_taken_in_several_blocks_agree_with_sets(monkeypatch):
    monkeypatch.setattr(voxels, "_BLOCK_POINTS", 700)
    rng = np.random.default_rng(0)
    points = np.cumsum(rng.normal(size=(20, 12, 16, 3)), axis=0, dtype=np.float32)
    confidence = rng.random((20, 12, 16), np.float32)

    sampling = space_aware_sampling(points, confidence, 8)

    assert (list(sampling.order), list(sampling.gains)) == sample_with_sets(points, confidence, 8)


def row_of_points(*frames):
    """Make maps of one row, each frame a list of x coordinates, in a box whose other two sides are 40."""
    points = np.zeros((len(frames), 1, len(frames[0]), 3), np.float32)
    for frame, xs in enumerate(frames):
        points[frame, 0, :, 0] = xs
    points[0, 0, 0, 1:] = 40
    return points


def test_gains_worked_out_by_hand():
    # Smallest side 20, so voxels of 1: the frames see x voxels {0,1,2}, {1,2}, {20}; the corner point is a voxel apart.
    points = row_of_points([0, 1.5, 2], [1.2, 2.9, 2], [20, 20, 20])

    sampling = space_aware_sampling(points, np.ones((3, 1, 3), np.float32), 3)

    assert sampling.voxel_size == 1
    assert (sampling.order, sampling.gains) == ((0, 2), (3, 1))
    assert (sampling.total_voxels, sampling.coverage) == (4, 1.0)


def test_ties_go_to_the_lowest_index():
    points = row_of_points([0, 0, 0], [20, 20, 20], [10, 10, 10])

    assert space_aware_sampling(points, np.ones((3, 1, 3), np.float32), 2).order == (0, 1)


def test_zero_keyframes_pick_none():
    sampling = space_aware_sampling(np.zeros((2, 3, 3, 3), np.float32), np.ones((2, 3, 3), np.float32), 0)

    assert (sampling.indices, sampling.order, sampling.gains, sampling.coverage) == ((), (), (), 0.0)


@pytest.mark.parametrize("confidence", [0.0, 0.1, np.nan])
def test_no_trusted_point_picks_none(confidence):
    points, low = np.ones((4, 3, 3, 3), np.float32), np.full((4, 3, 3), confidence, np.float32)

    sampling = space_aware_sampling(points, low, 2)

    assert (sampling.indices, sampling.total_voxels, sampling.voxel_size) == ((), 0, 0.0)
    assert space_aware_sampling(points, low, 2, fill=True).indices == (0, 3)


def test_a_flat_scene_is_cut_by_its_shorter_side():
    points = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    points[..., 1] = 1.5

    sampling = space_aware_sampling(points, np.ones((5, 8, 8), np.float32), 3)

    box = points.reshape(-1, 3)
    assert sampling.voxel_size == np.float32((box.max(0) - box.min(0))[[0, 2]].min()) / np.float32(20)
    assert len(sampling.order) == 3


def test_a_nearly_flat_scene_has_more_voxels_than_fit_a_grid():
    rng = np.random.default_rng(0)
    points = rng.random((6, 10, 10, 3), np.float32) * np.float32([1000, 1e-6, 1000])
    confidence = np.ones((6, 10, 10), np.float32)

    sampling = space_aware_sampling(points, confidence, 4)

    assert (list(sampling.order), list(sampling.gains)) == sample_with_sets(points, confidence, 4)


def test_a_single_place_is_one_voxel():
    sampling = space_aware_sampling(np.full((3, 2, 2, 3), 7, np.float32), np.ones((3, 2, 2), np.float32), 3)

    assert (sampling.order, sampling.gains) == ((0,), (1,))


def test_points_that_are_not_finite_do_not_count():
    points = row_of_points([0, 1, 2], [3, 4, 5], [20, 20, 20])
    confidence = np.ones((3, 1, 3), np.float32)
    reference = space_aware_sampling(points[:, :, [0, 1]], confidence[:, :, [0, 1]], 3)
    points[:, 0, 2, 0] = [np.nan, np.inf, -np.inf]

    assert space_aware_sampling(points, confidence, 3) == reference


def test_infinite_confidence_is_trusted_and_nan_is_not():
    points = row_of_points([0, 5], [10, 15])
    confidence = np.array([[[np.inf, np.nan]], [[np.inf, 1.0]]], np.float32)

    sampling = space_aware_sampling(points, confidence, 2)

    assert sampling.total_voxels == 2


def test_filling_makes_an_even_number_spaced_in_time():
    points = np.broadcast_to(np.random.default_rng(0).random((1, 4, 4, 3), np.float32), (11, 4, 4, 3))

    sampling = space_aware_sampling(points, np.ones((11, 4, 4), np.float32), 4, fill=True)

    assert (sampling.order, sampling.filled, sampling.indices) == ((0,), (10, 5, 2), (0, 2, 5, 10))


def test_filling_goes_by_stamps_if_there_are_any():
    points = np.broadcast_to(np.random.default_rng(0).random((1, 4, 4, 3), np.float32), (4, 4, 4, 3))

    sampling = space_aware_sampling(
        points, np.ones((4, 4, 4), np.float32), 2, fill=True, stamps_ns=[0, 9 * 10**18, 10, 20]
    )

    assert sampling.filled == (1,)


@pytest.mark.parametrize(("num_frames", "expected"), [(1, 1), (2, 2), (5, 4), (9, 8), (10, 8)])
def test_filling_a_short_video_gives_an_even_number(num_frames, expected):
    points = np.random.default_rng(0).random((num_frames, 4, 4, 3), np.float32)

    sampling = space_aware_sampling(points, np.ones((num_frames, 4, 4), np.float32), 8, fill=True)

    assert len(sampling.indices) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((2, 3, 3, 3))}, "points must be float32"),
        ({"points": np.zeros((2, 3, 3), np.float32)}, "points must be float32"),
        ({"confidence": np.zeros((2, 3), np.float32)}, "confidence must be float32"),
        ({"confidence": np.zeros((2, 3, 4), np.float32)}, r"points \[2, 3, 3, 3\] must be confidence \[2, 3, 4\]"),
        (
            {"points": np.zeros((0, 3, 3, 3), np.float32), "confidence": np.zeros((0, 3, 3), np.float32)},
            "at least one frame",
        ),
        ({"num_keyframes": -1}, "0 or more"),
        ({"num_keyframes": 3, "fill": True}, "even"),
        ({"percentile": 101.0}, "percentile"),
        ({"stamps_ns": [1]}, "one stamp for each of 2 frames"),
    ],
)
def test_wrong_input_is_named(change, message):
    arguments = {"points": np.zeros((2, 3, 3, 3), np.float32), "confidence": np.ones((2, 3, 3), np.float32)}

    with pytest.raises(InputError, match=message):
        space_aware_sampling(**{**arguments, "num_keyframes": 2, **change})


def test_inputs_that_are_views_are_not_changed():
    rng = np.random.default_rng(0)
    points, confidence = rng.random((4, 6, 8, 3), np.float32)[::2, ::-1], rng.random((4, 6, 8), np.float32)[::2, ::-1]
    before = points.copy(), confidence.copy()

    sampling = space_aware_sampling(points, confidence, 2)

    assert sampling == space_aware_sampling(*before, 2)
    np.testing.assert_array_equal(points, before[0])


def test_coverage_of_the_picks_is_that_of_the_sampling():
    rng = np.random.default_rng(0)
    points, confidence = rng.random((9, 5, 5, 3), np.float32), rng.random((9, 5, 5), np.float32)
    sampling = space_aware_sampling(points, confidence, 4)

    assert coverage_of(points, confidence, sampling.order) == sampling
    assert sampling.coverage_curve[-1] == sampling.coverage
    assert sum(coverage_of(points, confidence, range(9)).gains) == sampling.total_voxels


@pytest.mark.parametrize("order", [[0, 0], [9], [-1]])
def test_coverage_of_frames_that_are_not_there_is_refused(order):
    with pytest.raises(InputError, match="distinct indices of 2 frames"):
        coverage_of(np.zeros((2, 3, 3, 3), np.float32), np.ones((2, 3, 3), np.float32), order)
