"""An engine's key says what it was built from and for; without a GPU there is none for this machine."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime import engine_key as module
from spatial_mllm_ros.runtime.engine_key import driver_version, engine_key
from spatial_mllm_ros.runtime.spec import load_spec
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

ENGINES = Path(__file__).parents[2] / "engines"
TENSORRT = TensorRT("tensorrt", SimpleNamespace(), "10.7.0.23")
ORIN = SimpleNamespace(is_available=lambda: True, get_device_capability=lambda: (8, 7), get_device_name=lambda: "Orin")
NO_GPU = SimpleNamespace(is_available=lambda: False)
MODULE_LINE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\nGCC version: 12.2.0"
MODULE_LINE_OLD = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024"
TEGRA_LINE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64"


@pytest.fixture
def spec():
    return load_spec("agx_orin", ENGINES)


def test_key_for_this_machine_names_gpu_capability_and_driver(spec, monkeypatch):
    monkeypatch.setattr(module, "driver_version", lambda: "570.1")
    key = engine_key("encoder_2d", "ab", spec, TENSORRT, cuda=ORIN)
    assert (key.gpu, key.compute_capability, key.driver) == ("Orin", "sm_87", "570.1")
    assert (key.onnx_sha256, key.spec_sha256) == ("ab", spec.sha256)
    assert (key.builder, key.builder_version, key.stage) == ("tensorrt", "10.7.0.23", "encoder_2d")


def test_key_for_a_capability_needs_no_gpu(spec):
    key = engine_key("encoder_2d", "ab", spec.model_copy(update={"target": "sm_89"}), TENSORRT, cuda=NO_GPU)
    assert (key.gpu, key.compute_capability, key.driver) == ("any", "sm_89", "any")


def test_without_a_gpu_there_is_no_key_for_this_machine(spec):
    with pytest.raises(EngineError, match="no GPU here"):
        engine_key("encoder_2d", "ab", spec, TENSORRT, cuda=NO_GPU)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (MODULE_LINE, "570.133.20"),
        (MODULE_LINE_OLD, "535.183.01"),
        (TEGRA_LINE, "R36 (release), REVISION: 4.3"),
        ("nothing", "unknown"),
    ],
)
def test_driver_is_read_where_linux_says_it(line, version, tmp_path, monkeypatch):
    path = tmp_path / "version"
    path.write_text(line)
    files = [(tmp_path / "absent", module._DRIVERS[0][1]), *((path, pattern) for _, pattern in module._DRIVERS)]
    monkeypatch.setattr(module, "_DRIVERS", files)
    assert driver_version() == version
