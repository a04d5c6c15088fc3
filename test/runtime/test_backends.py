"""An encoder serves only after it has proved itself; whatever stands in the way, torch serves and one line says why."""

import threading

import pytest
import torch
from support.computing_tensorrt import ComputingTensorRT
from support.encoding import encoded_by
from support.recorded_tensorrt import skip_record_stream
from support.small_engines import SPEC as ONNXRUNTIME_SPEC

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.runtime import backends, loaders
from spatial_mllm_ros.runtime.backends import Stopped, open_encoders
from spatial_mllm_ros.runtime.engine_cache import EngineCache
from spatial_mllm_ros.runtime.engine_key import engine_key
from spatial_mllm_ros.runtime.graphs import encoder_graph, example_inputs
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT
from spatial_mllm_ros.runtime.tensorrt_session import TensorRTSession
from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

TENSORRT = TensorRT("tensorrt", None, "10.3.0.30")  # the double's
STAGES = ("encoder_2d", "spatial_encoder")
SPEC = ONNXRUNTIME_SPEC.model_copy(update={"runtime": "tensorrt", "target": "sm_87", "device_memory_budget_mib": 64})


class Exported:
    def __init__(self, sha256):
        self.sha256 = sha256


@pytest.fixture(scope="module")
def model():
    return load_spatial_mllm("random-small")


@pytest.fixture
def world(model, tmp_path, monkeypatch):
    return World(model, tmp_path / "engines", monkeypatch)


class World:
    """A machine whose TensorRT is a double, with a cache that `build` fills as the builder would."""

    def __init__(self, model, folder, monkeypatch):
        self.model, self.folder = model, folder
        self.functions = {stage: TorchEncoder(encoder_graph(model, stage, SPEC)) for stage in STAGES}
        self.built, self.steps = [], []
        self.options = {}
        self.kept = skip_record_stream(monkeypatch)
        monkeypatch.setattr(loaders, "require_gpu", lambda device, name: None)
        monkeypatch.setattr(loaders, "find_tensorrt", lambda flavour: self.start().tensorrt())
        monkeypatch.setattr(loaders, "TensorRTSession", self._session)

    def start(self):
        """Start the TensorRT of one opening."""
        engines = {stage.encode(): (self.functions[stage], example_inputs(stage, SPEC)) for stage in STAGES}
        self.double = ComputingTensorRT(engines, **self.options)
        return self.double

    def _session(self, tensorrt, device):
        return TensorRTSession(tensorrt, device, cuda=self.double.cuda())

    def build(self, wanted):
        """Put engines where the builder puts them; their plan is the name of their stage."""
        self.built.append(wanted)
        store, cache = wanted.graphs(), EngineCache(wanted.folder, wanted.max_bytes)
        for stage in wanted.spec.stages:
            store.add(wanted.graph_key(stage), lambda folder, stage=stage: Exported(f"hash of {stage}"))
            key = engine_key(stage, f"hash of {stage}", wanted.spec, TENSORRT)
            cache.store(key, lambda file, stage=stage: file.write(stage.encode()), {})

    def open(self, backend="tensorrt", *, spec=SPEC, builds=True, stop=None, prepare=None):
        return open_encoders(
            self.model,
            spec,
            backend,
            folder=self.folder,
            max_bytes=1 << 30,
            prepare=(prepare or self.build) if builds else None,
            report=self.steps.append,
            stop=stop,
        )

    def inputs(self):
        pictures = torch.randint(0, 256, (4, 84, 112, 3), dtype=torch.uint8, generator=torch.manual_seed(1))
        return self.model.visual_inputs(pictures.numpy())


# What goes well


def test_engines_that_prove_themselves_serve_and_give_what_torch_gives(world):
    opened = world.open()
    assert (opened.backend, opened.problem) == ("tensorrt", "")
    assert [parity.stage for parity in opened.parities] == list(STAGES) and all(p.passed for p in opened.parities)
    inputs = world.inputs()
    visual = world.model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    expected = world.model.fuse(visual, world.model.encode_spatial(inputs.video), inputs.grid_thw)
    torch.testing.assert_close(encoded_by(opened.encoders, world.model, inputs), expected)
    assert world.steps == ["looking for engines", "loading engines", "proving encoder_2d", "proving spatial_encoder"]


def test_both_engines_share_one_stream_and_one_scratch_buffer(world):
    world.options = {"scratch_bytes": 500}
    opened = world.open()
    calls = world.double.calls
    calls.clear()
    encoded_by(opened.encoders, world.model, world.inputs())
    of_one = ["scratch", "wait", "address", "address", "execute", "wait"]
    assert [call[0] for call in calls] == of_one * 2
    assert {call[1] for call in calls if call[0] == "execute"} == {77}
    assert opened.encoders.encoder_2d._session is opened.encoders.spatial_encoder._session
    assert opened.encoders.encoder_2d._session._scratch.numel() == 500


def test_what_was_built_once_is_found_again(world):
    world.open()
    assert world.open(builds=False).backend == "tensorrt"
    assert len(world.built) == 1 and world.built[0].checkpoint == "random-small"


def test_an_encoder_that_the_spec_leaves_out_is_torchs(world):
    opened = world.open(spec=SPEC.model_copy(update={"stages": ("encoder_2d",)}))
    assert opened.encoders.encoder_2d.backend == "tensorrt" and opened.encoders.spatial_encoder.backend == "torch"
    assert encoded_by(opened.encoders, world.model, world.inputs()).isfinite().all()


def test_auto_on_a_cpu_is_torch_and_looks_for_nothing(world):
    opened = world.open("auto")
    assert (opened.backend, opened.problem, world.steps) == ("torch", "", [])
    assert world.open("torch").problem == "" and not world.folder.exists()


# What goes wrong


def wrong(function):
    return lambda inputs: function(inputs).roll(1, 0)


def infinite(function):
    return lambda inputs: torch.full_like(function(inputs), float("inf"))


@pytest.mark.parametrize(("harm", "found"), [(wrong, "cosine"), (infinite, "not finite")])
@pytest.mark.parametrize("stage", STAGES)
def test_an_engine_that_differs_from_torch_never_serves(world, stage, harm, found):
    world.functions[stage] = harm(world.functions[stage])
    opened = world.open()
    assert opened.encoders is None and opened.backend == "torch"
    assert opened.problem.startswith(f"torch encodes, not tensorrt: {stage} by tensorrt 10.3.0.30 differs from torch")
    assert found in opened.problem and "\n" not in opened.problem
    assert not opened.parities[-1].passed


def test_a_failed_proof_of_tensorrt_10_3_names_the_version_and_the_way_out(world, monkeypatch):
    world.functions["encoder_2d"] = wrong(world.functions["encoder_2d"])
    problem = world.open().problem
    assert "tensorrt 10.3.0.30" in problem and "NVIDIA/TensorRT 4723" in problem and "use JetPack 7" in problem


def test_a_missing_library_is_said_with_the_way_to_get_it(world, monkeypatch):
    monkeypatch.setattr(loaders, "find_tensorrt", _real_find_tensorrt)
    problem = world.open(spec=SPEC).problem
    assert problem.startswith("torch encodes, not tensorrt: tensorrt cannot be imported") and "JetPack" in problem
    assert world.built == []


_real_find_tensorrt = loaders.find_tensorrt
_real_require_gpu = loaders.require_gpu


def test_a_missing_onnxruntime_is_said_with_the_way_to_get_it(world, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    problem = world.open("onnxruntime", spec=ONNXRUNTIME_SPEC).problem
    assert problem.startswith("torch encodes, not onnxruntime: ") and problem.endswith("pip install onnxruntime")
    assert world.built == []


def test_a_gpu_that_is_not_there_is_said_before_anything_is_built(world, monkeypatch):
    monkeypatch.setattr(loaders, "require_gpu", _real_require_gpu)
    assert "runs engines on a GPU, and the model is on cpu" in world.open().problem
    assert world.built == []


@pytest.mark.parametrize(("backend", "spec"), [("onnxruntime", SPEC), ("tensorrt", ONNXRUNTIME_SPEC)])
def test_a_spec_for_another_runtime_is_refused(world, backend, spec):
    assert f"is for {spec.runtime}" in world.open(backend, spec=spec).problem and world.built == []


def test_missing_engines_that_must_not_be_built_are_named(world):
    problem = world.open(builds=False).problem
    assert "encoder_2d has not been exported for random-small" in problem and "spatial-mllm build" in problem


def test_an_altered_engine_is_built_anew(world):
    world.open()
    (plan,) = world.folder.glob("encoder_2d*.engine")
    plan.write_bytes(b"encoder_!d")
    assert world.open().backend == "tensorrt" and len(world.built) == 2


def test_an_engine_that_others_may_write_is_refused_and_not_built_over(world):
    world.open()
    (plan,) = world.folder.glob("encoder_2d*.engine")
    plan.chmod(0o666)
    problem = world.open().problem
    assert "others may change engines" in problem and len(world.built) == 1


def test_a_folder_that_others_may_write_is_refused(world):
    world.folder.mkdir(mode=0o777)
    world.folder.chmod(0o777)
    assert "chmod 700" in world.open().problem


def test_an_engine_that_needs_more_memory_than_the_spec_allows_is_refused(world):
    world.options = {"scratch_bytes": 65 << 20}
    problem = world.open().problem
    assert "needs 65 MiB besides weights, its spec allows 64" in problem


def test_an_engine_that_tensorrt_does_not_run_never_serves(world):
    world.options = {"runs": False}
    assert "did not run encoder_2d" in world.open().problem


def test_a_builder_that_fails_is_quoted_and_not_tried_again(world):
    tried = []

    def fail(wanted):
        tried.append(wanted)
        raise EngineError("the engine builder was killed, most likely for lack of memory")

    opened = world.open(prepare=fail)
    assert (
        opened.problem == "torch encodes, not tensorrt: the engine builder was killed, most likely for lack of memory"
    )
    assert len(tried) == 1


def test_a_full_disk_is_one_line(world):
    def fail(wanted):
        raise OSError(28, "No space left on device")

    assert world.open(prepare=fail).problem.endswith("No space left on device")


def test_a_builder_that_builds_nothing_is_not_called_twice(world):
    calls = []
    assert "has not been exported" in world.open(prepare=calls.append).problem and len(calls) == 1


def test_memory_that_runs_out_while_proving_is_one_line(world, monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(backends, "measure_parity", fail)
    assert world.open().problem == "torch encodes, not tensorrt: CUDA out of memory."


# Stopping


def test_opening_ends_between_two_steps_when_stopped(world):
    stop = threading.Event()

    def build_and_stop(wanted):
        world.build(wanted)
        stop.set()

    with pytest.raises(Stopped):
        world.open(prepare=build_and_stop, stop=stop)
    assert world.steps == ["looking for engines"]


def test_a_builder_that_was_stopped_is_no_problem_to_report(world):
    stop = threading.Event()

    def end(wanted):
        stop.set()
        raise EngineError("building the engines was stopped")

    with pytest.raises(Stopped):
        world.open(prepare=end, stop=stop)
