import logging
import operator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame, FrameReader, Span

SECOND = 1_000_000_000


class CountingReader(FrameReader):
    """Three frames, then the end or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(Path("some/where"), logging.getLogger("test_reader"))
        self.len_hint, self._error = 3, error

    def _read(self):
        for stamp_ns in range(3):
            yield Frame(image=np.zeros((1, 1, 3), np.uint8), stamp_ns=stamp_ns)
        if self._error:
            raise self._error


def test_a_reader_is_an_iterator_that_counts_its_frames():
    reader = CountingReader()
    assert reader.name == "where" and operator.length_hint(reader) == 3 and iter(reader) is reader
    assert [frame.stamp_ns for frame in reader] == [0, 1, 2]
    assert reader.counts == {"frames": 3} and list(reader) == []


def test_an_error_ends_the_reading():
    reader = CountingReader(InputError("damaged"))
    with pytest.raises(InputError, match="damaged"):
        list(reader)
    assert list(reader) == []


@pytest.mark.parametrize(
    "limits",
    [{"start_s": -0.1}, {"start_s": float("nan")}, {"duration_s": 0.0}, {"duration_s": float("inf")}, {"stride": 0}],
)
def test_a_span_outside_its_limits_is_refused(limits):
    with pytest.raises(InputError, match=next(iter(limits)).partition("_")[0]):
        Span(**limits)


def test_a_span_holds_its_start_and_not_its_end():
    span = Span(start_s=1.0, duration_s=2.0)
    assert [span.contains(round(time * SECOND)) for time in (0.999, 1.0, 2.999, 3.0)] == [False, True, True, False]
    assert not span.is_past(0) and span.is_past(3 * SECOND)
    assert Span().contains(10**18) and not Span().is_past(10**18)


@given(
    start_s=st.integers(0, 30), duration_s=st.one_of(st.none(), st.integers(1, 40)),
    stride=st.integers(1, 7), rate_hz=st.sampled_from([1, 2, 10]),
)  # fmt: skip
def test_the_estimate_of_frames_is_near_the_truth(start_s, duration_s, stride, rate_hz):
    span = Span(start_s=float(start_s), duration_s=duration_s, stride=stride)
    count = 20 * rate_hz
    truth = len([n for n in range(count) if span.contains(round(n / rate_hz * SECOND))][::stride])
    assert abs(span.count_of(count, 20.0) - truth) <= 1


def test_a_recording_of_no_length_is_one_moment():
    assert Span().count_of(1, 0.0) == 1 and Span(start_s=1.0).count_of(1, 0.0) == 0
