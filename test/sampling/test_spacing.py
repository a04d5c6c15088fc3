"""Frames picked by time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.sampling.spacing import even_count, spread_in_time, uniform_indices


@pytest.mark.parametrize(
    ("frames", "wanted", "expected"), [(0, 4, 0), (1, 4, 1), (2, 4, 2), (3, 4, 2), (4, 4, 4), (9, 4, 4)]
)
def test_an_even_number_unless_there_is_one_frame(frames, wanted, expected):
    assert even_count(wanted, frames) == expected


def test_uniform_rounds_down_as_the_papers_code_does():
    assert uniform_indices(11, 4) == [0, 3, 6, 10]
    assert uniform_indices(3, 4) == [0, 1, 2]
    assert uniform_indices(5, 1) == [0]
    assert uniform_indices(0, 4) == uniform_indices(4, 0) == []


@settings(deadline=None)
@given(
    stamps=st.lists(st.integers(0, 10**18), min_size=1, max_size=30).map(sorted),
    data=st.data(),
)
def test_spreading_never_takes_a_frame_twice(stamps, data):
    taken = data.draw(st.lists(st.integers(0, len(stamps) - 1), unique=True))
    wanted = data.draw(st.integers(len(taken), len(stamps)))

    both = taken + spread_in_time(np.array(stamps), taken, wanted)

    assert len(both) == len(set(both)) == wanted


def test_the_widest_gap_is_filled_first():
    assert spread_in_time(np.array([0, 1, 2, 10, 30, 31]), [0, 5], 4) == [3, 2]
