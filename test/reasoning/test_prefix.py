"""Two slots: one serves, one is built, and what was replaced is handed on only when nobody uses it."""

import threading

import numpy as np
import pytest
from support.fake_model import FakeModel, FakePrefill

from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.reasoning.prefix import PrefixSlots, VisualPrefix, build_prefix
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

LONG_S = 20.0


def selection(first=0):
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=2))
    for number in (first, first + 1):
        selector.add(Frame(image=np.full((4, 6, 3), number, np.uint8), stamp_ns=number * 10**9), None)
    return selector.select()


def prefix(first=0, tokens=3):
    state = FakePrefill(list(range(tokens)))
    return VisualPrefix(selection=selection(first), prefill=state, length=tokens, stage_times=())


@pytest.fixture
def slots():
    return PrefixSlots()


def test_what_was_replaced_is_handed_on_once(slots):
    first, second = prefix(), prefix()
    slots.publish(first, 1.0)
    assert slots.take_spare() is None
    slots.publish(second, 2.0)
    assert slots.take_spare() is first.prefill
    assert slots.take_spare() is None


def test_what_was_forgotten_is_handed_on_too(slots):
    only = prefix()
    slots.publish(only, 1.0)
    slots.clear()
    assert slots.take_spare() is only.prefill and slots.newest is None


def test_a_replaced_prefix_is_not_handed_on_while_an_answer_uses_it(slots):
    first = prefix()
    slots.publish(first, 1.0)
    with slots.serving() as borrowed:
        assert borrowed is first
        first.prefill.tokens += [7, 8]
        slots.publish(prefix(), 2.0)
        assert slots.take_spare() is None
    assert slots.take_spare() is first.prefill
    assert first.prefill.length == first.length, "cropped back"


def test_the_serving_prefix_is_never_handed_on(slots):
    only = prefix()
    slots.publish(only, 1.0)
    with slots.serving():
        pass
    slots.publish(only, 2.0)
    assert slots.take_spare() is None


def test_there_is_no_room_for_a_third_prefix_until_the_answer_has_ended(slots):
    slots.publish(prefix(), 1.0)
    has_room = threading.Event()
    with slots.serving():
        slots.publish(prefix(), 2.0)
        waiter = threading.Thread(target=lambda: slots.wait_for_room() and has_room.set())
        waiter.start()
        assert not has_room.wait(0.05)
    assert has_room.wait(LONG_S)
    waiter.join()


def test_a_new_prefix_is_written_over_the_spare_one():
    spare = FakePrefill([1, 2, 3])
    built = build_prefix(FakeModel(), selection(5), take_spare=lambda: spare)
    assert built.prefill is spare and spare.tokens == [5, 6]


def test_a_prefix_that_is_not_wanted_leaves_the_spare_one_alone():
    wanted = iter([True] * 4)  # preprocess, two encoders, fuse
    taken = []
    built = build_prefix(
        FakeModel(), selection(), is_wanted=lambda: next(wanted, False), take_spare=lambda: taken.append(1)
    )
    assert built is None and not taken


def test_an_older_time_does_not_undo_a_confirmation(slots):
    served = prefix()
    slots.publish(served, 5.0)
    slots.confirm(served.selection.version, 9.0)
    slots.confirm(served.selection.version, 7.0)
    slots.confirm(served.selection.version + 1, 11.0)
    assert slots.current_at == 9.0 and slots.is_ready(9.0) and not slots.is_ready(9.5)
