import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from spatial_mllm_ros.cli.main import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return tmp_path / "golden"


def test_a_good_machine_gets_a_table_and_status_0(capsys):
    assert main(["verify", "--fixture", str(GOLDEN)]) == 0
    output = capsys.readouterr().out
    for word in ("vit_output", "spatial_last_layer", "logits", "world_points", "greedy", "27 arrays match, 0 do not"):
        assert word in output


def test_a_wrong_number_gives_status_1_and_its_name(copied, capsys):
    path = copied / "checkpoint" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] *= 1.001
    save_file(tensors, path)
    assert main(["verify", "--fixture", str(copied)]) == 1
    failed = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert "logits" in failed and "fused_embeds" not in failed


def test_json_is_for_machines(capsys):
    assert main(["verify", "--fixture", str(GOLDEN), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["passed"] and result["dtype"] == "float32" and result["torch"]
    logits = next(array for array in result["arrays"] if array["name"] == "logits")
    assert logits["passed"] and 0 <= logits["relative_error"] < logits["tolerance"] == 2e-5


def test_bfloat16_is_judged_by_the_cosine(capsys):
    assert main(["verify", "--fixture", str(GOLDEN), "--dtype", "bfloat16", "--json"]) == 0
    arrays = {array["name"]: array for array in json.loads(capsys.readouterr().out)["arrays"]}
    assert arrays["logits"]["tolerance"] is None and arrays["logits"]["cosine"] > 0.999
    assert arrays["greedy"]["passed"] is None and "12 tokens" in arrays["greedy"]["note"]


def test_another_checkpoint_can_be_named(copied, capsys):
    (copied / "checkpoint").rename(copied / "elsewhere")
    assert main(["verify", "--fixture", str(copied), "--checkpoint", str(copied / "elsewhere")]) == 0


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: shutil.rmtree(f), "is no folder"),
        (lambda f: [path.unlink() for path in f.glob("*.np*")] + [(f / "generate.json").unlink()], "is no fixture"),
        (lambda f: (f / "checkpoint" / "config.json").unlink(), "config.json: No such file"),
        (lambda f: (f / "vggt_hparams.json").write_text("{"), "vggt_hparams.json: is no JSON"),
    ],
)
def test_bad_input_is_one_line_and_status_2(copied, capsys, edit, message):
    edit(copied)
    assert main(["verify", "--fixture", str(copied)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_encoders_of_a_spec_are_compared_with_torch(capsys):
    for library in ("onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="ONNX is not installed; pip install -r requirements/onnx.txt")
    small = ["--height", "84", "--width", "112", "--num-keyframes", "2", "--stages", "encoder_2d"]
    assert (
        main(["verify", "--spec", "desktop_rtx", "--checkpoint", "random-small", "--device", "cpu", *small, "--json"])
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    (stage,) = result["stages"]
    assert result["passed"] and (stage["stage"], stage["backend"]) == ("encoder_2d", "onnxruntime")
    assert stage["is_finite"] and stage["cosine"] > stage["tolerance"]["cosine"] and stage["tolerance"]["reason"]
    assert result["not_run"] == "the engines of tensorrt_rtx were not run: there is no GPU that torch can use"


def test_an_encoder_that_differs_gives_status_1_and_its_name(capsys, monkeypatch):
    from spatial_mllm_ros.runtime import parity, verification

    torch = pytest.importorskip("torch")

    class Wrong:
        backend, name = "onnxruntime", "encoder_2d"

        def __call__(self, inputs):
            return torch.randn(4, 8, generator=torch.manual_seed(1))

    wrong = parity.compare(Wrong(), "checkerboard", torch.zeros(1), torch.ones(4, 8))
    monkeypatch.setattr(verification, "verify_export", lambda *_: [wrong])
    assert main(["verify", "--spec", "cpu", "--checkpoint", "random-small"]) == 1
    shown = capsys.readouterr().out
    assert "encoder_2d" in shown and "checkerboard" in shown and "FAILED" in shown
