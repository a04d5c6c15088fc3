import gzip
import json
from pathlib import Path

import pytest

from spatial_mllm_ros.model.checkpoint import read_json
from spatial_mllm_ros.model.config import config_from_json
from spatial_mllm_ros.model.network import TIED_NAME, empty_network
from spatial_mllm_ros.model.vggt import HEADS

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def release():
    """Names and shapes of a full-size release, as the official class saves it (Qwen2.5-VL-3B + VGGT-1B)."""
    return json.loads(gzip.decompress((DATA / "official_keys.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def release_config():
    """What config.json of a release says, from that of the small golden checkpoint."""
    config = read_json(DATA / "golden" / "checkpoint" / "config.json")
    config.update(
        vocab_size=151936,
        hidden_size=2048,
        intermediate_size=11008,
        num_hidden_layers=36,
        num_attention_heads=16,
        num_key_value_heads=2,
        rope_scaling={"type": "default", "rope_type": "default", "mrope_section": [16, 24, 24]},
        spatial_config={"img_size": 518, "patch_size": 14, "embed_dim": 1024},
    )
    config["vision_config"].update(
        depth=32,
        hidden_size=1280,
        num_heads=16,
        intermediate_size=3420,
        out_hidden_size=2048,
        fullatt_block_indexes=[7, 15, 23, 31],
        window_size=112,
    )
    return config


def test_a_full_size_model_on_the_meta_device_has_the_names_and_shapes_of_a_release(release, release_config):
    network = empty_network(config_from_json(release_config), HEADS)
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items() if name != TIED_NAME}
    assert shapes == release["keys"]
    assert all(parameter.is_meta for parameter in network.parameters())
    assert sum(parameter.numel() for parameter in network.parameters()) == release["num_parameters"]


def test_embeddings_are_one_tensor_where_the_config_ties_them(release_config):
    release_config = {**release_config, "num_hidden_layers": 1}
    tied = empty_network(config_from_json(release_config))
    untied = empty_network(config_from_json({**release_config, "tie_word_embeddings": False}))
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    assert untied.lm_head.weight is not untied.model.embed_tokens.weight


def test_no_buffer_is_left_on_the_meta_device(release_config):
    """Buffers are not in a checkpoint, so one on the meta device would never get its values."""
    assert not list(empty_network(config_from_json(release_config), HEADS).buffers())


def test_heads_are_built_only_when_asked_for(release_config):
    names = empty_network(config_from_json(release_config)).state_dict()
    assert not [name for name in names if "_head." in name and name != TIED_NAME]
