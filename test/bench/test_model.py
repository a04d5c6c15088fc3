import json

import pytest
import torch

from spatial_mllm_ros.bench.stage_meter import StageMeter
from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.model.random_checkpoint import write_random_small

SHORT = ["--frames", "2", "--size", "84x56", "--tokens", "3", "--rounds", "2", "--threads", "1"]


@pytest.fixture
def checkpoint(tmp_path):
    write_random_small(tmp_path)
    return str(tmp_path)


def test_every_stage_of_both_sides_is_measured_on_the_same_weights(checkpoint, tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert main(["bench", "model", "--checkpoint", checkpoint, *SHORT, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    sides = {(stage["stage"], stage["side"]) for stage in result["stages"]}
    ours = ("preprocess", "encode_2d", "encode_spatial", "fuse", "prefill", "decode")
    assert sides == {(stage, "ours") for stage in ours} | {
        (stage, "transformers") for stage in ("encode_2d", "prefill", "decode")
    }
    assert all(len(stage["rounds"]) == 2 and stage["seconds"] > 0 for stage in result["stages"])
    assert result["visual_difference"] < 1e-4 and result["logits_difference"] < 1e-4
    printed = capsys.readouterr().out
    assert all(stage in printed for stage in ours)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "100x84"], "multiples of 28"),
        (["--size", "big"], "--size is WxH"),
        (["--frames", "3"], "an even number of frames"),
        (["--rounds", "0"], "at least one round"),
    ],
)
def test_bad_options_are_one_line_and_status_2(capsys, options, message):
    assert main(["bench", "model", *options]) == 2
    assert message in capsys.readouterr().err


def test_memory_is_what_a_stage_holds_beyond_before():
    meter = StageMeter(torch.device("cpu"))
    kept = []
    small = meter.measure(lambda: kept.append(torch.ones(1 << 18)))
    large = meter.measure(lambda: torch.ones(1 << 24).sum())
    if large.memory_bytes is None:
        pytest.skip("the kernel's high-water mark cannot be reset here")
    assert small.memory_bytes < 16 << 20 <= large.memory_bytes - (40 << 20)
    assert meter.measure(lambda: None).memory_bytes < 4 << 20
