"""Memory over time, as both soaks look at it."""

import os

import pytest

from spatial_mllm_ros.bench.machine import resident_bytes, slope_per_minute


def test_slope_of_memory_is_in_bytes_per_minute():
    assert slope_per_minute([(second, 1000 + 2 * second) for second in range(60, 120)]) == pytest.approx(120)
    assert slope_per_minute([(0.0, 5), (1.0, 9)]) == 0


def test_memory_of_a_process_is_found_by_its_id():
    assert resident_bytes(os.getpid()) == pytest.approx(resident_bytes(), rel=0.1) and resident_bytes() > 1 << 20
