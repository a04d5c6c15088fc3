"""A fault is logged once, shown for a while, and forgotten when it is old."""

import logging

from spatial_mllm_ros.reasoning import fault_log
from spatial_mllm_ros.reasoning.fault_log import FaultLog


def test_fault_that_repeats_itself_is_logged_once(caplog):
    faults = FaultLog(logging.getLogger("test"))
    for _ in range(5):
        faults.report("encoding", ValueError("bad"))
    faults.report("encoding", ValueError("worse"))
    assert [record.exc_info[1].args[0] for record in caplog.records] == ["bad", "worse"]
    assert faults.recent == "encoding failed: worse"


def test_fault_without_words_is_named_by_its_type():
    faults = FaultLog(logging.getLogger("test"))
    faults.report("encoding", KeyError())
    assert faults.recent == "encoding failed: KeyError"


def test_old_fault_is_no_news(monkeypatch):
    faults = FaultLog(logging.getLogger("test"))
    assert faults.recent == ""
    faults.report("encoding", ValueError("bad"))
    monkeypatch.setattr(fault_log, "_RECENT_S", 0.0)
    assert faults.recent == ""
