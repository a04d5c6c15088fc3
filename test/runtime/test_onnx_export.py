"""Exported encoders: valid, static, strongly typed, equal to torch in ONNX Runtime for every spec of the package."""

import pytest
import torch

pytest.importorskip("onnx", reason="ONNX is not installed; pip install -r requirements/onnx.txt")
pytest.importorskip("onnxscript", reason="ONNX is not installed; pip install -r requirements/onnx.txt")
pytest.importorskip("onnxruntime", reason="ONNX is not installed; pip install -r requirements/onnx.txt")

import onnx
from support.exported_encoders import STAGES, ExportedEncoders, small_spec

from spatial_mllm_ros.errors import DependencyError, EngineError, InputError
from spatial_mllm_ros.runtime import onnx_export
from spatial_mllm_ros.runtime.onnx_export import export_encoder
from spatial_mllm_ros.runtime.onnxruntime_encoder import OnnxRuntimeEncoder
from spatial_mllm_ros.runtime.parity import measure_parity, stored_inputs
from spatial_mllm_ros.runtime.spec import default_specs_folder, list_specs
from spatial_mllm_ros.runtime.verification import cpu_spec

SPECS = list_specs(default_specs_folder())
DESKTOP = small_spec("desktop_rtx")
FLOAT32 = small_spec("cpu")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    return ExportedEncoders(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module", params=STAGES)
def stage(request):
    return request.param


@pytest.mark.parametrize("name", SPECS)
def test_onnxruntime_equals_torch_for_every_spec(encoders, stage, name):
    """In float32, the only dtype that ONNX Runtime has on a CPU; the operator set is the spec's."""
    spec = cpu_spec(small_spec(name))
    encoder = OnnxRuntimeEncoder(encoders.graph(stage, spec).path)
    parity = measure_parity(encoder, encoders.reference(stage, spec), stored_inputs(stage, spec))
    assert parity.passed and parity.largest_relative_error < 1e-5, parity


def test_every_value_has_a_static_shape(encoders, stage):
    model = onnx.shape_inference.infer_shapes(onnx.load(encoders.graph(stage, DESKTOP).path))
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    assert len(model.graph.input) == len(model.graph.output) == 1 and len(values) > 100
    for value in values:
        assert all(side.HasField("dim_value") for side in value.type.tensor_type.shape.dim), value.name


@pytest.mark.parametrize("name", ["desktop_rtx", "agx_orin"])
def test_weights_have_the_specs_dtype_and_operator_set(encoders, stage, name):
    spec = small_spec(name)
    model = onnx.load(encoders.graph(stage, spec).path)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [spec.opset]
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2 and min(tensor.dims) > 1]
    assert len(weights) > 20 and {tensor.data_type for tensor in weights} == {onnx.TensorProto.BFLOAT16}


def test_rotary_tables_and_window_order_are_constants(encoders, stage):
    kinds = {node.op_type for node in onnx.load(encoders.graph(stage, FLOAT32).path).graph.node}
    assert not kinds & {"Cos", "Sin", "Range", "Resize", "CumSum", "TopK", "Shape", "ConstantOfShape"}


def test_frame_pairs_are_a_batch_and_windows_of_one_size_are_one_attention(encoders):
    attentions = [node for node in onnx.load(encoders.graph("encoder_2d", DESKTOP).path).graph.node if node.op_type == "Attention"]  # fmt: skip
    assert len(attentions) == 6, "two layers with two window sizes (of 3 x 4 squares), two with full attention"
    assert all(len([name for name in node.input if name]) == 3 for node in attentions), "no mask"


def test_weights_lie_in_one_file_beside_a_small_graph(encoders, stage):
    graph = encoders.graph(stage, FLOAT32)
    weights = graph.path.with_name(f"{stage}.onnx.data")
    assert sorted(path.name for path in graph.path.parent.iterdir()) == [f"{stage}.onnx", weights.name]
    assert graph.path.stat().st_size < 300_000 < weights.stat().st_size
    assert graph.num_parameters * 4 == pytest.approx(weights.stat().st_size, rel=0.05)


def test_no_path_of_this_machine_is_written(encoders, stage):
    text = encoders.graph(stage, FLOAT32).path.read_bytes()
    assert b"spatial_mllm_ros" not in text and b".py" not in text


def test_the_same_weights_give_the_same_bytes(encoders, tmp_path):
    again = export_encoder(encoders.model("bfloat16"), "encoder_2d", DESKTOP, tmp_path)
    assert again.sha256 == encoders.graph("encoder_2d", DESKTOP).sha256


def test_a_model_of_another_dtype_is_refused(encoders, tmp_path):
    with pytest.raises(InputError, match=r"loaded as torch.float32, and the spec says bfloat16"):
        export_encoder(encoders.model("float32"), "encoder_2d", DESKTOP, tmp_path)


def test_an_exporter_that_fails_is_one_line(encoders, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("cannot do this\nat all")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(EngineError, match=r"cannot export encoder_2d: cannot do this$"):
        export_encoder(encoders.model("float32"), "encoder_2d", FLOAT32, tmp_path)


def test_a_missing_library_says_how_to_get_it(encoders, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(DependencyError, match="pip install onnx onnxscript"):
        export_encoder(encoders.model("float32"), "encoder_2d", FLOAT32, tmp_path)


def test_the_exporter_is_quiet_and_the_logger_is_as_before():
    logger = onnx_export.logging.getLogger("torch.onnx")
    before = logger.level
    with onnx_export._quiet():
        assert not logger.isEnabledFor(onnx_export.logging.WARNING)
    assert logger.level == before


# ONNX Runtime


@pytest.fixture(scope="module")
def encoder(encoders):
    return OnnxRuntimeEncoder(encoders.graph("encoder_2d", FLOAT32).path, num_threads=1)


def test_an_input_of_another_shape_is_refused(encoder):
    with pytest.raises(InputError, match=r"encoder_2d takes \[96, 1176\], not \[48, 1176\]"):
        encoder(torch.zeros(48, 1176))


def test_an_input_may_be_of_another_dtype_or_a_view(encoder):
    values = torch.rand(1176, 96).T
    assert not values.is_contiguous()
    assert torch.equal(encoder(values), encoder(values.contiguous()))
    assert torch.equal(encoder(values.half()), encoder(values.half().float()))


def test_outputs_are_not_written_over_by_the_next_call(encoder):
    first = encoder(torch.zeros(96, 1176))
    kept = first.clone()
    encoder(torch.ones(96, 1176))
    assert torch.equal(first, kept)


def test_a_graph_that_a_cpu_cannot_run_is_one_line(encoders):
    with pytest.raises(EngineError, match=r"ONNX Runtime .* cannot load .*encoder_2d\.onnx: ") as caught:
        OnnxRuntimeEncoder(encoders.graph("encoder_2d", DESKTOP).path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_graph_is_one_line(tmp_path):
    (tmp_path / "encoder_2d.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match="cannot load"):
        OnnxRuntimeEncoder(tmp_path / "encoder_2d.onnx")


def test_a_device_that_it_was_not_built_for_is_named(encoders):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(DependencyError, match="built without cuda; pip install onnxruntime-gpu"):
        OnnxRuntimeEncoder(encoders.graph("encoder_2d", FLOAT32).path, device="cuda")


# TensorRT


@pytest.mark.parametrize("target", ["sm_86", "sm_89", "sm_120"])
def test_tensorrt_rtx_compiles_the_encoders_for_gpus_that_are_not_here(encoders, stage, target, tmp_path):
    from spatial_mllm_ros.runtime.engine_builder import build_engine
    from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt

    try:
        tensorrt = find_tensorrt("tensorrt_rtx")
    except DependencyError as error:
        pytest.skip(str(error))
    graph = encoders.graph(stage, DESKTOP)
    with (tmp_path / "engine").open("wb") as file:
        report = build_engine(tensorrt, graph.path, file, target=target)
    assert report.engine_bytes > 2 * graph.num_parameters * 0.9, "two bytes for each number"
    DESKTOP.require_memory(stage, report.activation_bytes, "TensorRT-RTX")
