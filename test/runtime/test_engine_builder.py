"""Engines are compiled by the real TensorRT-RTX builder, for GPUs that this machine does not have."""

import io
from pathlib import Path

import pytest
import torch

from spatial_mllm_ros.errors import DependencyError, EngineError
from spatial_mllm_ros.runtime import tensorrt_api
from spatial_mllm_ros.runtime.engine_builder import build_engine
from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt

pytest.importorskip("onnxscript", reason="ONNX export needs onnxscript")


@pytest.fixture(scope="module")
def rtx():
    try:
        return find_tensorrt("tensorrt_rtx")
    except DependencyError as error:
        pytest.skip(str(error))


class SelfAttention(torch.nn.Module):
    """A graph with the operators that matter: a linear layer and an attention."""

    def __init__(self):
        super().__init__()
        self.qkv = torch.nn.Linear(64, 192)

    def forward(self, x):  # [L,64]
        q, k, v = self.qkv(x).unflatten(1, (3, 4, 16)).permute(1, 2, 0, 3)[:, None].unbind(0)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)


@pytest.fixture(scope="module")
def onnx_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "attention.onnx"
    example = torch.zeros(128, 64, dtype=torch.bfloat16)
    module = SelfAttention().bfloat16().eval()
    torch.onnx.export(module, (example,), dynamo=True, opset_version=23, verbose=False).save(path)
    return path


@pytest.mark.parametrize("target", ["sm_86", "sm_89", "sm_120"])
def test_engine_is_built_for_a_gpu_that_is_not_here(rtx, onnx_path, target):
    output = io.BytesIO()
    report = build_engine(rtx, onnx_path, output, target=target)
    assert report.engine_bytes == len(output.getvalue()) > 10_000
    assert report.num_layers > 5
    assert report.activation_bytes > 0
    assert report.peak_host_bytes > 0


def test_progress_reports_phases_and_steps(rtx, onnx_path):
    steps = []
    build_engine(rtx, onnx_path, io.BytesIO(), target="sm_89", progress=lambda *step: steps.append(step) or True)
    assert len({phase for phase, _, _ in steps}) > 1
    assert all(0 <= done <= total for _, done, total in steps)


def test_build_stops_when_progress_says_so(rtx, onnx_path):
    with pytest.raises(EngineError, match="built no engine"):
        build_engine(rtx, onnx_path, io.BytesIO(), target="sm_89", progress=lambda *step: False)


def test_unknown_target_lists_the_known_ones(rtx, onnx_path):
    with pytest.raises(EngineError, match=r"cannot build for sm_87; it can for sm_75, .*sm_89"):
        build_engine(rtx, onnx_path, io.BytesIO(), target="sm_87")


def test_file_that_is_no_graph_is_one_clear_error(rtx, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(EngineError, match=r"cannot read .*broken\.onnx"):
        build_engine(rtx, Path(tmp_path / "broken.onnx"), io.BytesIO(), target="sm_89")


def test_missing_flavour_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(tensorrt_api._MODULES, "tensorrt", (("a_module_that_is_not_there",),))
    with pytest.raises(DependencyError, match="JetPack"):
        find_tensorrt("tensorrt")
