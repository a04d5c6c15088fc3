"""What is picked where nothing is said, and what is refused."""

import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.runtime import devices, pick_backend, pick_device, pick_dtype
from spatial_mllm_ros.runtime.config import RuntimeConfig
from spatial_mllm_ros.runtime.devices import pick_spec
from spatial_mllm_ros.runtime.spec import default_specs_folder, load_spec


def test_auto_is_tensorrt_on_a_gpu_and_torch_on_a_cpu():
    assert [pick_backend("auto", device) for device in ("cpu", "cuda", "cuda:1")] == ["torch", "tensorrt", "tensorrt"]
    assert pick_backend("onnxruntime", "cuda") == "onnxruntime"


@pytest.mark.parametrize(
    ("device", "machine", "spec"),
    [("cpu", "aarch64", "cpu"), ("cuda", "x86_64", "desktop_rtx"), ("cuda:0", "aarch64", "agx_orin")],
)
def test_auto_spec_is_that_of_the_machines_class_and_there(device, machine, spec, monkeypatch):
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    assert pick_spec("auto", device) == spec
    load_spec(spec, default_specs_folder())
    assert pick_spec("orin_nx", device) == "orin_nx"


def test_numbers_have_few_bits_on_a_gpu_only():
    assert [pick_dtype("auto", device) for device in ("cpu", "cuda")] == ["float32", "bfloat16"]
    assert pick_dtype("float16", "cpu") == "float16"


@pytest.mark.parametrize("wanted", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(wanted):
    with pytest.raises(InputError, match="device"):
        pick_device(wanted)


@pytest.mark.parametrize("wrong", [{"backend": "tflite"}, {"cache_gib": 0.0}])
def test_a_wrong_value_is_named(wrong):
    with pytest.raises(InputError, match=f"parameter {next(iter(wrong))}"):
        RuntimeConfig(**wrong)
