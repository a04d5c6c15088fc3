"""What is missing is exported and built, with the real exporter and TensorRT-RTX's real builder; what is there is kept."""

import dataclasses
import re

import pytest

pytest.importorskip("onnxscript", reason="ONNX export needs onnxscript")

from spatial_mllm_ros.errors import DependencyError, EngineError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.runtime.engine_builder import BuildReport
from spatial_mllm_ros.runtime.engine_cache import CachedEngine, EngineCache
from spatial_mllm_ros.runtime.engine_key import engine_key
from spatial_mllm_ros.runtime.graph_store import weights_sha256
from spatial_mllm_ros.runtime.onnx_export import ExportedGraph
from spatial_mllm_ros.runtime.preparation import Preparation, _disk_trouble, prepare
from spatial_mllm_ros.runtime.spec import EngineSpec
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT, find_tensorrt

SPEC = EngineSpec(
    description="one small encoder",
    runtime="tensorrt_rtx",
    target="sm_89",
    stages=("encoder_2d",),
    height=84,
    width=84,
    num_keyframes=2,
    dtype="bfloat16",
    opset=23,
    device_memory_budget_mib=512,
)


@pytest.fixture(scope="module")
def rtx():
    try:
        return find_tensorrt("tensorrt_rtx")
    except DependencyError as error:
        pytest.skip(str(error))


@pytest.fixture
def wanted(tmp_path):
    return preparation(tmp_path / "engines")


def preparation(folder, **changes):
    sha256 = weights_sha256(load_spatial_mllm("random-small"), SPEC.dtype)
    spec = SPEC.model_copy(update=changes)
    return Preparation(checkpoint="random-small", weights_sha256=sha256, spec=spec, folder=folder, max_bytes=1 << 30)


def steps_of(wanted):
    steps = []
    prepare(wanted, steps.append)
    return steps


def test_a_missing_engine_is_exported_and_built_and_then_kept(rtx, wanted):
    steps = steps_of(wanted)
    assert steps[:2] == ["loading random-small to export it", "exporting encoder_2d"]
    assert any(step.startswith("building encoder_2d with tensorrt_rtx") for step in steps)
    graph = wanted.graphs().find(wanted.graph_key("encoder_2d"))
    assert graph.path is None, "the graph's gigabytes are dropped, its hash stays"
    cache = EngineCache(wanted.folder, wanted.max_bytes)
    engine = cache.load(engine_key("encoder_2d", graph.sha256, SPEC, rtx))
    assert isinstance(engine, CachedEngine) and engine.details["num_layers"] > 10
    assert engine.details["spec"] == SPEC.model_dump(mode="json")
    assert steps_of(wanted) == [], "all is there"


# With doubles of the exporter and the builder


class Tools:
    """An exporter and a builder that count what they do."""

    def __init__(self, monkeypatch):
        self.done, self.activation_bytes = [], 1 << 20
        monkeypatch.setattr("spatial_mllm_ros.runtime.onnx_export.export_encoder", self.export)
        monkeypatch.setattr("spatial_mllm_ros.runtime.engine_builder.build_engine", self.build)
        fake = TensorRT("tensorrt_rtx", None, "1.0")
        monkeypatch.setattr("spatial_mllm_ros.runtime.tensorrt_api.find_tensorrt", lambda flavour: fake)
        self.tensorrt = fake

    def export(self, model, stage, spec, folder, progress):
        self.done.append(f"export {stage}")
        path = folder / f"{stage}.onnx"
        path.write_bytes(b"graph")
        return ExportedGraph(path=path, sha256="abc", num_parameters=1)

    def build(self, tensorrt, onnx_path, output, *, target, progress):
        self.done.append(f"build {onnx_path.stem} for {target}")
        progress("phase", 1, 2)
        output.write(b"plan")
        return BuildReport(
            seconds=1.0, engine_bytes=4, num_layers=1, peak_host_bytes=1, activation_bytes=self.activation_bytes
        )


@pytest.fixture
def tools(monkeypatch):
    return Tools(monkeypatch)


BOTH = ["export encoder_2d", "build encoder_2d for sm_89"]


def test_an_engine_that_is_gone_is_exported_and_built_again(tools, wanted):
    prepare(wanted, print)
    for path in wanted.folder.glob("*.engine"):
        path.unlink()
    prepare(wanted, print)
    assert tools.done == BOTH * 2


def test_a_graph_that_was_left_by_a_killed_builder_is_not_exported_again(tools, wanted, monkeypatch):
    tools.build, built = None, tools.build
    monkeypatch.setattr("spatial_mllm_ros.runtime.engine_builder.build_engine", tools.build)
    with pytest.raises(TypeError):
        prepare(wanted, print)
    monkeypatch.setattr("spatial_mllm_ros.runtime.engine_builder.build_engine", built)
    prepare(wanted, print)
    assert tools.done == BOTH


def test_what_a_killed_builder_left_half_written_is_removed(tools, wanted):
    wanted.graphs()
    prepare(wanted, print)
    (engine,) = wanted.folder.glob("*.engine")
    half = wanted.folder / f".{engine.name}.abc123"
    half.write_bytes(b"half")
    engine.unlink()
    prepare(wanted, print)
    assert not half.exists()


def test_an_engine_that_would_need_too_much_memory_is_not_kept(tools, wanted):
    tools.activation_bytes = 513 << 20
    with pytest.raises(EngineError, match="encoder_2d needs 513 MiB besides weights, its spec allows 512"):
        prepare(wanted, print)
    assert list(wanted.folder.glob("*.engine")) == []


def test_a_spec_for_onnxruntime_needs_no_builder(tools, tmp_path):
    wanted = preparation(tmp_path / "engines", runtime="onnxruntime", target="cpu")
    for _ in range(2):
        prepare(wanted, print)
    assert tools.done == ["export encoder_2d"]
    assert wanted.graphs().find(wanted.graph_key("encoder_2d")).path.exists()


def test_weights_that_are_not_those_that_serve_are_refused(tools, tmp_path):
    wanted = dataclasses.replace(preparation(tmp_path / "engines"), weights_sha256="0")
    with pytest.raises(EngineError, match="other weights than those that serve"):
        prepare(wanted, print)
    assert tools.done == []


@pytest.mark.parametrize(
    ("number", "words"), [(28, "no space is left for engines in .*engines; free some, or set"), (13, "cannot be kept in")]
)
def test_a_disk_in_trouble_is_one_sentence_that_names_the_folder(wanted, number, words):
    assert re.search(words, _disk_trouble(OSError(number, "as the kernel says"), wanted.folder))
