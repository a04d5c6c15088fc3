import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame, FrameGate, GateConfig
from spatial_mllm_ros.frames.gate import mean_motion, sharpness, small_grey

SECOND = 1_000_000_000
TEXTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
SHARP = cv2.resize(TEXTURE, (640, 480), interpolation=cv2.INTER_NEAREST)
BLURRED = cv2.GaussianBlur(SHARP, (0, 0), 25)
TINY = np.zeros((4, 4, 3), np.uint8)
NEAR = np.ones((4, 4), np.float32)
ANY = {"max_rate_hz": 0.0, "min_sharpness": 0.0, "min_motion": 0.0}


def frame_at(time_s: float, image: np.ndarray = SHARP) -> Frame:
    return Frame(image=image, stamp_ns=round(time_s * SECOND))


def moved(pixels: int) -> np.ndarray:
    return np.roll(SHARP, pixels, axis=1)


def accepted(gate: FrameGate, times_s, image=SHARP) -> list[float]:
    return [time_s for time_s in times_s if gate.accept(frame_at(time_s, image))]


def test_an_open_gate_lets_everything_through():
    gate = FrameGate(GateConfig(**ANY))
    assert len(accepted(gate, [0.0, 0.001, 0.002])) == 3
    assert gate.counts == {"accepted": 3}


def test_a_thirty_hertz_camera_behind_a_ten_hertz_gate_passes_every_third_frame():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 10.0}))
    passed = accepted(gate, [index / 30 for index in range(90)])
    assert np.diff(passed)[1:] == pytest.approx(0.1)  # the first gap may be shorter by the slack
    assert gate.counts == {"accepted": len(passed), "too_soon": 90 - len(passed)}


def test_jitter_does_not_lower_the_rate_of_a_camera_as_fast_as_the_gate():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 30.0}))
    jitter_s = np.random.default_rng(3).uniform(-0.005, 0.005, 300)
    times_s = [index / 30 + jitter for index, jitter in enumerate(jitter_s)]
    assert len(accepted(gate, times_s)) == 300


@given(
    rate_hz=st.floats(0.5, 60.0),
    frames=st.lists(st.tuples(st.integers(0, SECOND // 2), st.booleans()), min_size=1, max_size=80),
    some_have_depth=st.booleans(),
    patience_s=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_no_span_of_time_ever_passes_more_than_the_rate_allows(rate_hz, frames, some_have_depth, patience_s):
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": rate_hz, "depth_patience_s": patience_s}))
    stamps_ns = np.cumsum([step_ns for step_ns, _ in frames]).tolist()
    passed = [
        stamp_ns
        for stamp_ns, (_, has_depth) in zip(stamps_ns, frames, strict=True)
        if gate.accept(Frame(image=TINY, stamp_ns=stamp_ns, depth_m=NEAR if has_depth and some_have_depth else None))
    ]
    most_at_once = 2.5 if some_have_depth else 1.5
    for first, begin_ns in enumerate(passed):
        for last in range(first, len(passed)):
            span_s = (passed[last] - begin_ns) / SECOND
            assert last - first + 1 <= span_s * rate_hz + most_at_once + 1e-6


@given(
    rate_hz=st.floats(0.5, 60.0),
    steps=st.lists(st.tuples(st.integers(0, SECOND // 4), st.booleans()), min_size=2, max_size=40),
    asked=st.integers(0, 39),
)
def test_a_frame_said_to_come_too_soon_is_refused_whatever_passes_before_it(rate_hz, steps, asked):
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": rate_hz}))
    stamps_ns = np.cumsum([step_ns for step_ns, _ in steps]).tolist()
    asked %= len(steps)
    was_too_soon = [False, False]  # said of the frame `asked`, by `may_have_depth`, at any time before it comes
    for index, (stamp_ns, (_, has_depth)) in enumerate(zip(stamps_ns, steps, strict=True)):
        if index <= asked:
            for may_have_depth in (False, True):
                said = gate.would_be_too_soon(stamps_ns[asked], may_have_depth=may_have_depth)
                was_too_soon[may_have_depth] |= said
        passed = gate.accept(Frame(image=TINY, stamp_ns=stamp_ns, depth_m=NEAR if has_depth else None))
        if index == asked:
            assert not (passed and was_too_soon[has_depth])


def test_a_blurred_frame_is_dropped_and_counted():
    gate = FrameGate(GateConfig(**{**ANY, "min_sharpness": 8.0}))
    assert not gate.accept(frame_at(0.0, BLURRED))
    assert gate.accept(frame_at(0.1))
    assert gate.counts == {"blurred": 1, "accepted": 1}


def test_the_rate_is_not_used_up_by_blurred_frames():
    gate = FrameGate(GateConfig(max_rate_hz=2.0, min_sharpness=8.0, min_motion=0.0))
    images = [SHARP, SHARP, BLURRED, BLURRED, SHARP]
    passed = [gate.accept(frame_at(0.2 * index, image)) for index, image in enumerate(images)]
    assert passed == [True, False, False, False, True]
    assert gate.counts == {"accepted": 2, "too_soon": 1, "blurred": 2}


def test_an_unmoved_frame_is_dropped_until_enough_motion_adds_up():
    gate = FrameGate(GateConfig(**{**ANY, "min_motion": 3.0, "max_gap_s": 100.0}))
    passed = [gate.accept(frame_at(index / 10, SHARP // 2 + np.uint8(index))) for index in range(8)]
    assert passed == [True, False, False, True, False, False, True, False]  # one grey level a frame
    assert gate.counts == {"accepted": 3, "unmoved": 5}


def test_after_the_longest_gap_a_frame_passes_as_it_is():
    gate = FrameGate(GateConfig(max_rate_hz=0.0, min_sharpness=8.0, min_motion=1.0, max_gap_s=1.0))
    assert accepted(gate, [0.0, 0.5, 1.0, 1.1, 1.5]) == [0.0, 1.1]
    assert accepted(gate, [2.0, 2.2], BLURRED) == [2.2]


def test_a_camera_that_begins_blurred_passes_after_the_longest_gap():
    gate = FrameGate(GateConfig(max_rate_hz=0.0, min_sharpness=8.0, min_motion=0.0, max_gap_s=1.0))
    assert accepted(gate, [0.0, 0.9, 1.2, 1.3], BLURRED) == [1.2]


def test_a_jump_back_in_time_resets_the_gate():
    gate = FrameGate(GateConfig(max_rate_hz=1.0, min_sharpness=0.0, min_motion=1.0))
    assert gate.accept(frame_at(100.0))
    assert gate.accept(frame_at(3.0))
    assert gate.counts == {"accepted": 2, "time_jump": 1}


def test_a_frame_that_comes_late_is_dropped_without_a_reset():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 1.0}))
    assert accepted(gate, [10.0, 9.5, 10.1, 11.0]) == [10.0, 11.0]
    assert gate.counts == {"accepted": 2, "out_of_order": 1, "too_soon": 1}


def test_reset_forgets_frames_but_keeps_counts():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 1.0}))
    gate.accept(frame_at(0.0))
    gate.reset()
    assert gate.accept(frame_at(0.1)) and gate.counts == {"accepted": 2}


def test_a_new_config_holds_from_the_next_frame():
    gate = FrameGate(GateConfig(**ANY))
    gate.accept(frame_at(0.0))
    gate.config = GateConfig(max_rate_hz=1.0, min_sharpness=0.0, min_motion=5.0)
    assert gate.accept(frame_at(0.1))  # nothing was measured before, so there is nothing to compare with
    assert not gate.accept(frame_at(0.2))
    gate.config = GateConfig(**ANY)
    assert gate.accept(frame_at(0.3))


def test_a_change_of_size_counts_as_motion():
    gate = FrameGate(GateConfig(**{**ANY, "min_motion": 5.0}))
    assert gate.accept(frame_at(0.0)) and gate.accept(frame_at(0.1, SHARP[:240]))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 480, (120, 160)),
        (1280, 720, (90, 160)),
        (848, 480, (120, 212)),
        (100, 80, (80, 100)),
        (1921, 3, (1, 960)),
        (1, 1, (1, 1)),
    ],
)
def test_the_small_image_is_halved_until_it_is_small(width, height, expected):
    assert small_grey(np.zeros((height, width, 3), np.uint8)).shape == expected


def test_the_small_image_is_the_mean_of_its_pixels():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, ::2] = 100
    assert (small_grey(image) == 50).all()


def test_sharpness_of_a_flat_image_is_zero_and_grows_with_detail():
    assert sharpness(np.full((20, 30), 77, np.uint8)) == 0
    assert sharpness(small_grey(BLURRED)) < 8 < sharpness(small_grey(SHARP))


def test_sharpness_of_a_single_bright_pixel_by_hand():
    grey = np.zeros((5, 5), np.uint8)
    grey[2, 2] = 10  # Laplacian: -40 once, +10 four times, 0 elsewhere; mean 0
    assert sharpness(grey) == pytest.approx((40**2 + 4 * 10**2) / 25)


def test_mean_motion_by_hand():
    grey = np.full((2, 2), 10, np.uint8)
    assert mean_motion(grey, np.array([[10, 12], [6, 10]], np.uint8)) == pytest.approx(1.5)
    assert mean_motion(grey, grey[:1]) == 255.0


def test_limits_outside_their_range_are_refused():
    with pytest.raises(InputError, match="max_rate_hz"):
        GateConfig(max_rate_hz=-1.0)


def test_a_sideways_shift_is_motion():
    gate = FrameGate(GateConfig(**{**ANY, "min_motion": 1.0}))
    assert (
        gate.accept(frame_at(0.0))
        and gate.accept(frame_at(0.1, moved(20)))
        and not gate.accept(frame_at(0.2, moved(20)))
    )


def with_depth(time_s: float) -> Frame:
    return Frame(image=SHARP, stamp_ns=round(time_s * SECOND), depth_m=np.ones((2, 3), np.float32))


def test_frames_of_a_slow_depth_camera_are_waited_for():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 10.0}))
    frames = [with_depth(i / 30) if i % 6 == 2 else frame_at(i / 30) for i in range(90)]
    passed = [frame for frame in frames if gate.accept(frame)]
    assert all(frame.depth_m is not None for frame in passed[1:])  # the first came before any depth
    assert len(passed) == 1 + 15


def test_frames_without_depth_pass_again_once_depth_has_stopped():
    gate = FrameGate(GateConfig(**ANY, depth_patience_s=0.5))
    assert gate.accept(with_depth(0.0))
    assert accepted(gate, [0.1, 0.4, 0.6, 0.7]) == [0.6, 0.7]
    assert gate.counts["no_depth"] == 2


def test_the_first_frame_with_depth_after_one_without_is_never_too_soon():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 1.0}))
    assert gate.accept(frame_at(0.0)) and gate.accept(with_depth(0.01))
    assert not gate.accept(with_depth(1.4)) and gate.accept(with_depth(1.5))  # paid back: due at 2.0, early by 0.5
    assert gate.counts == {"accepted": 3, "too_soon": 1}


def test_depth_is_waited_for_beyond_the_time_when_a_frame_is_due():
    gate = FrameGate(GateConfig(**{**ANY, "max_rate_hz": 1.0}))
    assert gate.accept(with_depth(0.0))
    assert accepted(gate, [0.4, 0.5, 0.9]) == []  # due from 0.5 on, though nothing with depth was shown for that long
    assert gate.counts == {"accepted": 1, "too_soon": 1, "no_depth": 2}
    assert accepted(gate, [1.0]) == [1.0]
