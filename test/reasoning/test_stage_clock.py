"""Stages add up to the whole, and running figures forget what is old."""

import time

import pytest

from spatial_mllm_ros.reasoning import stage_clock
from spatial_mllm_ros.reasoning.stage_clock import StageClock, StageStatistics


def test_laps_follow_each_other_and_add_up():
    started = time.monotonic()
    clock = StageClock(started)
    time.sleep(0.01)
    clock.lap("first")
    clock.lap("second")
    times = dict(clock.finish())
    assert times["first"] >= 0.01
    assert times["first"] + times["second"] <= times["total"] <= time.monotonic() - started


def test_lap_over_tokens_gives_the_mean_of_one():
    clock = StageClock(time.monotonic() - 1.0)
    clock.lap("decode", num_tokens=4)
    times = dict(clock.finish())
    assert times["decode_per_token"] == times["decode"] / 4


def test_note_is_kept_in_order():
    clock = StageClock(time.monotonic())
    clock.lap("a")
    clock.note("b", 5.0)
    assert [stage for stage, _ in clock.finish()] == ["a", "b", "total"]


def test_summary_is_median_and_95th_percentile():
    statistics = StageStatistics()
    for seconds in range(1, 102):
        statistics.add((("total", float(seconds)),))
    assert statistics.summary() == {"total": (51.0, pytest.approx(96.0))}


def test_only_recent_answers_count(monkeypatch):
    monkeypatch.setattr(stage_clock, "_REMEMBERED", 10)
    statistics = StageStatistics()
    for seconds in (1000.0,) * 50 + (1.0,) * 10:
        statistics.add((("total", seconds),))
    assert statistics.summary()["total"] == (1.0, 1.0)
