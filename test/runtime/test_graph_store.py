"""A graph is found again for the same weights, spec and code only, and never half written."""

import dataclasses
import json
import os

import pytest

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.runtime.graph_store import GraphKey, GraphStore, code_sha256, weights_sha256

KEY = GraphKey(stage="encoder_2d", weights_sha256="w", spec_sha256="s", code_sha256="c")
OTHER = dataclasses.replace(KEY, weights_sha256="x")


@dataclasses.dataclass
class Exported:
    sha256: str = "abc"


def export(folder):
    (folder / "encoder_2d.onnx").write_bytes(b"graph")
    (folder / "encoder_2d.onnx.data").write_bytes(b"weights")
    return Exported()


@pytest.fixture
def store(tmp_path):
    return GraphStore(tmp_path / "graphs", max_bytes=1 << 20)


def test_what_was_exported_is_found_again(store):
    assert store.find(KEY) is None
    added = store.add(KEY, export)
    assert store.find(KEY) == added and added.sha256 == "abc"
    assert added.path.read_bytes() == b"graph" and added.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("field", ["stage", "weights_sha256", "spec_sha256", "code_sha256"])
def test_another_key_is_another_graph(store, field):
    store.add(KEY, export)
    assert store.find(dataclasses.replace(KEY, **{field: "spatial_encoder" if field == "stage" else "y"})) is None


@pytest.mark.parametrize("file", ["encoder_2d.onnx", "encoder_2d.onnx.data"])
@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"another"), lambda path: path.unlink()])
def test_an_altered_or_missing_file_is_noticed(store, file, harm):
    added = store.add(KEY, export)
    harm(added.path.parent / file)
    assert store.find(KEY).path is None


def test_the_hash_outlives_the_files(store):
    store.add(KEY, export)
    store.drop(KEY)
    found = store.find(KEY)
    assert (found.path, found.sha256) == (None, "abc")
    assert store.add(KEY, export).path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": 1, "sha256": "", "files": 3}'])
def test_a_damaged_record_is_no_graph(store, text):
    record = store.add(KEY, export).path.parent / "graph.json"
    record.write_text(text)
    assert store.find(KEY) is None


def test_a_record_that_others_may_write_is_refused(store):
    record = store.add(KEY, export).path.parent / "graph.json"
    record.chmod(0o666)
    with pytest.raises(EngineError, match="others may change"):
        store.find(KEY)


def test_a_failed_export_leaves_nothing(store):
    def fail(folder):
        export(folder)
        raise OSError(28, "No space left on device")

    store.add(OTHER, export)
    with pytest.raises(OSError, match="No space"):
        store.add(KEY, fail)
    assert os.listdir(store.folder) == [OTHER.stem]


def test_what_a_killed_export_left_is_removed_by_the_next(store):
    left = store.folder / f".{KEY.stem}.abcdef"
    left.mkdir()
    (left / "encoder_2d.onnx.data").write_bytes(b"half")
    store.add(KEY, export)
    assert not left.exists()


def test_what_was_not_used_for_longest_goes_first_and_the_newest_stays(store):
    first, second = store.add(KEY, export), store.add(OTHER, export)
    for age, graph in ((3, first), (9, second)):
        os.utime(graph.path.parent / "graph.json", (age, age))
    store.max_bytes = 600
    third = store.add(dataclasses.replace(KEY, spec_sha256="z"), export)
    sizes = [sum(p.stat().st_size for p in graph.path.parent.glob("*")) for graph in (first, third)]
    assert sum(sizes) <= 600 and not second.path.exists()
    store.max_bytes = 1
    assert store.add(KEY, export).path.exists() and not third.path.exists()


def test_finding_counts_as_use(store):
    record = store.add(KEY, export).path.parent / "graph.json"
    os.utime(record, (1, 1))
    store.find(KEY)
    assert record.stat().st_mtime > 1 and json.loads(record.read_text())["sha256"] == "abc"


def test_weights_have_one_hash_in_every_dtype_that_they_are_loaded_in():
    served = load_spatial_mllm("random-small", dtype="bfloat16", geometry=True)
    exported = load_spatial_mllm("random-small", dtype="float32")
    assert weights_sha256(served, "bfloat16") == weights_sha256(exported, "bfloat16")
    assert weights_sha256(exported, "float32") != weights_sha256(exported, "bfloat16")
    exported.network.connector.get_parameter(next(iter(exported.network.connector.state_dict()))).data.add_(1)
    assert weights_sha256(served, "bfloat16") != weights_sha256(exported, "bfloat16")


def test_the_code_has_a_hash():
    assert len(code_sha256()) == 64 and code_sha256() == code_sha256()
