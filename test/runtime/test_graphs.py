"""The graphs that are exported compute what the model computes, and hold nothing that they do not need."""

import pytest
import torch
from support.exported_encoders import STAGES, small_spec

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.attention import attend
from spatial_mllm_ros.runtime.graphs import encoder_graph, example_inputs
from spatial_mllm_ros.runtime.parity import stored_inputs
from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

SPEC = small_spec("cpu")
GRID = (2, 6, 8)


@pytest.fixture(scope="module", params=["float32", "bfloat16", "float16"])
def model(request):
    return load_spatial_mllm("random-small", dtype=request.param)


def of_the_model(model, stage, inputs):
    if stage == "encoder_2d":
        return model.encode_2d(inputs, GRID)
    return model.connect(model.encode_spatial(inputs), GRID)


@pytest.mark.parametrize("stage", STAGES)
def test_a_graph_gives_exactly_what_the_model_gives(model, stage):
    encoder = TorchEncoder(encoder_graph(model, stage, SPEC))
    for _, inputs in stored_inputs(stage, SPEC):
        assert torch.equal(encoder(inputs), of_the_model(model, stage, inputs))


@pytest.mark.parametrize("stage", STAGES)
def test_a_graph_shares_the_models_weights(model, stage):
    shared = {weight.data_ptr() for weight in model.network.parameters()}
    assert all(weight.data_ptr() in shared for weight in encoder_graph(model, stage, SPEC).parameters())


def test_only_layers_up_to_the_fused_one_are_kept(model, monkeypatch):
    whole = encoder_graph(model, "spatial_encoder", SPEC)
    config = model.config.__class__(**{**vars(model.config), "spatial_layer": 1})
    monkeypatch.setattr(model, "config", config)
    cut = encoder_graph(model, "spatial_encoder", SPEC)
    assert (len(whole.frame_blocks), len(cut.frame_blocks), len(cut.global_blocks)) == (4, 2, 2)
    (_, inputs), _ = stored_inputs("spatial_encoder", SPEC)
    assert torch.equal(TorchEncoder(cut)(inputs), of_the_model(model, "spatial_encoder", inputs))


def test_heads_are_not_part_of_a_graph():
    model = load_spatial_mllm("random-small", geometry=True)
    names = dict(encoder_graph(model, "spatial_encoder", SPEC).named_parameters())
    assert not any("head" in name for name in names)


@pytest.mark.parametrize(("stage", "shape"), [("encoder_2d", (96, 1176)), ("spatial_encoder", (4, 3, 84, 112))])
def test_example_inputs_have_the_specs_shape_and_dtype(stage, shape):
    example = example_inputs(stage, SPEC.model_copy(update={"dtype": "bfloat16"}))
    assert (tuple(example.shape), example.dtype) == (shape, torch.bfloat16)


def test_patches_of_another_size_are_refused(model, monkeypatch):
    vision = model.config.vision.__class__(**{**vars(model.config.vision), "temporal_patch_size": 1})
    config = model.config.__class__(**{**vars(model.config), "vision": vision})
    monkeypatch.setattr(model, "config", config)
    with pytest.raises(InputError, match="patches of 14 pixels"):
        encoder_graph(model, "encoder_2d", SPEC)


def test_attention_is_one_operator_in_a_graph_however_large():
    """Outside a graph it is cut into blocks of queries, which no builder could fuse again."""

    class Large(torch.nn.Module):
        def forward(self, x):
            return attend(x, x, x, max_score_bytes=1)

    graph = torch.export.export(Large(), (torch.zeros(1, 2, 64, 8),)).graph
    assert sum("scaled_dot_product" in str(node.target) for node in graph.nodes) == 1
