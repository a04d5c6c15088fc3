"""The random checkpoint of the released sizes has the released encoders' numbers of parameters."""

import pytest

from spatial_mllm_ros.bench import full_size
from spatial_mllm_ros.bench.full_size import FULL_SIZE, RANDOM_FULL, checkpoint_at
from spatial_mllm_ros.model.config import config_from_json
from spatial_mllm_ros.model.network import empty_network
from spatial_mllm_ros.model.random_checkpoint import config_json
from spatial_mllm_ros.model.small_tokenizer import SPECIAL_TOKENS


def test_encoders_have_the_released_sizes():
    ids = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    network = empty_network(config_from_json(config_json(FULL_SIZE, ids), vggt=FULL_SIZE.vggt))
    parts = {"2D encoder": network.visual, "spatial encoder": network.vggt.aggregator, "connector": network.connector}
    millions = {name: sum(weight.numel() for weight in part.parameters()) / 1e6 for name, part in parts.items()}
    assert millions == pytest.approx({"2D encoder": 668.7, "spatial encoder": 909.1, "connector": 302.0}, rel=1e-3)


def test_the_reserved_name_is_a_folder_for_as_long_as_it_is_used(monkeypatch):
    monkeypatch.setattr(full_size, "write_full_size", lambda folder: (folder / "config.json").write_text("{}"))
    with checkpoint_at(RANDOM_FULL) as folder:
        path = full_size.Path(folder)
        assert (path / "config.json").is_file()
    assert not path.exists()


def test_other_names_are_left_alone():
    with checkpoint_at("random-small") as name:
        assert name == "random-small"
