"""Costs follow from shapes: counted against the network itself, and against figures worked out by hand."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from spatial_mllm_ros.bench.costs import (
    Grid,
    keys_and_values_bytes,
    parameters_of,
    released_config,
    stage_costs,
    working_bytes,
)
from spatial_mllm_ros.bench.ways import noise_images
from spatial_mllm_ros.model import load_spatial_mllm

RELEASED = Grid(num_keyframes=16, height=476, width=644)


@pytest.fixture(scope="module")
def network():
    return load_spatial_mllm("random-small")


def operations(config, grid):
    return {cost.stage: cost.operations for cost in stage_costs(config, grid)}


def test_released_model_costs_what_the_design_says():
    tera = {stage: count / 1e12 for stage, count in operations(released_config(), RELEASED).items()}
    assert tera["encode_spatial"] == pytest.approx(115, abs=1)
    assert tera["encode_2d"] == pytest.approx(17, abs=1)
    assert tera["prefill_prefix"] == pytest.approx(19, abs=1)


def test_released_model_has_its_parameters():
    counts = parameters_of(released_config())
    assert counts["spatial encoder"] == pytest.approx(909e6, rel=0.001)
    assert counts["2D encoder"] == pytest.approx(669e6, rel=0.001)
    assert counts["language model"] == pytest.approx(3086e6, rel=0.001)


def test_visual_tokens_and_cache_by_hand():
    assert RELEASED.patches() == 34 * 46
    assert RELEASED.tokens(released_config()) == 8 * 17 * 23
    positions = 8 * 17 * 23 + 60
    assert keys_and_values_bytes(released_config(), RELEASED, 2) == 2 * 36 * 2 * 128 * positions * 2


@pytest.mark.parametrize("num_keyframes", [2, 8])
def test_operations_agree_with_those_that_torch_counts(network, num_keyframes):
    """Torch counts matrix products and attention; padding and rounding aside there is nothing else in a stage."""
    inputs = network.visual_inputs(noise_images(num_keyframes, (112, 84)))
    grid = Grid(num_keyframes=num_keyframes, height=84, width=112)
    counted = {}

    def count(stage, work):
        with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            result = work()
        counted[stage] = counter.get_total_flops()
        return result

    visual = count("encode_2d", lambda: network.encode_2d(inputs.pixel_values, inputs.grid_thw))
    spatial = count("encode_spatial", lambda: network.encode_spatial(inputs.video))
    fused = count("fuse", lambda: network.fuse(visual, spatial, inputs.grid_thw))
    expected = operations(network.config, grid)
    for stage in ("encode_2d", "encode_spatial", "fuse"):
        assert counted[stage] == pytest.approx(expected[stage], rel=0.02), stage
    assert len(fused) == grid.tokens(network.config)


def test_token_of_an_answer_costs_what_torch_counts(network):
    grid = Grid(num_keyframes=8, height=84, width=112)
    (decode,) = [cost for cost in stage_costs(network.config, grid) if cost.stage == "decode_per_token"]
    state = network.prefill(torch.randint(0, 400, (1, grid.tokens(network.config) + 60)))
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        network.prefill(torch.tensor([[5]]), past=state)
    assert counter.get_total_flops() == pytest.approx(decode.operations, rel=0.02)


def test_more_keyframes_cost_more_everywhere_and_attention_more_than_in_proportion():
    few, many = (operations(released_config(), dataclasses.replace(RELEASED, num_keyframes=k)) for k in (8, 16))
    assert many["encode_2d"] == 2 * few["encode_2d"]
    assert many["encode_spatial"] > 2 * few["encode_spatial"]
    assert many["prefill_prefix"] > 1.9 * few["prefill_prefix"]


def test_working_memory_grows_with_the_frames():
    small, large = (
        working_bytes(released_config(), dataclasses.replace(RELEASED, num_keyframes=k), 2) for k in (8, 16)
    )
    assert large == pytest.approx(2 * small, rel=0.01)
