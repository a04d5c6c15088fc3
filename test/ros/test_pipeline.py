"""Loading in the background: what is found out before, and what happens when nobody wants the model any more."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from spatial_mllm_ros.geometry import GeometryConfig
from spatial_mllm_ros.ros.pipeline import Pipeline

AUTO = SimpleNamespace(geometry=GeometryConfig(provider="auto"), model=SimpleNamespace(checkpoint="none"))


def test_nobody_is_asked_about_depth_after_the_pipeline_was_closed():
    asked = threading.Event()

    def has_depth():
        asked.set()
        return False

    loaded = []
    pipeline = Pipeline(AUTO, lambda _: None, load=loaded.append, has_depth=has_depth)
    assert asked.wait(10)
    pipeline.close()
    asked.clear()
    deadline = time.monotonic() + 10
    while pipeline.is_loading:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not asked.is_set() and not pipeline.problem and not loaded
