"""`export` and `build`: files that can be used, figures of what it took, and one line for what cannot be."""

import json

import pytest

from spatial_mllm_ros.cli import build
from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.errors import DependencyError, EngineError
from spatial_mllm_ros.runtime import tensorrt_api

SMALL = ["--height", "84", "--width", "112", "--num-keyframes", "4"]
SMALL_2D = [*SMALL, "--stages", "encoder_2d", "--checkpoint", "random-small"]


@pytest.fixture
def rtx():
    pytest.importorskip("onnxscript", reason="ONNX is not installed; pip install -r requirements/onnx.txt")
    try:
        return tensorrt_api.find_tensorrt("tensorrt_rtx")
    except DependencyError as error:
        pytest.skip(str(error))


def test_export_writes_graph_and_weights_and_says_what_it_took(tmp_path, capsys):
    pytest.importorskip("onnxscript", reason="ONNX is not installed; pip install -r requirements/onnx.txt")
    assert main(["export", "--spec", "orin_nx", *SMALL_2D, "--out", str(tmp_path / "new"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (graph,) = said["graphs"]
    assert (said["spec"]["dtype"], said["spec"]["opset"], said["spec"]["height"]) == ("bfloat16", 20, 84)
    assert graph["num_parameters"] > 700_000 and said["peak_host_bytes"] > 1e8 and graph["seconds"] > 0
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["encoder_2d.onnx", "encoder_2d.onnx.data"]


def test_build_makes_an_engine_for_a_named_gpu_once(rtx, tmp_path, capsys):
    command = ["build", "--spec", "desktop_rtx", "--target", "sm_89", *SMALL_2D, "--engines", str(tmp_path / "engines")]
    assert main(command) == 0
    shown = capsys.readouterr()
    for words in ("encoder_2d-sm_89-", "device memory", "peak host memory", "6144 MiB", "Not run here"):
        assert words in shown.out
    assert "exporting encoder_2d" in shown.err and "building encoder_2d with tensorrt_rtx" in shown.err
    assert main([*command, "--json"]) == 0
    shown = capsys.readouterr()
    (engine,) = json.loads(shown.out)["engines"]
    assert engine["engine_bytes"] > 1_000_000 and engine["activation_bytes"] > 0
    assert "exporting" not in shown.err and "building" not in shown.err


def test_a_build_that_fails_is_status_1_and_one_line(rtx, tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise EngineError("the engine builder was killed, most likely for lack of memory")

    monkeypatch.setattr(build, "_prepare", fail)
    assert main(["build", "--spec", "desktop_rtx", "--target", "sm_89", *SMALL_2D, "--engines", str(tmp_path)]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("for lack of memory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "--spec", "nowhere", "--checkpoint", "random-small"], "there is no engine spec"),
        (["export", "--spec", "cpu", "--checkpoint", "random-small", "--height", "100"], "multiple of 28, not 100"),
        (["export", "--spec", "cpu", "--checkpoint", "random-small", "--num-keyframes", "3"], "must be even, not 3"),
        (["export", "--spec", "cpu", "--checkpoint", "random-small", "--dtype", "bfloat16"], "float32 only"),
        (["export", "--spec", "cpu", "--checkpoint", "no such folder"], "neither a folder nor a hub id"),
        (["export", "--spec", "cpu", "--checkpoint", "random-small", "--out", "/dev/null/x"], "cannot be made"),
        (["build", "--spec", "cpu", "--checkpoint", "random-small"], "needs no engines"),
        (["verify", "--spec", "cpu"], "--spec needs --checkpoint"),
        (["verify", "--spec", "nowhere", "--checkpoint", "random-small"], "there is no engine spec"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"spatial-mllm {arguments[0]}: ") and message in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "sm_87"], "cannot build for sm_87; it can for sm_75"),
        (["--target", "orin"], 'must be "native", "cpu" or a compute capability'),
        ([], "no GPU here that torch can use; an engine for another machine needs a target such as sm_89"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_read(rtx, arguments, message, capsys):
    assert main(["build", "--spec", "desktop_rtx", "--checkpoint", "is never looked at", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_tensorrt_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(tensorrt_api._MODULES, "tensorrt", (("a_module_that_is_not_there",),))
    assert main(["build", "--spec", "agx_orin", "--checkpoint", "random-small"]) == 2
    assert "it comes with JetPack" in capsys.readouterr().err


def test_tensorrt_10_3_is_named_with_the_way_out():
    fault = tensorrt_api.known_fault("tensorrt 10.3.0.30")
    assert "NVIDIA/TensorRT 4723" in fault and "use JetPack 7" in fault and "runtime.backend to torch" in fault
    assert tensorrt_api.known_fault("tensorrt 10.13.0.1") == tensorrt_api.known_fault("tensorrt_rtx 1.7.1") == ""
