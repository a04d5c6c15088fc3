"""Filling up a keyframe set: whole pairs of the set before stay whole where that costs nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.sampling.pair_keeping import count_whole, fill_keeping_pairs
from spatial_mllm_ros.sampling.spacing import spread_in_time


def filled(num_stamps, taken, num_frames, pairs, newest_age_ns=100):
    """Give the whole set, ascending, for one frame each nanosecond."""
    return sorted(
        [*taken, *fill_keeping_pairs(np.arange(num_stamps), taken, num_frames, pairs, newest_age_ns=newest_age_ns)]
    )


def test_a_pair_is_whole_if_it_is_a_pair_of_the_set_too():
    assert count_whole([5, 0, 1, 4], [(0, 1), (4, 5)]) == 2
    assert count_whole([5, 0, 1, 4], [(1, 4), (0, 5)]) == 0
    assert count_whole([0, 1, 2, 4, 5, 6], [(0, 1), (4, 5)]) == 1  # frame 2 shifts what is behind it


def test_the_pair_that_lacks_fewest_frames_is_completed_first_and_of_equal_ones_the_newest():
    pairs = [(1, 2), (4, 5), (7, 8)]
    assert filled(10, [4], 2, pairs) == [4, 5]
    assert filled(10, [4, 8], 4, pairs) == [4, 5, 7, 8]
    assert filled(10, [4, 5], 4, pairs) == [4, 5, 7, 8]


def test_a_frame_in_front_of_a_pair_gets_another_beside_it():
    assert filled(10, [0], 4, [(5, 6)]) == [0, 2, 5, 6]  # 2 and 3 are equally far from 0 and 5
    assert spread_in_time(np.arange(10), [0], 4) == [9, 4, 2]


def test_frames_are_added_in_twos_between_two_pairs_or_behind_them():
    assert filled(30, [0, 1], 6, [(0, 1), (3, 4)]) == [0, 1, 3, 4, 16, 29]  # 29 is farthest, then 16 or 17


def test_a_pair_with_a_frame_that_must_be_there_in_between_is_given_up():
    assert filled(5, [2], 2, [(1, 3)]) == sorted([2, *spread_in_time(np.arange(5), [2], 2)])


def test_the_last_pair_gives_way_to_newer_frames_when_it_is_old():
    pairs = [(0, 1), (4, 5)]
    assert filled(20, [0], 4, pairs, newest_age_ns=14) == [0, 1, 4, 5]
    assert filled(20, [0], 4, pairs, newest_age_ns=13) == [0, 1, 10, 19]


def test_where_nothing_was_before_frames_are_spread():
    assert fill_keeping_pairs(np.arange(9), [0], 4, [], newest_age_ns=0) == spread_in_time(np.arange(9), [0], 4)
    assert fill_keeping_pairs(np.arange(9), [], 4, [(1, 2)], newest_age_ns=9) == spread_in_time(np.arange(9), [], 4)


@st.composite
def cases(draw):
    stamps = np.cumsum(draw(st.lists(st.integers(0, 9), min_size=2, max_size=30)))
    places = st.lists(st.integers(0, len(stamps) - 1), unique=True, max_size=len(stamps) // 2 * 2)
    before, taken = sorted(draw(places)), draw(places)
    num_frames = 2 * draw(st.integers((len(taken) + 1) // 2, len(stamps) // 2))
    return stamps, taken, num_frames, list(zip(before[::2], before[1::2])), draw(st.integers(0, 40))


@settings(max_examples=500, deadline=None)
@given(cases())
def test_a_set_is_filled_up_and_no_fewer_pairs_are_whole_than_without_keeping(case):
    stamps, taken, num_frames, pairs, newest_age_ns = case
    added = fill_keeping_pairs(stamps, taken, num_frames, pairs, newest_age_ns=newest_age_ns)
    both = [*taken, *added]
    assert len(both) == len(set(both)) == num_frames and set(both) <= set(range(len(stamps)))
    spread = [*taken, *spread_in_time(stamps, taken, num_frames)]
    assert count_whole(both, pairs) >= count_whole(spread, pairs)
    assert added == fill_keeping_pairs(stamps, taken, num_frames, pairs, newest_age_ns=newest_age_ns)
