"""A budget is a roofline: hand-worked numbers on a machine with round figures, and the command's output."""

import argparse
import json

import pytest

from spatial_mllm_ros.bench import budget
from spatial_mllm_ros.bench.budget import make_budget
from spatial_mllm_ros.bench.budget_check import measure_stages
from spatial_mllm_ros.bench.costs import Grid, released_config, stage_costs
from spatial_mllm_ros.bench.hardware import MACHINES, Machine, measure_this_machine
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import load_spatial_mllm

GRID = Grid(num_keyframes=16, height=476, width=644)
ROUND = Machine(
    name="round", operations_per_s=1e12, bytes_per_s=1e9, memory_bytes=16e9, reserved_bytes=1e9, source="made up"
)


@pytest.fixture
def run(capsys):
    def run(*words):
        parser = argparse.ArgumentParser()
        budget.add_arguments(parser)
        assert budget.run(parser.parse_args(words)) == 0
        return capsys.readouterr().out

    return run


def test_stage_takes_the_longer_of_its_two_times():
    made = make_budget(ROUND, released_config(), GRID, matrix_share=0.5, bandwidth_share=0.5)
    costs = {cost.stage: cost for cost in stage_costs(released_config(), GRID)}
    stages = {stage.stage: stage for stage in made.stages}
    assert stages["encode_spatial"].bound_by == "matrices"
    assert stages["encode_spatial"].seconds == pytest.approx(costs["encode_spatial"].operations / 0.5e12)
    decode = costs["decode_per_token"]
    assert stages["decode_per_token"].bound_by == "memory"
    assert stages["decode_per_token"].seconds == pytest.approx(2 * (decode.parameters + decode.cache_elements) / 0.5e9)


def test_room_is_what_the_parts_leave():
    made = make_budget(ROUND, released_config(), GRID, held_bytes=10**9)
    assert made.room_bytes == 15e9 - sum(made.memory_bytes.values())
    assert made.fits == (made.room_bytes >= 0)
    assert not make_budget(ROUND, released_config(), GRID, held_bytes=10**10).fits


def test_prefix_is_the_sum_of_its_stages():
    made = make_budget(MACHINES["agx-orin"], released_config(), GRID)
    assert made.refresh_s == pytest.approx(sum(stage.seconds for stage in made.stages[:4]))
    assert made.refresh_s == pytest.approx(8, abs=1)  # DESIGN.md, decision 2
    assert made.warm_first_token_s < 0.1


def test_every_profile_is_printed_with_its_source(run):
    printed = run("--profile", "orin-nx", "agx-orin", "thor", "rtx4090")
    for words in ("encode_spatial", "fits", "sparse INT8", "sparse FP4", "Ada architecture paper"):
        assert words in printed


def test_json_says_whether_it_fits(run):
    (made,) = json.loads(run("--profile", "orin-nx", "--json", "--held-mib", "8192"))
    assert made["fits"] is False and made["room_bytes"] < 0


def test_smaller_model_is_read_from_its_checkpoint(run, tmp_path):
    from spatial_mllm_ros.model.random_checkpoint import write_random_small

    write_random_small(tmp_path)
    (made,) = json.loads(run("--profile", "agx-orin", "--json", "--checkpoint", str(tmp_path), "--size", "112x84"))
    assert made["memory_bytes"]["weights: language model"] < 10e6


@pytest.mark.parametrize("words", [["-k", "5"], ["--size", "640x480"], ["--size", "x"]])
def test_bad_sizes_are_refused(run, words):
    with pytest.raises(InputError):
        run(*words)


def test_this_machine_has_rates_and_memory():
    machine = measure_this_machine(size=128, mebibytes=8)
    assert machine.operations_per_s > 1e8 and machine.bytes_per_s > 1e7
    assert 0 < machine.reserved_bytes < machine.memory_bytes


def test_every_stage_of_a_budget_can_be_measured():
    model = load_spatial_mllm("random-small")
    grid, machine, seconds = measure_stages(model, Grid(num_keyframes=2, height=84, width=112))
    assert (grid.height, grid.width) == (84, 112)
    assert machine.operations_per_s > 0
    for cost in stage_costs(model.config, grid):
        assert seconds[cost.stage] > 0
