from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.frames.history import StampedHistory

entries = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 20)), max_size=40)


def filled(stamps_ns, max_count=100, max_bytes=None):
    history = StampedHistory(max_count, max_bytes)
    for stamp_ns in stamps_ns:
        history.add(stamp_ns, f"at {stamp_ns}", nbytes=10)
    return history


def test_nearest_takes_the_earlier_of_two_equally_near():
    history = filled([10, 20, 40])
    assert history.nearest(15) == (10, "at 10")
    assert history.nearest(31) == (40, "at 40")
    assert history.nearest(-5) == (10, "at 10") and history.nearest(99) == (40, "at 40")


def test_around_gives_the_neighbours_or_the_same_entry_twice():
    history = filled([20, 10])
    assert history.around(15) == ((10, "at 10"), (20, "at 20"))
    assert history.around(20) == ((20, "at 20"), (20, "at 20"))
    assert history.around(5) == (None, (10, "at 10")) and history.around(25) == ((20, "at 20"), None)


def test_an_empty_history_has_nothing_near():
    history = StampedHistory(3)
    assert history.nearest(0) is None and history.around(0) == (None, None) and history.newest_ns is None


def test_over_its_count_the_oldest_stamp_goes_first():
    history = filled([3, 1, 2, 5], max_count=2)
    assert len(history) == 2 and history.around(3) == ((3, "at 3"), (3, "at 3")) and history.newest_ns == 5


def test_over_its_bytes_the_oldest_go_but_the_newest_stays():
    assert len(filled([1, 2, 3], max_bytes=20)) == 2
    assert filled([1, 2], max_bytes=5).newest_ns == 2


def test_a_value_with_the_same_stamp_takes_the_place_of_the_older_one():
    history = filled([1])
    history.add(1, "newer", nbytes=3)
    assert history.nearest(1) == (1, "newer") and history.nbytes == 3


def test_clear_forgets_everything():
    history = filled([1, 2])
    history.clear()
    assert len(history) == 0 and history.nbytes == 0 and history.newest_ns is None


@given(entries=entries, stamp_ns=st.integers(-60, 60), max_count=st.integers(1, 8), max_bytes=st.integers(1, 60))
def test_it_stays_within_its_bounds_and_finds_the_nearest_of_what_it_holds(entries, stamp_ns, max_count, max_bytes):
    history = StampedHistory(max_count, max_bytes)
    for stamp, nbytes in entries:
        history.add(stamp, stamp, nbytes)
        assert len(history) <= max_count
        assert history.nbytes <= max_bytes or len(history) == 1
    if entries:
        held = [stamp for stamp in range(-50, 51) if history.around(stamp)[0] == (stamp, stamp)]
        assert len(held) == len(history)
        assert abs(history.nearest(stamp_ns)[0] - stamp_ns) == min(abs(stamp - stamp_ns) for stamp in held)
