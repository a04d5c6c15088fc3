"""The live selector: exact at every select, steady where nothing is gained, bounded for ever."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.bench.set_sampling import greedy_over_sets
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.geometry import PointMap
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig
from spatial_mllm_ros.sampling.pair_keeping import count_whole

SECOND = 10**9


def frame_at(stamp_s, pixels=1):
    return Frame(image=np.zeros((pixels, 1, 3), np.uint8), stamp_ns=round(stamp_s * SECOND))


def map_of(voxels, frame_id="odom", is_metric=True):
    """Make a map with one point in the middle of each voxel of a line along x (voxels of 1 m)."""
    points = np.zeros((1, max(1, len(voxels)), 3), np.float32)
    points[0, : len(voxels), 0] = np.array(sorted(voxels), np.float32) + 0.5
    confidence = np.full(points.shape[:2], 1.0 if voxels else 0.0, np.float32)
    return PointMap(points=points, confidence=confidence, stamp_ns=0, frame_id=frame_id, is_metric=is_metric)


def selector_of(*sets, **config):
    """Make a selector that has seen frames of these voxels, one a second; None is a frame without a point map."""
    selector = KeyframeSelector(SelectorConfig(**{"voxel_size_m": 1.0, "num_keyframes": 2, "min_gain": 0.0, **config}))
    add_all(selector, sets)
    return selector


def add_all(selector, sets, start_s=0):
    for second, voxels in enumerate(sets):
        selector.add(frame_at(start_s + second), None if voxels is None else map_of(voxels))


def stamps_s(selection):
    return [frame.stamp_ns / SECOND for frame in selection.frames]


SETS = st.lists(st.sets(st.integers(-20, 20), max_size=12), min_size=1, max_size=40)


@settings(max_examples=300, deadline=None)
@given(
    sets=SETS,
    window_frames=st.integers(2, 12),
    half_keyframes=st.integers(1, 4),
    policy=st.sampled_from(["recent", "explore"]),
)
def test_picks_on_any_window_are_those_of_the_greedy_on_its_voxels(sets, window_frames, half_keyframes, policy):
    selector = selector_of(window_frames=window_frames, num_keyframes=2 * half_keyframes, window_policy=policy)
    for second, voxels in enumerate(sets):
        selector.add(frame_at(second), map_of(voxels))
        selection = selector.select()

    in_window = [sets[candidate.frame.stamp_ns // SECOND] for candidate in selector._window]
    order, gains = greedy_over_sets(in_window, len(selection.indices))
    if any(in_window):
        assert (list(selection.order), list(selection.gains)) == (order, gains)
        assert selection.method == "space-aware"
    assert selection.window_voxels == len(set().union(*in_window))
    assert selection.covered_voxels == len(set().union(*(in_window[index] for index in selection.indices)))
    assert [frame.stamp_ns for frame in selection.frames] == sorted(frame.stamp_ns for frame in selection.frames)
    assert len(selection.indices) == min(2 * half_keyframes, max(1, len(in_window) // 2 * 2))


@settings(max_examples=100, deadline=None)
@given(sets=SETS, min_gain=st.floats(0.01, 0.5), data=st.data())
def test_the_version_changes_with_the_set_and_only_then(sets, min_gain, data):
    selector = selector_of(window_frames=6, num_keyframes=4, min_gain=min_gain)
    last_stamps, last_version = [], 0
    for second, voxels in enumerate(sets):
        selector.add(frame_at(second), map_of(voxels) if data.draw(st.booleans()) else None)
        assert selector.version == last_version
        selection = selector.select()
        stamps = [frame.stamp_ns for frame in selection.frames]
        assert (selection.version != last_version) == (stamps != last_stamps)
        last_stamps, last_version = stamps, selection.version


FEW = st.lists(st.sets(st.integers(0, 4), max_size=3), min_size=1, max_size=30)  # few voxels: much to fill in


@settings(max_examples=300, deadline=None)
@given(sets=FEW, half_keyframes=st.integers(1, 4), policy=st.sampled_from(["recent", "explore"]), age_s=st.integers(0, 9))
def test_pairs_are_kept_at_no_cost_of_coverage_and_only_from_the_window(sets, half_keyframes, policy, age_s):
    config = {"window_frames": 9, "num_keyframes": 2 * half_keyframes, "newest_age_s": float(age_s)}
    selector, pairs_before = selector_of(window_policy=policy, **config), []
    for second, voxels in enumerate(sets):
        selector.add(frame_at(second), map_of(voxels))
        selection = selector.select()
        window = [candidate.frame.stamp_ns for candidate in selector._window]
        without = selector_of(**config)  # has seen no set before
        for stamp_ns in window:
            without.add(frame_at(stamp_ns / SECOND), map_of(sets[stamp_ns // SECOND]))
        other = without.select()
        stamps = [frame.stamp_ns for frame in selection.frames]

        assert (selection.order, selection.gains) == (other.order, other.gains)
        assert selection.covered_voxels == other.covered_voxels
        assert len(stamps) == len(other.frames) and set(stamps) <= set(window)
        in_window = [pair for pair in pairs_before if set(pair) <= set(window)]
        assert count_whole(stamps, in_window) >= count_whole([frame.stamp_ns for frame in other.frames], in_window)
        pairs_before = list(zip(stamps[::2], stamps[1::2]))


def test_a_camera_that_stands_still_keeps_whole_pairs():
    selector = selector_of(*[{1}] * 8, window_frames=8, num_keyframes=4)
    assert stamps_s(selector.select()) == [0, 3, 5, 7]
    add_all(selector, [{1}], start_s=8)
    assert stamps_s(selector.select()) == [1, 3, 5, 7]  # not [1, 4, 6, 8]


def test_a_camera_that_stands_still_goes_on_to_look():
    selector, ages_s = selector_of(window_frames=32, num_keyframes=8, newest_age_s=3.0), []
    for second in range(200):
        selector.add(frame_at(second), map_of({1}))
        ages_s.append(second - max(stamps_s(selector.select())))
    assert max(ages_s) == 3


def test_an_empty_window_has_an_empty_selection():
    selection = selector_of().select()

    assert (selection.frames, selection.indices, selection.coverage, selection.version) == ((), (), 0.0, 0)


def test_one_frame_is_one_keyframe():
    assert selector_of({1}).select().indices == (0,)


def test_missing_keyframes_are_filled_in_spaced_in_time():
    selection = selector_of({1, 2}, {1}, {1}, {1}, {1}, {2}, num_keyframes=4).select()

    assert (selection.order, selection.gains) == ((0,), (2,))
    assert selection.indices == (0, 1, 2, 5)


def test_without_fill_only_an_even_number_is_made_up():
    selection = selector_of({1, 2}, {1}, {1}, {3}, {4}, {1}, num_keyframes=6, fill=False).select()

    assert (selection.order, selection.indices) == ((0, 3, 4), (0, 1, 3, 4))


def test_a_set_is_kept_until_a_new_one_sees_enough_more():
    selector = selector_of(range(20), range(20, 40), min_gain=0.1)
    first = selector.select()
    add_all(selector, [range(17, 40)], start_s=2)  # 40 voxels either way
    assert selector.select().version == first.version
    add_all(selector, [range(20, 43)], start_s=3)  # 43 voxels
    assert selector.select().version == first.version
    add_all(selector, [range(20, 44)], start_s=4)  # 44 voxels: a tenth more
    assert selector.select().version == first.version + 1


def test_a_set_is_renewed_when_one_of_its_frames_has_left_the_window():
    selector = selector_of(range(10), range(10, 20), range(10), range(10, 20), window_frames=4, min_gain=0.5)
    first = selector.select()
    assert first.indices == (0, 1)

    add_all(selector, [range(10)], start_s=4)

    renewed = selector.select()
    assert (renewed.indices, renewed.version) == ((0, 1), first.version + 1)
    assert [frame.stamp_ns for frame in renewed.frames] == [1 * SECOND, 2 * SECOND]


def test_indices_of_a_kept_set_move_with_the_window():
    selector = selector_of({9}, {9}, range(10), range(10, 20), window_frames=4, min_gain=0.5)
    assert selector.select().indices == (2, 3)

    add_all(selector, [{9}], start_s=4)

    assert selector.select().indices == (1, 2)


def test_another_number_of_keyframes_is_another_set():
    selector = selector_of({1}, {2}, {3}, {4}, min_gain=0.5)

    assert selector.select().indices == (0, 1)
    assert selector.select(4).indices == (0, 1, 2, 3)
    assert selector.version == 2


@pytest.mark.parametrize("num_keyframes", [0, 1, 3, -2])
def test_an_odd_number_of_keyframes_is_refused(num_keyframes):
    with pytest.raises(InputError, match="even"):
        selector_of({1}).select(num_keyframes)


def test_the_newest_frame_is_kept_if_asked_for():
    selection = selector_of(range(10), range(10, 20), {3}, keep_newest=True).select()

    assert (selection.order, selection.gains) == ((2, 1), (1, 10))


def test_a_kept_set_is_renewed_when_its_newest_frame_is_too_old():
    selector = selector_of(range(10), range(10, 20), keep_newest=True, min_gain=1.0, newest_age_s=2.0)
    version = selector.select().version
    add_all(selector, [{3}, {3}], start_s=2)
    assert selector.select().version == version

    add_all(selector, [{3}], start_s=4)

    assert selector.select().indices == (1, 4)


def test_recent_policy_drops_the_oldest():
    selector = selector_of({1}, {2}, {3}, {4}, window_frames=3)

    assert [candidate.frame.stamp_ns for candidate in selector._window] == [1 * SECOND, 2 * SECOND, 3 * SECOND]


def test_explore_policy_does_not_forget_a_place_seen_long_ago():
    far_away, here = range(100, 110), range(10)
    sets = [far_away] + [here] * 50

    explore = selector_of(*sets, window_frames=4, window_policy="explore").select()
    recent = selector_of(*sets, window_frames=4).select()

    assert (explore.window_voxels, explore.frames[0].stamp_ns) == (20, 0)
    assert recent.window_voxels == 10


def test_explore_policy_never_drops_the_newest():
    selector = selector_of({1}, {2}, {3}, {1}, window_frames=3, window_policy="explore")

    assert selector._window[-1].frame.stamp_ns == 3 * SECOND


def test_the_window_is_bounded_in_seconds():
    assert len(selector_of({1}, {2}, {3}, {4}, window_s=1.5)) == 2


def test_the_window_never_exceeds_its_byte_budget():
    selector = KeyframeSelector(SelectorConfig(window_bytes=1 << 20, voxel_size_m=1.0))
    for second in range(30):
        selector.add(frame_at(second, pixels=50_000), map_of(range(50 * second, 50 * second + 100)))
        assert selector.nbytes <= 1 << 20
    assert 2 <= len(selector) <= 6


def test_many_voxels_count_towards_the_byte_budget():
    selector = KeyframeSelector(SelectorConfig(window_bytes=1 << 20, voxel_size_m=1.0))
    for second in range(40):
        selector.add(frame_at(second), map_of(range(5000 * second, 5000 * second + 5000)))
        assert selector.nbytes <= 1 << 20
    assert len(selector) < 40


def test_memory_does_not_grow_with_the_way_travelled():
    selector = selector_of(window_frames=8)
    sizes = []
    for second in range(2000):
        selector.add(frame_at(second), map_of(range(40 * second, 40 * second + 200)))
        selector.select()
        sizes.append(selector.nbytes)

    assert max(sizes[100:]) <= max(sizes[:100])


def test_a_new_world_frame_starts_anew():
    selector = selector_of({1}, {2})
    version = selector.select().version

    selector.add(frame_at(2), map_of({3}, frame_id="map"))

    assert len(selector) == 1
    assert selector.version == version + 1  # the set is gone


def test_another_scale_starts_anew_with_its_own_voxel_size():
    selector = selector_of({1}, {2}, voxel_size_unscaled=0.25)

    selector.add(frame_at(2), map_of({3}, is_metric=False))

    selection = selector.select()
    assert (selection.window_frames, selection.voxel_size) == (1, 0.25)


def test_a_jump_back_in_time_starts_anew_but_a_late_frame_finds_its_place():
    selector = selector_of({1}, {2}, {3})
    selector.add(frame_at(1.5), map_of({4}))
    assert [candidate.frame.stamp_ns / SECOND for candidate in selector._window] == [0, 1, 1.5, 2]

    selector.add(frame_at(0.9), map_of({5}))

    assert len(selector) == 1


def test_without_point_maps_it_is_uniform_and_says_so():
    selection = selector_of(None, None, None, None, None, num_keyframes=4).select()

    assert (selection.method, selection.indices, selection.coverage) == ("uniform", (0, 1, 2, 4), 0.0)


def test_one_frame_with_a_point_map_is_enough_to_be_space_aware():
    selection = selector_of(None, None, {1}, None, num_keyframes=2).select()

    assert (selection.method, selection.order, selection.indices) == ("space-aware", (2,), (0, 2))


@pytest.mark.parametrize(("method", "indices"), [("uniform", (0, 4)), ("recent", (3, 4))])
def test_baselines_have_the_same_face(method, indices):
    selection = selector_of({1}, {2}, {1, 2}, {3}, {1, 3}, method=method).select()

    assert (selection.method, selection.indices, selection.order) == (method, indices, indices)
    assert (selection.covered_voxels, selection.window_voxels) == (2, 3)


def test_live_parameters_change_while_the_window_stays():
    selector = selector_of({1}, {2}, {3})

    selector.reconfigure(dataclasses.replace(selector.config, method="recent"))

    assert selector.select().indices == (1, 2)


def test_other_parameters_do_not_change_while_running():
    selector = selector_of({1})

    with pytest.raises(InputError, match="voxel_size_m cannot change"):
        selector.reconfigure(dataclasses.replace(selector.config, voxel_size_m=2.0))


def test_the_covered_voxels_are_those_that_the_keyframes_see():
    selection = selector_of({1, 2}, {2}, {-3, 5}, {5}).select()

    assert selection.world_frame_id == "odom"
    assert sorted(selection.voxel_centres[:, 0].tolist()) == [-2.5, 1.5, 2.5, 5.5]
    assert selection.covered_voxels == 4


def test_gains_of_a_kept_set_do_not_change():
    selector = selector_of(range(10), range(8, 15), {1}, min_gain=0.5)
    first = selector.select()
    add_all(selector, [{3}, {4}], start_s=3)

    later = selector.select()

    assert (later.order, later.gains, later.version) == (first.order, (10, 5), first.version)


def test_without_geometry_a_set_is_kept_until_it_is_too_old():
    selector = selector_of(None, None, min_gain=0.03, newest_age_s=1.0)
    version = selector.select().version
    selector.add(frame_at(1.5), None)
    assert selector.select().version == version
    selector.add(frame_at(2.5), None)
    kept = selector.select()
    assert kept.version == version + 1 and kept.frames[-1].stamp_ns == 2.5 * SECOND
