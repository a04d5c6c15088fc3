"""Assembler and gate together, as the camera's callbacks use them: frames with depth get through, whatever the rates.

A depth camera that is slower than the colour camera has a partner for every so-manyth image only. Which of them the
gate lets through depends on where it began, so every beginning is tried.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.frames import AssemblerConfig, Frame, FrameAssembler, FrameGate, GateConfig

SECOND = 1_000_000_000
IMAGE = np.zeros((4, 4, 3), np.uint8)
DEPTH = np.ones((4, 4), np.float32)
SECONDS = 6
SETTLED_S = 0.6  # after the first image: depth must have been heard of, and then have met an image
RATES = st.tuples(st.sampled_from([15, 30, 60]), st.sampled_from([5, 10, 15, 30]), st.floats(1.0, 30.0))


class Camera:
    """What the node does with messages, without messages."""

    def __init__(self, gate_hz: float, depth_tolerance_s: float = 0.02):
        self.assembler = FrameAssembler(AssemblerConfig(depth_tolerance_s=depth_tolerance_s))
        self.gate = FrameGate(GateConfig(max_rate_hz=gate_hz, min_sharpness=0.0, min_motion=0.0))
        self.passed: list[Frame] = []
        self.decoded = 0

    def on_image(self, stamp_ns: int):
        if not self.gate.would_be_too_soon(stamp_ns, may_have_depth=self.assembler.may_have_depth(stamp_ns)):
            self.decoded += 1
            self._hand_on(self.assembler.add_image(IMAGE, stamp_ns=stamp_ns))

    def on_depth(self, stamp_ns: int):
        self._hand_on(self.assembler.add_depth(DEPTH, stamp_ns=stamp_ns))

    def _hand_on(self, frames):
        self.passed += [frame for frame in frames if self.gate.accept(frame)]

    def settled(self) -> list[Frame]:
        """The frames that passed after some time."""
        return [frame for frame in self.passed if frame.stamp_ns > self.passed[0].stamp_ns + SETTLED_S * SECOND]


def play(camera: Camera, images_s, depths_s, image_delay_s=0.0, depth_delay_s=0.01):
    """Let images and depth images arrive, each as long after its stamp as its stream is delayed."""
    messages = [(time_s + image_delay_s, camera.on_image, time_s) for time_s in images_s]
    messages += [(time_s + depth_delay_s, camera.on_depth, time_s) for time_s in depths_s]
    for _, receive, time_s in sorted(messages, key=lambda message: message[0]):
        receive(round((100 + time_s) * SECOND))


def times(rate_hz: int, lost: int = 0, offset_s: float = 0.0) -> list[float]:
    return [number / rate_hz + offset_s for number in range(lost, SECONDS * rate_hz)]


@pytest.mark.parametrize("lost", range(13))
def test_whichever_image_is_the_first_a_tenth_second_gate_meets_the_depth_of_every_fifth(lost):
    camera = Camera(gate_hz=10.0)
    play(camera, times(30, lost), times(5))
    frames = camera.settled()
    assert len(frames) >= 21 and all(frame.depth_m is not None for frame in frames)


@given(
    rates=RATES,
    lost=st.integers(0, 30),
    offset_ms=st.floats(-5.0, 5.0),
    delays_ms=st.tuples(st.floats(0.0, 80.0), st.floats(0.0, 80.0)),
    jitter_ms=st.floats(0.0, 3.0),
    seed=st.integers(0, 1000),
)
def test_once_settled_only_frames_with_depth_pass_and_as_many_as_the_rate_allows(
    rates, lost, offset_ms, delays_ms, jitter_ms, seed
):
    colour_hz, depth_hz, gate_hz = rates
    rng = np.random.default_rng(seed)

    def jittered(times_s):
        return np.sort(np.array(times_s) + rng.uniform(-jitter_ms, jitter_ms, len(times_s)) / 1e3)

    camera = Camera(gate_hz)
    image_delay_s, depth_delay_s = (delay_ms / 1e3 for delay_ms in delays_ms)
    images_s, depths_s = jittered(times(colour_hz, lost)), jittered(times(depth_hz, offset_s=offset_ms / 1e3))
    play(camera, images_s, depths_s, image_delay_s, depth_delay_s)
    frames = camera.settled()
    assert all(frame.depth_m is not None for frame in frames)
    pairs_hz = min(math.gcd(colour_hz, depth_hz), gate_hz)
    assert len(frames) >= 0.75 * pairs_hz * (SECONDS - images_s[0] - SETTLED_S) - 2


@settings(max_examples=40, deadline=None)
@given(rates=RATES, seed=st.integers(0, 1000), lost_share=st.floats(0.0, 0.3))
def test_images_lost_on_the_way_hardly_bring_frames_without_depth(rates, seed, lost_share):
    colour_hz, depth_hz, gate_hz = rates
    rng, frames = np.random.default_rng(seed), []
    for _ in range(30):  # one drive has some ten frames, too few for a share
        camera = Camera(gate_hz)
        play(camera, [time_s for time_s in times(colour_hz) if rng.random() >= lost_share], times(depth_hz))
        frames += camera.settled()
    assert sum(frame.depth_m is not None for frame in frames) >= 0.7 * len(frames)


@given(rates=RATES, lost=st.integers(0, 30), stop_s=st.floats(1.0, 4.0))
def test_colour_goes_on_alone_when_depth_stops(rates, lost, stop_s):
    colour_hz, depth_hz, gate_hz = rates
    camera = Camera(gate_hz)
    play(camera, times(colour_hz, lost), [time_s for time_s in times(depth_hz) if time_s < stop_s])
    latest_s = max(frame.stamp_ns for frame in camera.passed) / SECOND - 100
    assert SECONDS - latest_s < 2.0 / gate_hz + 2.0 / colour_hz + 0.6


@given(rates=RATES)
def test_depth_that_never_fits_an_image_does_not_stop_the_camera(rates):
    colour_hz, _, gate_hz = rates
    camera = Camera(gate_hz, depth_tolerance_s=0.003)
    play(camera, times(colour_hz), times(5, offset_s=0.5 / colour_hz))
    assert len(camera.passed) >= 0.75 * min(gate_hz, colour_hz) * (SECONDS - 1)


def test_without_depth_only_images_that_may_pass_are_decoded():
    camera = Camera(gate_hz=10.0)
    play(camera, times(30), [])
    assert camera.decoded == len(camera.passed) == pytest.approx(10 * SECONDS, abs=2)
