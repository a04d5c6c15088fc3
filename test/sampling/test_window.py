"""The window's voxels are those of the frames in it, whatever came and went."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.sampling import window as window_module
from spatial_mllm_ros.sampling.bits import count_bits, unpack_bits
from spatial_mllm_ros.sampling.window import VoxelWindow

# A history: each step adds a frame that sees some voxels and, if it can, removes the frame at a position.
STEPS = st.lists(
    st.tuples(st.sets(st.integers(0, 400), max_size=120), st.none() | st.integers(0, 30)), min_size=1, max_size=40
)


def names_of(voxels):
    return np.array(sorted(voxels), np.int64)


def pairwise_overlaps(sets):
    return [[len(a & b) for b in sets] for a in sets]


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_overlaps_of_any_history_are_those_of_sets(steps):
    window, present = VoxelWindow(), []
    with_small_steps = (window_module._FIRST_BITS, window_module._COLUMNS_PER_STEP)
    window_module._FIRST_BITS, window_module._COLUMNS_PER_STEP = 64, 2
    try:
        window = VoxelWindow()
        for voxels, leaving in steps:
            present.append((window.add(names_of(voxels)), voxels))
            if leaving is not None and leaving < len(present):
                window.remove(present.pop(leaving)[0])
    finally:
        window_module._FIRST_BITS, window_module._COLUMNS_PER_STEP = with_small_steps

    sets = [voxels for _, voxels in present]
    columns = [column for column, _ in present]
    flags = unpack_bits(window.words[:, columns].T).astype(int)
    assert (flags @ flags.T).tolist() == pairwise_overlaps(sets)
    assert window.num_voxels == len(set().union(*sets))
    others = [set().union(*sets[:index], *sets[index + 1 :]) for index in range(len(sets))]
    assert window.count_seen_once()[columns].tolist() == [len(a - b) for a, b in zip(sets, others, strict=True)]


def test_columns_without_a_frame_are_empty():
    window = VoxelWindow()
    column = window.add(names_of({1, 2, 3}))
    assert count_bits(window.words).sum() == 3

    window.remove(column)

    assert not window.words.any()
    assert window.num_voxels == 0


def test_size_follows_what_is_seen_now_and_not_what_was():
    window, columns, sizes = VoxelWindow(), [], []
    for step in range(3000):  # always 8 frames of 300 voxels, half of them new each time
        columns.append(window.add(np.arange(150 * step, 150 * step + 300)))
        if len(columns) > 8:
            window.remove(columns.pop(0))
        sizes.append(window.nbytes)

    assert max(sizes[100:]) <= max(sizes[:100])


def test_bits_are_given_back_after_a_burst():
    window = VoxelWindow()
    small = window.add(names_of({5, 70000}))
    before = window.nbytes
    burst = window.add(np.arange(50_000))
    assert window.nbytes > 10 * before

    window.remove(burst)
    for number in range(10):  # halved step by step, at each leave
        window.remove(window.add(names_of({number, 5})))

    assert window.nbytes <= 2 * before
    assert count_bits(window.words)[small] == 2
