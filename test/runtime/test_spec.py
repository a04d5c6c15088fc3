"""Engine specs are checked when they are read, and every shipped one is sound."""

from pathlib import Path

import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.config import ModelConfig
from spatial_mllm_ros.model.preprocessing import frame_size
from spatial_mllm_ros.runtime import spec as module
from spatial_mllm_ros.runtime.spec import EngineSpec, default_specs_folder, list_specs, load_spec

ENGINES = Path(__file__).parents[2] / "engines"
FIELDS = {
    "description": "a test",
    "runtime": "tensorrt_rtx",
    "target": "sm_89",
    "height": 84,
    "width": 112,
    "num_keyframes": 4,
    "dtype": "bfloat16",
    "opset": 23,
    "device_memory_budget_mib": 512,
}


def write(folder, **changes):
    fields = {**FIELDS, **changes}
    text = "\n".join(f"{name}: {value}" for name, value in fields.items() if value is not None)
    (folder / "spec.yaml").write_text(text)
    return folder / "spec.yaml"


def test_every_machine_class_has_a_spec():
    assert list_specs(ENGINES) == ["agx_orin", "cpu", "desktop_rtx", "orin_nx"]


@pytest.mark.parametrize("name", list_specs(ENGINES))
def test_shipped_spec_is_sound_and_takes_frames_of_the_size_that_the_model_gets(name):
    spec = load_spec(name, ENGINES)
    assert spec.stages == ("encoder_2d", "spatial_encoder")
    size = frame_size(480, 640, min_pixels=ModelConfig.min_pixels, max_pixels=ModelConfig.max_pixels)
    assert (spec.height, spec.width) == size


def test_spec_is_found_by_path(tmp_path):
    assert load_spec(write(tmp_path), ENGINES) == EngineSpec(**FIELDS)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no engine spec .*orin\.yaml.*agx_orin, cpu, desktop_rtx, orin_nx"):
        load_spec("orin", ENGINES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 85}, "height: .*multiple of 28, not 85"),
        ({"num_keyframes": 5}, "num_keyframes: .*even, not 5"),
        ({"target": "orin"}, "target: .*such as \"sm_89\", not 'orin'"),
        ({"dtype": "int8"}, "dtype: "),
        ({"colour": "red"}, "colour: "),
        ({"opset": None}, "opset: "),
        ({"target": "cpu"}, "goes with runtime"),
        ({"runtime": "onnxruntime", "target": "cpu"}, "float32 only"),
        ({"dtype": "float32"}, "use opset 20"),
    ],
)
def test_wrong_field_is_named_with_its_file(tmp_path, change, message):
    path = write(tmp_path, **change)
    with pytest.raises(InputError, match=rf"(?s)spec\.yaml.*{message}"):
        load_spec(path, ENGINES)


@pytest.mark.parametrize("text", ["- 1", "", "a: [", "\x00"])
def test_file_that_is_no_mapping_is_one_clear_error(tmp_path, text):
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(InputError, match=r"spec\.yaml"):
        load_spec(tmp_path / "spec.yaml", ENGINES)


def test_hash_changes_with_what_shapes_the_engine_only():
    spec = EngineSpec(**FIELDS)
    assert EngineSpec(**{**FIELDS, "description": "reworded"}).sha256 == spec.sha256
    assert EngineSpec(**{**FIELDS, "height": 112}).sha256 != spec.sha256


def test_specs_are_found_in_the_source_tree_and_where_they_are_installed(tmp_path, monkeypatch):
    assert default_specs_folder() == ENGINES
    shared = tmp_path / "share" / "spatial_mllm_ros" / "engines"
    shared.mkdir(parents=True)
    (shared / "cpu.yaml").touch()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "lib" / "python3" / "site-packages" / "x" / "spec.py"))
    assert default_specs_folder() == shared
    (shared / "cpu.yaml").unlink()
    with pytest.raises(InputError, match="not installed; give the path"):
        default_specs_folder()
