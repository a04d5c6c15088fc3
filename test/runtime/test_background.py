"""Torch serves while encoders are opened beside it; they are handed over once, and closing is clean at any moment."""

import logging
import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime import background
from spatial_mllm_ros.runtime.backends import Opened, Stopped
from spatial_mllm_ros.runtime.background import BackgroundOpening
from spatial_mllm_ros.runtime.config import RuntimeConfig
from spatial_mllm_ros.runtime.preparation import Preparation
from spatial_mllm_ros.runtime.preparation_process import PreparationProcess

LONG_S = 30.0
MODEL = SimpleNamespace(name="fake", device=torch.device("cpu"))
ENCODERS = SimpleNamespace(backend="tensorrt")


@pytest.fixture
def begin(monkeypatch, tmp_path):
    """Begin an opening that does what a function says in place of `open_encoders`."""
    begun = []

    def begin(opens, **config):
        monkeypatch.setattr(background, "open_encoders", opens)
        settings = RuntimeConfig(**{"backend": "tensorrt", "engine_folder": str(tmp_path / "engines"), **config})
        used = []
        opening = BackgroundOpening(MODEL, settings, used.append)
        begun.append(opening)
        opening.start()
        return opening, used

    yield begin
    for opening in begun:
        opening.close()


def ended(opening):
    opening._thread.join(LONG_S)
    assert not opening.is_running
    return opening


def test_encoders_are_handed_over_once_they_are_open(begin):
    may_open = threading.Event()

    def opens(*_, report, **__):
        report("building encoder_2d")
        assert may_open.wait(LONG_S)
        return Opened(encoders=ENCODERS)

    opening, used = begin(opens)
    assert used == [] and opening.step != ""
    may_open.set()
    ended(opening)
    assert used == [ENCODERS] and (opening.step, opening.problem) == ("", "")


@pytest.mark.parametrize(("backend", "level"), [("auto", logging.WARNING), ("tensorrt", logging.ERROR)])
def test_a_problem_is_an_error_where_the_backend_was_named(begin, caplog, backend, level):
    opening, used = begin(lambda *_, **__: Opened(problem="torch encodes: no GPU"), backend=backend)
    ended(opening)
    assert used == [] and opening.problem == "torch encodes: no GPU"
    assert [record.levelno for record in caplog.records if record.getMessage() == opening.problem] == [level]


def test_a_wrong_spec_is_a_problem_that_lists_the_right_ones(begin):
    opening = ended(begin(lambda *_, **__: Opened(), spec="orin")[0])
    assert opening.problem.startswith("torch encodes: there is no engine spec") and "agx_orin" in opening.problem


def test_a_fault_of_ours_is_a_problem_too(begin):
    def opens(*_, **__):
        raise KeyError("encoder_3d")

    assert "encoder_3d" in ended(begin(opens)[0]).problem


def test_the_parameters_reach_the_opening(begin, tmp_path):
    seen = []

    def opens(model, spec, backend, **options):
        seen.append((model, spec.runtime, backend, options))
        return Opened()

    ended(begin(opens, spec="orin_nx", cache_gib=0.5, builds=False)[0])
    ((model, runtime, backend, options),) = seen
    assert (model, runtime, backend) == (MODEL, "tensorrt", "tensorrt")
    assert options["folder"] == tmp_path / "engines" and options["max_bytes"] == 1 << 29
    assert options["prepare"] is None


def test_closing_kills_a_builder_and_hands_nothing_over(begin, monkeypatch, tmp_path):
    building = threading.Event()
    code = 'import time; print(\'{"step": "building"}\', flush=True); time.sleep(600)'
    monkeypatch.setattr(background, "PreparationProcess", lambda: PreparationProcess([sys.executable, "-c", code]))

    def opens(model, spec, backend, *, folder, max_bytes, prepare, report, stop):
        threading.Thread(target=_set_when, args=(lambda: opening.step == "building", building)).start()
        wanted = Preparation(checkpoint="x", weights_sha256="y", spec=spec, folder=folder, max_bytes=max_bytes)
        try:
            prepare(wanted)
        except EngineError:
            if stop.is_set():
                raise Stopped from None
        return Opened(encoders=ENCODERS)

    opening, used = begin(opens)
    assert building.wait(LONG_S)
    opening.close()
    assert not opening.is_running and used == [] and opening.problem == ""


def _set_when(condition, event):
    while not condition():
        event.wait(0.01)
    event.set()


def test_encoders_that_are_open_too_late_are_not_used(begin):
    may_open, is_opening = threading.Event(), threading.Event()

    def opens(*_, stop, **__):
        is_opening.set()
        assert may_open.wait(LONG_S)
        return Opened(encoders=ENCODERS)

    opening, used = begin(opens)
    assert is_opening.wait(LONG_S)
    closer = threading.Thread(target=opening.close)
    closer.start()
    assert opening._stop.wait(LONG_S)
    may_open.set()
    closer.join(LONG_S)
    assert used == []
