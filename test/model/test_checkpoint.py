import json

import pytest
import torch
from safetensors.torch import save_file

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.checkpoint import SMALL, find_checkpoint, open_checkpoint


@pytest.fixture
def sharded(tmp_path):
    """Two shards with an index: a and b in the first, c in the second."""
    save_file({"a": torch.ones(2), "b": torch.zeros(3, 4)}, tmp_path / "one.safetensors")
    save_file({"c": torch.full((5,), 7.0)}, tmp_path / "two.safetensors")
    write_index(tmp_path, {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"})
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def write_index(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_one_list_of_tensors(sharded):
    stored = open_checkpoint(sharded)
    assert {name: entry.shape for name, entry in stored.tensors.items()} == {"a": (2,), "b": (3, 4), "c": (5,)}
    assert stored.tensors["c"].file == sharded / "two.safetensors"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "two.safetensors").unlink(), r"two\.safetensors: is missing, with the tensor c"),
        (lambda f: truncate(f / "one.safetensors"), r"one\.safetensors: is no complete safetensors file"),
        (lambda f: (f / "one.safetensors").write_bytes(b""), r"one\.safetensors: is no complete safetensors file"),
        (lambda f: (f / "one.safetensors").write_text("words and words"), r"one\.safetensors: is no complete"),
        (lambda f: write_index(f, {"a": "one.safetensors", "d": "two.safetensors"}), "says that d is in two"),
        (lambda f: write_index(f, {"a": "../one.safetensors"}), "is not a file beside it"),
        (lambda f: write_index(f, ["a"]), "has no weight_map"),
        (lambda f: (f / "model.safetensors.index.json").write_text("{"), r"index\.json: is no JSON"),
        (lambda f: (f / "config.json").unlink(), r"config\.json: No such file"),
        (lambda f: (f / "config.json").write_text("[]"), r"config\.json: is no JSON object"),
        (lambda f: (f / "model.safetensors.index.json").unlink(), "there is neither model.safetensors nor"),
        (lambda f: save_file({"c": torch.ones(1)}, f / "one.safetensors"), r"c is also in one\.safetensors"),
    ],
)
def test_each_damage_is_one_error_that_names_the_file(sharded, damage, message):
    damage(sharded)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(sharded)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def test_a_folder_is_found_and_a_file_or_nonsense_is_refused(sharded):
    assert find_checkpoint(sharded) == sharded
    for wrong in (sharded / "config.json", "no/such/folder/at/all", "nonsense"):
        with pytest.raises(CheckpointError, match="is neither a folder nor a hub id"):
            find_checkpoint(wrong)


def test_the_checkpoint_that_ships_is_found_by_name_from_anywhere_and_is_small(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = find_checkpoint(SMALL)
    assert open_checkpoint(folder).tensors and sum(path.stat().st_size for path in folder.iterdir()) <= 25_000_000


def test_a_hub_id_without_a_network_is_one_clear_error(monkeypatch):
    def fail(*_, **__):
        raise OSError("We couldn't connect to the hub\nand here is a long story")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CheckpointError, match="someone/model: cannot be fetched from the hub .We couldn't connect to the"):
        find_checkpoint("someone/model")


def test_only_data_is_fetched_from_the_hub(monkeypatch, sharded):
    asked = {}

    def download(name, allow_patterns):
        asked.update(name=name, patterns=allow_patterns)
        return str(sharded)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_checkpoint("Diankun/Spatial-MLLM-v1.1-Instruct-135K") == sharded
    assert asked["name"] == "Diankun/Spatial-MLLM-v1.1-Instruct-135K"
    assert not [pattern for pattern in asked["patterns"] if pattern.endswith((".py", ".bin", ".pt", "*"))]
