"""The confidence percentile is numpy's, bit for bit, however it is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from spatial_mllm_ros.sampling import confidence
from spatial_mllm_ros.sampling.confidence import confidence_percentile, trusted_from

needs_numpy_2 = pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="numpy 1 ranks in float64")
VALUES = nps.arrays(
    np.float32,
    st.integers(1, 400),
    elements=st.floats(0, 1e6, width=32) | st.sampled_from(np.float32([0, 1, 1.5]).tolist()),
)


@needs_numpy_2
@settings(max_examples=500, deadline=None)
@given(values=VALUES, percentile=st.sampled_from([0, 1, 25, 33.3, 50, 90, 99.9, 100]))
def test_small_arrays_match_numpy(values, percentile):
    assert confidence_percentile(values, percentile) == np.percentile(values, percentile)


@needs_numpy_2
@settings(max_examples=500, deadline=None)
@given(values=VALUES, percentile=st.sampled_from([0, 1, 25, 50, 99.9, 100]))
def test_the_bracket_matches_numpy(values, percentile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confidence, "_BLOCK", 64)
        patch.setattr(confidence, "_SAMPLE", 32)
        assert confidence_percentile(values, percentile) == np.percentile(values, percentile)


@needs_numpy_2
@pytest.mark.parametrize("kind", ["smooth", "constant", "two_values", "ascending", "unlike_its_sample"])
def test_large_arrays_match_numpy(kind):
    rng = np.random.default_rng(0)
    size = (1 << 18) + 1
    values = {
        "smooth": 1 + rng.gamma(2, 2, size),
        "constant": np.ones(size),
        "two_values": rng.integers(0, 2, size),
        "ascending": np.arange(size),
        "unlike_its_sample": np.where(np.arange(size) % (size // confidence._SAMPLE) == 0, 0, rng.random(size)),
    }[kind].astype(np.float32)

    assert confidence_percentile(values) == np.percentile(values, 50)


@needs_numpy_2
@pytest.mark.slow
def test_the_rank_of_more_than_2_to_the_24_values_is_rounded_as_numpy_rounds_it():
    values = np.random.default_rng(0).random((1 << 24) + 3, np.float32)

    assert confidence_percentile(values) == np.percentile(values, 50)


def test_median_worked_out_by_hand():
    assert confidence_percentile(np.float32([4, 1, 3, 2])) == 2.5


def test_a_point_must_exceed_the_minimum():
    tenth = np.float32(0.1)

    assert trusted_from(np.float32(0)) == np.nextafter(tenth, np.float32(1))
    assert trusted_from(np.float32(2)) == 2
    assert trusted_from(tenth) > tenth
