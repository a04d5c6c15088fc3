"""The soak itself, short: many real clients, the real node and player; every request ends in a status that is defined."""

from __future__ import annotations

import math
import random

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

from support.graph import ROOT

from spatial_mllm_ros.reasoning import AnswerStatus
from spatial_mllm_ros.ros.soak import main, soak
from spatial_mllm_ros.ros.soak_clients import draw_request
from spatial_mllm_ros.ros.soak_report import SoakReport

BAG = ROOT / "test" / "data" / "sample_bag"


def report(**fields):
    good = {
        "statuses": {},
        "never_ended": {},
        "disagreeing": {},
        "latest_end_s": 0.0,
        "first_token_s": (0.1, 0.2),
        "played": 100,
        "received": 95,
        "memory": [],
        "warm_up_s": 60.0,
    }
    return SoakReport(**{**good, **fields})


def test_requests_are_of_all_kinds():
    chance = random.Random(0)
    requests = [draw_request(chance) for _ in range(500)]
    assert {request.door for request in requests} == {"service", "action"}
    cancelled = [request for request in requests if not math.isnan(request.cancel_after_s)]
    assert cancelled and {request.door for request in cancelled} == {"action"}
    assert {"", "x" * 2000} < {request.question for request in requests}
    assert len({request.timeout_s for request in requests}) == 3
    assert any(request.max_staleness_s for request in requests)


def test_memory_is_looked_at_after_the_warm_up_only():
    samples = [(second, 10**6 * second if second < 60 else 7 * 10**7, 0) for second in range(120)]
    assert report(memory=samples).growth_bytes_per_minute == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"never_ended": {"service: no response": 1}}, {"disagreeing": {"OK, but": 1}}, {"received": 94}])
def test_a_lost_request_a_wrong_status_or_a_deaf_camera_is_a_failure(wrong):
    assert report().is_well and not report(**wrong).is_well


@pytest.mark.parametrize("words", [["--clients", "0"], ["--seconds", "0"], ["--bag", "/nowhere"]])
def test_bad_input_is_refused(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "error:" in capsys.readouterr().err


@pytest.mark.ros
@pytest.mark.slow
def test_sixteen_clients_all_get_a_defined_status_while_a_bag_loops(tmp_path):
    found = soak(num_clients=16, seconds=20.0, bag=BAG, checkpoint="random-small", folder=tmp_path, think_s=0.5)
    logs = "\n".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert not found.never_ended, f"{found.never_ended}\n{logs}"
    assert not found.disagreeing
    for door in ("service", "action"):
        assert set(found.statuses[door]) <= {status.name for status in AnswerStatus} - {"INTERNAL_ERROR"}, logs
        assert found.statuses[door]["INVALID_QUESTION"]
    assert any(statuses["OK"] for statuses in found.statuses.values())  # on a full machine one door may have no luck
    assert found.statuses["action"]["CANCELLED"] and not found.statuses["service"]["CANCELLED"]
    assert 0 < found.received <= found.played
    assert "Traceback" not in logs
