import copy

import pytest
import torch

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.model.golden import Fixture
from spatial_mllm_ros.model.verification import verify


@pytest.fixture
def own_model(golden_model):
    """A copy whose weights a test may change."""
    return SpatialMLLM(copy.deepcopy(golden_model.network), golden_model.config, name="copy")


def failed_names(model, fixture):
    return [check.name for check in verify(model, fixture) if check.passed is False]


def test_a_wrong_weight_shows_from_its_stage_on(own_model, golden):
    own_model.network.connector.mlp[2].bias[0] += 0.1
    failed = failed_names(own_model, golden)
    assert failed[:2] == ["connector_output", "fused_embeds"]
    assert "logits" in failed and "vit_output" not in failed


def test_a_nan_fails_rather_than_passes(own_model, golden):
    own_model.network.vggt.depth_head.scratch.output_conv2[2].bias.fill_(torch.nan)
    checks = {check.name: check for check in verify(own_model, golden)}
    assert checks["depth"].passed is False
    assert "NaN" in checks["depth"].note


def test_an_unknown_array_is_listed_but_not_judged(golden_model, golden):
    arrays = {"vision": {**golden.arrays["vision"], "something_new": golden.arrays["vision"]["vit_output"]}}
    checks = verify(golden_model, Fixture(golden.folder, arrays, {}, {}))
    (unknown,) = [check for check in checks if check.name == "something_new"]
    assert unknown.passed is None and unknown.note == "not known"


def test_a_shape_that_differs_is_a_failure_with_both_shapes(golden_model, golden):
    arrays = {"vision": {**golden.arrays["vision"], "vit_output": golden.arrays["vision"]["vit_output"][:-1]}}
    checks = {check.name: check for check in verify(golden_model, Fixture(golden.folder, arrays, {}, {}))}
    assert checks["vit_output"].passed is False
    assert "our shape is [12, 32]" in checks["vit_output"].note


def test_a_fixture_with_nothing_to_compare_is_refused(golden_model, golden):
    with pytest.raises(CheckpointError, match="nothing in this fixture"):
        verify(golden_model, Fixture(golden.folder, {}, {}, {}))
