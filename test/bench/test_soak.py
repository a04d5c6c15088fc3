"""The soak finds what it is there to find: requests that never end, and memory that grows."""

import json

import pytest
from support.fake_model import FakeModel

from spatial_mllm_ros.bench import soak as soak_module
from spatial_mllm_ros.bench.soak import SoakResult, soak
from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.reasoning import Reasoner, ReasonerConfig
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

STATUSES = {"OK", "NOT_READY", "BUSY", "INVALID_QUESTION", "TIMEOUT", "CANCELLED"}


def make_reasoner(model):
    selector = KeyframeSelector(SelectorConfig(window_frames=16, num_keyframes=4))
    config = ReasonerConfig(max_new_tokens=8, min_refresh_s=0.1, cache_bytes=1 << 20)
    return Reasoner(model, selector, config=config)


@pytest.mark.slow
@pytest.mark.parametrize("make_model", [FakeModel, lambda: load_spatial_mllm("random-small")], ids=["fake", "real"])
def test_64_clients_all_get_a_status_while_the_recording_loops(make_model):
    with make_reasoner(make_model()) as reasoner:
        result = soak(reasoner, num_clients=64, seconds=4.0, loop_s=1.0)
        ended = reasoner.diagnostics().questions_ended
    assert result.never_ended == 0 and result.loops >= 1
    assert set(result.statuses) <= STATUSES and {"OK", "BUSY", "INVALID_QUESTION"} <= set(result.statuses)
    assert {status.name: count for status, count in ended.items()} == result.statuses


def test_command_prints_what_happened_as_json(capsys):
    assert main(["bench", "soak", "--clients", "2", "--seconds", "0.5", "--loop", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["never_ended"] == 0 and sum(result["statuses"].values()) > 0 and result["frames"] > 0


def test_request_that_never_ends_is_counted(monkeypatch):
    monkeypatch.setattr(soak_module, "_GRACE_S", -5.0)  # look before anything can have ended
    model = FakeModel()
    model.may_speak.clear()
    with make_reasoner(model) as reasoner:
        result = soak(reasoner, num_clients=2, seconds=0.5, loop_s=10.0)
        model.may_speak.set()
    assert result.never_ended > 0


def test_growth_is_the_slope_of_the_samples():
    rising = SoakResult(resident_bytes=[1000 + 10 * number for number in range(100)])  # 10 bytes each half second
    assert rising.growth_bytes_per_minute == pytest.approx(1200)
    assert SoakResult(resident_bytes=[5] * 10).growth_bytes_per_minute == pytest.approx(0, abs=1e-9)
    assert SoakResult().growth_bytes_per_minute == 0


def test_soak_over_ros_without_ros_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(soak_module.importlib.util, "find_spec", lambda name: None)
    assert main(["bench", "soak", "--ros"]) == 2
    assert "make setup" in capsys.readouterr().err


def test_soak_over_ros_runs_as_a_process_of_its_own(monkeypatch):
    called = []
    monkeypatch.setattr(soak_module.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(soak_module.subprocess, "call", lambda command: called.append(command) or 1)
    assert main(["bench", "soak", "--ros", "--clients", "3", "--seconds", "2", "--json"]) == 1
    assert called[0][1:3] == ["-m", "spatial_mllm_ros.ros.soak"] and "--json" in called[0]
