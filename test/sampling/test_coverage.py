"""The greedy over bits picks what the greedy over Python sets picks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.bench.set_sampling import greedy_over_sets
from spatial_mllm_ros.sampling.bits import pack_bits
from spatial_mllm_ros.sampling.coverage import greedy_max_coverage

SETS = st.lists(st.sets(st.integers(0, 150)), max_size=20)


def words_of(sets):
    flags = np.zeros((len(sets), 151), bool)
    for flag, members in zip(flags, sets, strict=True):
        flag[list(members)] = True
    return np.ascontiguousarray(pack_bits(flags).T)


@settings(max_examples=500, deadline=None)
@given(sets=SETS, num_keyframes=st.integers(0, 25))
def test_picks_and_gains_are_those_of_sets(sets, num_keyframes):
    assert greedy_max_coverage(words_of(sets), num_keyframes) == greedy_over_sets(sets, num_keyframes)


@settings(deadline=None)
@given(sets=SETS, num_keyframes=st.integers(0, 25), data=st.data())
def test_candidates_are_chosen_from_in_their_order(sets, num_keyframes, data):
    candidates = data.draw(st.permutations(range(len(sets))))[: data.draw(st.integers(0, 20))]

    picks = greedy_max_coverage(words_of(sets), num_keyframes, candidates=candidates)

    assert picks == greedy_over_sets([sets[column] for column in candidates], num_keyframes)


def test_frames_picked_first_count_as_seen_by_the_others():
    sets = [{1, 2, 3, 4}, {1, 2, 3}, {9}]

    assert greedy_max_coverage(words_of(sets), 3, first=[1]) == ([1, 0, 2], [3, 1, 1])


def test_a_frame_picked_first_may_add_nothing():
    assert greedy_max_coverage(words_of([{1}, set()]), 2, first=[1]) == ([1, 0], [0, 1])
