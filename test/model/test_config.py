import copy
from pathlib import Path

import pytest

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.checkpoint import read_json
from spatial_mllm_ros.model.config import config_from_json

CONFIG = Path(__file__).parents[1] / "data" / "golden" / "checkpoint" / "config.json"


@pytest.fixture
def official():
    return copy.deepcopy(read_json(CONFIG))


def test_token_ids_and_sizes_are_read(official):
    config = config_from_json(official, generation={"eos_token_id": [115, 114], "repetition_penalty": 1.05})
    assert (config.video_token_id, config.vision_start_token_id, config.vision_end_token_id) == (120, 116, 117)
    assert config.stop_ids == (115, 114)
    assert config.repetition_penalty == 1.05
    assert config.text.head_dim == 16
    assert config.vision.patch_values == 1176
    assert config.spatial_layer == -1


def test_a_release_is_trained_and_resized_as_in_training_unless_it_says_otherwise(official):
    config = config_from_json(official)
    assert config.is_trained and (config.min_pixels, config.max_pixels) == (293_216, 324_576)
    official["spatial_mllm_ros"] = {"is_trained": False, "min_pixels": 7056, "max_pixels": 9408}
    config = config_from_json(official)
    assert not config.is_trained and (config.min_pixels, config.max_pixels) == (7056, 9408)


def test_the_layout_of_later_transformers_with_a_text_config_is_read_too(official):
    names = ("hidden_size", "num_hidden_layers", "vocab_size", "rope_theta")
    official["text_config"] = {name: official.pop(name) for name in names}
    official["text_config"]["rope_parameters"] = official.pop("rope_scaling")
    assert config_from_json(official).text.hidden_size == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(model_type="qwen2_5_vl"), "model_type is 'qwen2_5_vl', not 'spatial-mllm'"),
        (lambda c: c.pop("model_type"), "model_type is None"),
        (lambda c: c.pop("video_token_id"), "the entry 'video_token_id' is missing"),
        (lambda c: c["vision_config"].pop("depth"), "the entry 'depth' is missing"),
        (lambda c: c.pop("rope_scaling"), "the entry 'mrope_section' is missing"),
        (lambda c: c["connector_config"].update(connector_type="cross_attn"), "connector_type 'cross_attn'"),
        (lambda c: c["rope_scaling"].update(rope_type="yarn"), "rope_type 'yarn' is not known"),
        (lambda c: c.update(use_sliding_window=True), "use_sliding_window is not supported"),
        (lambda c: c.update(num_attention_heads=5), "cannot divide hidden_size by num_attention_heads: 32 / 5"),
        (lambda c: c.update(num_key_value_heads=3), "cannot divide num_attention_heads by num_key_value_heads"),
        (lambda c: c["vision_config"].update(out_hidden_size=64), "the vision tower gives 64 channels"),
        (lambda c: c["rope_scaling"].update(mrope_section=[1, 1, 1]), r"mrope_section \(1, 1, 1\) does not add up"),
        (lambda c: c["vision_config"].update(patch_size=16), "patches of 16 pixels"),
        (lambda c: c.update(hidden_size="big"), "config.json"),
    ],
)
def test_a_faulty_config_is_one_clear_error(official, change, message):
    change(official)
    with pytest.raises(CheckpointError, match=message):
        config_from_json(official)
