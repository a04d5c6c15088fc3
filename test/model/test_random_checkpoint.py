import hashlib
import json

import pytest
import torch

from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.random_checkpoint import SMALL, write_random_checkpoint, write_random_small


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_random_small(folder)
    return folder


def test_it_has_the_files_of_a_release(folder):
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_it_says_of_itself_that_it_is_not_trained(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["spatial_mllm_ros"]["is_trained"] is False
    assert not load_spatial_mllm(folder).is_trained


def test_it_is_about_five_million_parameters(folder):
    network = load_spatial_mllm(folder, geometry=True).network
    assert 4e6 < sum(parameter.numel() for parameter in network.parameters()) < 6e6


def test_the_same_seed_gives_the_same_files(folder, tmp_path):
    write_random_small(tmp_path)
    for path in folder.iterdir():
        assert checksum(path) == checksum(tmp_path / path.name), path.name


def test_another_seed_gives_other_weights(tmp_path):
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        write_random_checkpoint(tmp_path / str(seed), SMALL, seed=seed, dtype=torch.bfloat16)
    assert checksum(tmp_path / "1" / "model.safetensors") != checksum(tmp_path / "2" / "model.safetensors")


def test_frames_become_small(small_model):
    image = torch.zeros(480, 640, 3, dtype=torch.uint8).numpy()
    assert small_model.visual_inputs([image, image]).video.shape == (2, 3, 84, 112)


def test_tokens_of_the_config_are_those_of_the_tokenizer(small_model):
    config, tokenizer = small_model.config, small_model.tokenizer
    assert config.video_token_id == tokenizer.id_of("<|video_pad|>")
    assert config.vision_end_token_id == tokenizer.id_of("<|vision_end|>")
    assert config.stop_ids == (tokenizer.id_of("<|im_end|>"), tokenizer.id_of("<|endoftext|>"))
    assert config.text.vocab_size == max(map(tokenizer.id_of, tokenizer.special_tokens)) + 1


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
