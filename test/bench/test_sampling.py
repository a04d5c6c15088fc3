"""The sampling benchmark runs, and its figures are what they are called."""

from __future__ import annotations

import argparse
import json

import pytest

from spatial_mllm_ros.bench import coverage, sampling


def run(benchmark, *arguments):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return benchmark.run(parser.parse_args(arguments))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sampling, "_CANDIDATES", (4,))
    monkeypatch.setattr(sampling, "_MAPS", ((9, 12),))
    monkeypatch.setattr(sampling, "_WINDOWS", (4,))
    monkeypatch.setattr(sampling, "_TOUR_FRAMES", 60)
    monkeypatch.setattr(sampling, "_LIVE_FRAMES", 20)


def test_the_benchmark_reports_all_three_parts(small, capsys):
    assert run(sampling, "--quick", "--frames", "600", "--json") == 0

    result = json.loads(capsys.readouterr().out)
    (case,) = result["offline"]
    assert case["same_picks"]
    assert case["ratio_to_sets"] == pytest.approx(case["seconds"]["sets"] / case["seconds"]["ours"])
    assert [(row["window"], row["policy"]) for row in result["live"]] == [(4, "recent"), (4, "explore"), (4, "recent")]
    assert result["memory"]["frames"] == 600
    assert result["memory"]["window_bytes_max"] >= result["memory"]["window_bytes_min"] > 0
    assert result["machine"]["numpy"]


def test_the_table_says_what_was_compared(small, capsys):
    assert run(sampling, "--quick", "--frames", "600") == 0

    printed = capsys.readouterr().out
    assert "how many times faster" in printed
    assert "9x12" in printed
    assert "Memory over 600 frames" in printed


def test_the_coverage_benchmark_prints_the_margin(capsys):
    arguments = ["--tours", "2", "--frames", "40", "--window", "20", "-k", "4"]

    assert run(coverage, *arguments, "--json") == 0
    shares = json.loads(capsys.readouterr().out)["share_of_surface"]
    assert {len(values) for values in shares.values()} == {2}

    assert run(coverage, *arguments) == 0
    assert "margin over 'uniform, whole tour'" in capsys.readouterr().out.replace("\n", " ")
