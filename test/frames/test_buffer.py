import threading
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import BufferConfig, Frame, FrameBuffer

DEADLINE_S = 20.0


def make_frame(stamp_ns: int = 0, nbytes: int = 3) -> Frame:
    return Frame(image=np.zeros((1, nbytes // 3, 3), np.uint8), stamp_ns=stamp_ns)


def stamps(frames: list[Frame]) -> list[int]:
    return [frame.stamp_ns for frame in frames]


def test_frames_come_out_in_the_order_they_went_in():
    buffer = FrameBuffer(max_frames=3, max_bytes=100)
    for stamp_ns in (5, 3, 9):
        assert buffer.put(make_frame(stamp_ns))
    assert buffer.get().stamp_ns == 5
    assert stamps(buffer.drain()) == [3, 9]
    assert buffer.drain() == [] and buffer.get() is None


def test_over_its_count_the_oldest_frame_goes_first_and_is_counted():
    buffer = FrameBuffer(max_frames=2, max_bytes=100)
    for stamp_ns in range(5):
        buffer.put(make_frame(stamp_ns))
    assert buffer.dropped == {"over_count": 3}
    assert stamps(buffer.drain()) == [3, 4]


def test_over_its_bytes_as_many_old_frames_go_as_the_new_one_needs():
    buffer = FrameBuffer(max_frames=10, max_bytes=30)
    for stamp_ns in range(3):
        buffer.put(make_frame(stamp_ns, nbytes=9))
    buffer.put(make_frame(3, nbytes=18))
    assert buffer.dropped == {"over_bytes": 2}
    assert buffer.nbytes == 27 and len(buffer) == 2


def test_depth_counts_against_the_byte_budget():
    buffer = FrameBuffer(max_frames=10, max_bytes=10)
    frame = Frame(image=np.zeros((1, 1, 3), np.uint8), stamp_ns=0, depth_m=np.zeros((1, 2), np.float32))
    assert not buffer.put(frame)
    assert buffer.dropped == {"too_large": 1}


def test_a_frame_larger_than_the_budget_is_dropped_and_pushes_nothing_out():
    buffer = FrameBuffer(max_frames=10, max_bytes=30)
    buffer.put(make_frame(1, nbytes=30))
    assert not buffer.put(make_frame(2, nbytes=33))
    assert buffer.dropped == {"too_large": 1}
    assert stamps(buffer.drain()) == [1]


def test_latest_is_the_newest_and_stays_in_the_buffer():
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    assert buffer.latest() is None
    buffer.put(make_frame(1))
    buffer.put(make_frame(2))
    assert buffer.latest().stamp_ns == 2 and len(buffer) == 2


def test_clear_drops_and_counts_what_was_held():
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    buffer.put(make_frame(1))
    assert buffer.clear() == 1
    assert buffer.clear() == 0
    assert buffer.dropped == {"cleared": 1} and len(buffer) == 0 and buffer.nbytes == 0


def test_a_closed_buffer_refuses_frames_but_gives_what_it_holds():
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    buffer.put(make_frame(1))
    buffer.close()
    buffer.close()
    assert buffer.is_closed and not buffer.put(make_frame(2))
    assert stamps(buffer.drain(timeout_s=None)) == [1]
    assert buffer.drain(timeout_s=None) == [] and buffer.get(timeout_s=None) is None
    assert buffer.dropped == {"closed": 1}


def test_an_empty_wait_ends_with_nothing():
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    assert buffer.drain(timeout_s=0.01) == [] and buffer.get(timeout_s=0.01) is None


@pytest.mark.parametrize("take", [lambda b: b.drain(timeout_s=None), lambda b: [b.get(timeout_s=None)]])
def test_put_wakes_a_waiting_consumer(take):
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    taken: list[list[Frame]] = []
    consumer = threading.Thread(target=lambda: taken.append(take(buffer)))
    consumer.start()
    buffer.put(make_frame(7))
    consumer.join(DEADLINE_S)
    assert stamps(taken[0]) == [7]


def test_close_wakes_every_waiting_consumer():
    buffer = FrameBuffer(max_frames=4, max_bytes=100)
    consumers = [threading.Thread(target=buffer.drain, args=(None,)) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    buffer.close()
    for consumer in consumers:
        consumer.join(DEADLINE_S)
        assert not consumer.is_alive()


def test_no_frame_is_lost_or_doubled_between_many_threads():
    buffer = FrameBuffer(max_frames=8, max_bytes=10**6)
    taken: list[int] = []
    lock = threading.Lock()

    def produce(offset: int) -> None:
        for index in range(500):
            buffer.put(make_frame(offset + index))

    def consume() -> None:
        while frames := buffer.drain(timeout_s=None):
            with lock:
                taken.extend(stamps(frames))

    producers = [threading.Thread(target=produce, args=(1000 * index,)) for index in range(4)]
    consumers = [threading.Thread(target=consume) for _ in range(2)]
    for thread in producers + consumers:
        thread.start()
    for thread in producers:
        thread.join(DEADLINE_S)
    buffer.close()
    for thread in consumers:
        thread.join(DEADLINE_S)
    assert len(taken) == len(set(taken)) == buffer.delivered
    assert buffer.received == 2000 == buffer.delivered + sum(buffer.dropped.values())


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0), (-1, 5)])
def test_bounds_that_hold_nothing_are_refused(bounds):
    with pytest.raises(InputError, match="positive bounds"):
        FrameBuffer(*bounds)


def test_the_default_bounds_make_a_buffer():
    config = BufferConfig()
    assert FrameBuffer(config.max_frames, config.max_bytes).put(make_frame())
    with pytest.raises(InputError, match="max_frames"):
        BufferConfig(max_frames=0)


class BufferAgainstModel(RuleBasedStateMachine):
    """The buffer does what a plain list with the same two bounds does."""

    MAX_FRAMES, MAX_BYTES = 4, 60

    def __init__(self) -> None:
        super().__init__()
        self.buffer = FrameBuffer(self.MAX_FRAMES, self.MAX_BYTES)
        self.model: deque[tuple[int, int]] = deque()
        self.dropped: Counter[str] = Counter()
        self.received = 0
        self.is_closed = False

    @rule(pixels=st.integers(1, 25))
    def put(self, pixels: int) -> None:
        nbytes = 3 * pixels
        self.received += 1
        is_kept = self.buffer.put(make_frame(self.received, nbytes))
        if self.is_closed or nbytes > self.MAX_BYTES:
            self.dropped["closed" if self.is_closed else "too_large"] += 1
            assert not is_kept
            return
        assert is_kept
        if len(self.model) == self.MAX_FRAMES:
            self.model.popleft()
            self.dropped["over_count"] += 1
        while sum(size for _, size in self.model) + nbytes > self.MAX_BYTES:
            self.model.popleft()
            self.dropped["over_bytes"] += 1
        self.model.append((self.received, nbytes))

    @rule()
    def get(self) -> None:
        frame = self.buffer.get()
        expected = self.model.popleft()[0] if self.model else None
        assert (None if frame is None else frame.stamp_ns) == expected

    @rule()
    def drain(self) -> None:
        assert stamps(self.buffer.drain()) == [stamp for stamp, _ in self.model]
        self.model.clear()

    @rule()
    def clear(self) -> None:
        assert self.buffer.clear() == len(self.model)
        if self.model:
            self.dropped["cleared"] += len(self.model)
        self.model.clear()

    @rule()
    def close(self) -> None:
        self.buffer.close()
        self.is_closed = True

    @invariant()
    def agrees(self) -> None:
        buffer, model = self.buffer, self.model
        assert len(buffer) == len(model) <= self.MAX_FRAMES
        assert buffer.nbytes == sum(size for _, size in model) <= self.MAX_BYTES
        assert buffer.dropped == self.dropped
        latest = buffer.latest()
        assert (latest and latest.stamp_ns) == (model[-1][0] if model else None)
        assert buffer.received == self.received == buffer.delivered + sum(self.dropped.values()) + len(model)


BufferAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_buffer_behaves_like_a_bounded_list = BufferAgainstModel.TestCase
