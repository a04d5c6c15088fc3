import pytest

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model.vggt.config import VggtConfig, infer_sizes, sizes_from


def test_defaults_are_those_of_vggt_1b():
    config = VggtConfig()
    assert (config.depth, config.num_heads, config.dino_depth, config.dino_heads) == (24, 16, 24, 16)
    assert (config.camera_depth, config.camera_heads) == (4, 16)
    assert (config.dpt_features, config.dpt_channels, config.dpt_layers) == (
        256,
        (256, 512, 1024, 1024),
        (4, 11, 17, 23),
    )
    assert config.num_special_tokens == 5


NESTED = {
    "dino": {"depth": 2, "num_heads": 2},
    "aggregator": {"depth": 4, "num_heads": 2},
    "camera_head": {"num_heads": 4, "trunk_depth": 2},
    "dpt_head": {"features": 32, "out_channels": [16, 24, 32, 32], "intermediate_layer_idx": [0, 1, 2, 3]},
}
FLAT = {
    "dino_depth": 2,
    "dino_heads": 2,
    "depth": 4,
    "num_heads": 2,
    "camera_heads": 4,
    "camera_depth": 2,
    "dpt_features": 32,
    "dpt_channels": (16, 24, 32, 32),
    "dpt_layers": (0, 1, 2, 3),
}


@pytest.mark.parametrize(
    "given",
    [
        FLAT,
        NESTED,
        {"tiny": NESTED, "full_size": {"aggregator": {"depth": 24}}, "_comment": "sizes"},
        {"vggt": {**{k: v for k, v in NESTED.items() if k != "aggregator"}, "depth": 4, "num_heads": 2}},
        {**NESTED, "dinov2": NESTED["dino"], "common": {"point_head": {"output_dim": 4}, "fl_act": "relu"}},
    ],
)
def test_sizes_are_understood_under_all_names_in_use(given):
    assert sizes_from(given) == FLAT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depths": 4}, "'depths' is not a size of VGGT"),
        ({"aggregator": {"width": 4}}, "aggregator.width is not a size of VGGT"),
        ({"something": {"else": 1}}, "'something' is not a size of VGGT"),
    ],
)
def test_an_unknown_size_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        sizes_from(given)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_heads": 7}, "num_heads=7 does not divide 1024"),
        ({"camera_heads": 0}, "camera_heads=0"),
        ({"embed_dim": 96, "num_heads": 16, "dino_heads": 2, "camera_heads": 2}, "2D RoPE needs a multiple of 4"),
        ({"dpt_layers": (1, 2, 3)}, "four entries"),
        ({"depth": 12}, "do not fit a depth of 12"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        VggtConfig(**sizes)


def test_shapes_tell_most_sizes():
    shapes = {
        "aggregator.camera_token": (1, 2, 1, 64),
        "aggregator.register_token": (1, 2, 3, 64),
        "aggregator.patch_embed.patch_embed.proj.weight": (64, 3, 14, 14),
        "aggregator.patch_embed.pos_embed": (1, 65, 64),
        "aggregator.frame_blocks.0.attn.q_norm.weight": (16,),
        "aggregator.frame_blocks.11.norm1.weight": (64,),
        "aggregator.patch_embed.blocks.2.norm1.weight": (64,),
        "camera_head.trunk.1.norm1.weight": (128,),
        "depth_head.scratch.layer1_rn.weight": (32, 16, 3, 3),
        **{f"depth_head.projects.{i}.weight": (c, 128, 1, 1) for i, c in enumerate((16, 24, 32, 40))},
    }
    assert infer_sizes(shapes) == {
        "embed_dim": 64,
        "num_register_tokens": 3,
        "patch_size": 14,
        "image_size": 112,
        "depth": 12,
        "num_heads": 4,
        "dino_depth": 3,
        "camera_depth": 2,
        "dpt_features": 32,
        "dpt_channels": (16, 24, 32, 40),
    }


def test_positions_that_form_no_square_are_refused():
    shapes = {
        "aggregator.patch_embed.patch_embed.proj.weight": (64, 3, 14, 14),
        "aggregator.patch_embed.pos_embed": (1, 64, 64),
    }
    with pytest.raises(CheckpointError, match="63 positions, which form no square"):
        infer_sizes(shapes)
