import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.random_checkpoint import RandomSizes, write_random_checkpoint
from spatial_mllm_ros.model.vggt import GEOMETRY_HEADS, VggtConfig

VGGT = "spatial_encoder.vggt_model."
TINY = RandomSizes(
    hidden=32,
    layers=2,
    heads=2,
    key_heads=1,
    intermediate=48,
    vocabulary=64,
    vision_hidden=16,
    vision_layers=2,
    vision_heads=2,
    vision_intermediate=32,
    vggt=VggtConfig(
        image_size=56,
        embed_dim=8,
        depth=4,
        num_heads=2,
        dino_depth=1,
        dino_heads=2,
        camera_depth=1,
        camera_heads=2,
        dpt_features=8,
        dpt_channels=(4, 8, 8, 8),
        dpt_layers=(0, 1, 2, 3),
        track_features=8,
        track_hidden=16,
        track_depth=1,
        track_channels=(4, 8, 8, 8),
    ),
)


@pytest.fixture
def folder(tmp_path):
    write_random_checkpoint(tmp_path, TINY, seed=0, heads=(*GEOMETRY_HEADS, "track_head"))
    return tmp_path


def edit_tensors(folder, edit):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def edit_config(folder, edit):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def test_weights_are_those_of_the_file_in_the_dtype_asked_for(folder):
    stored = load_file(folder / "model.safetensors")
    for dtype in ("float32", "bfloat16", "float16"):
        model = load_spatial_mllm(folder, dtype=dtype)
        loaded = model.network.state_dict()
        assert model.dtype == getattr(torch, dtype)
        for name, tensor in loaded.items():
            if name != "lm_head.weight":
                assert torch.equal(tensor, stored[name].to(model.dtype)), name


def test_heads_stay_on_disk_unless_geometry_is_asked_for(folder):
    plain, full = load_spatial_mllm(folder), load_spatial_mllm(folder, geometry=True, dtype="bfloat16")
    assert not [name for name in plain.network.state_dict() if name.startswith(VGGT) and "_head." in name]
    heads = {name: tensor for name, tensor in full.network.state_dict().items() if "_head." in name[len(VGGT) :]}
    assert {name[len(VGGT) :].split(".")[0] for name in heads} == set(GEOMETRY_HEADS)  # the track head never
    assert {tensor.dtype for tensor in heads.values()} == {torch.float32}
    assert not plain.has_geometry and full.has_geometry


def test_nothing_needs_gradients(folder):
    assert not any(parameter.requires_grad for parameter in load_spatial_mllm(folder).network.parameters())


def test_the_output_embedding_is_tied_or_read_as_the_config_says(folder):
    tied = load_spatial_mllm(folder).network
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    edit_config(folder, lambda config: config.update(tie_word_embeddings=False))
    edit_tensors(folder, lambda tensors: tensors.update({"lm_head.weight": torch.full((64, 32), 3.0)}))
    assert (load_spatial_mllm(folder).network.lm_head.weight == 3).all()


def test_a_tied_output_embedding_that_was_saved_all_the_same_is_accepted(folder):
    edit_tensors(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    network = load_spatial_mllm(folder).network
    assert network.lm_head.weight is network.model.embed_tokens.weight


def rename(old, new):
    return lambda tensors: tensors.update({new: tensors.pop(old)})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), "the tensor model.norm.weight is missing"),
        (lambda t: [t.pop(n) for n in list(t) if n.startswith("connector")], "connector.* and 4 more is missing"),
        (lambda t: t.pop(f"{VGGT}depth_head.norm.bias"), "depth_head.norm.bias is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), r"model\.safetensors: the tensor extra is not part of"),
        (lambda t: t.update({"model.layers.2.mlp.up_proj.weight": torch.zeros(1)}), "layers.2.mlp.up_proj.weight is not"),
        (rename("visual.merger.ln_q.weight", "visual.merger.ln.weight"), "the tensor visual.merger.ln.weight is not"),
        (
            lambda t: t.update({"model.norm.weight": torch.zeros(31)}),
            r"model\.safetensors: the tensor model.norm.weight has shape \[31\], but \[32\] is due",
        ),
        (
            lambda t: t.update({f"{VGGT}track_head.tracker.fmap_norm.bias": torch.zeros(9)}),
            r"fmap_norm.bias has shape \[9\], but \[8\] is due",
        ),
        (lambda t: t.update({"lm_head.weight": torch.zeros(64, 31)}), r"lm_head.weight has shape \[64, 31\]"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(64, 32)}), "lm_head.weight differs from model.embed_tokens"),
    ],
)
def test_every_tensor_is_accounted_for(folder, edit, message):
    edit_tensors(folder, edit)
    with pytest.raises(CheckpointError, match=message):
        load_spatial_mllm(folder)


def test_a_checkpoint_of_another_model_is_refused(folder):
    edit_config(folder, lambda config: config.update(model_type="qwen2_5_vl"))
    with pytest.raises(CheckpointError, match=r"config\.json: model_type is 'qwen2_5_vl'"):
        load_spatial_mllm(folder)


def test_geometry_without_heads_is_refused(folder):
    edit_tensors(folder, lambda t: [t.pop(name) for name in list(t) if "point_head" in name])
    load_spatial_mllm(folder)
    with pytest.raises(CheckpointError, match="geometry was asked for, but the checkpoint has no point_head"):
        load_spatial_mllm(folder, geometry=True)


def test_a_size_that_nothing_tells_must_be_given(folder):
    edit_config(folder, lambda config: config.pop("spatial_mllm_ros"))
    with pytest.raises(CheckpointError, match="does not tell dino_heads, .*give dino_heads=... to load_spatial_mllm"):
        load_spatial_mllm(folder)
    load_spatial_mllm(folder, dino_heads=2)
    with pytest.raises(CheckpointError, match="does not tell camera_heads"):
        load_spatial_mllm(folder, geometry=True, dino_heads=2)
    model = load_spatial_mllm(folder, geometry=True, dinov2={"num_heads": 2}, camera_head={"num_heads": 4})
    assert (model.config.vggt.dino_heads, model.config.vggt.camera_heads, model.config.vggt.depth) == (2, 4, 4)
    assert model.config.vggt.dpt_layers == (0, 1, 2, 3)


def test_layers_of_the_dense_heads_are_not_guessed(tmp_path):
    sizes = dataclasses.replace(TINY, vggt=dataclasses.replace(TINY.vggt, depth=5, dpt_layers=(0, 2, 3, 4)))
    write_random_checkpoint(tmp_path, sizes, seed=0)
    assert load_spatial_mllm(tmp_path, geometry=True).config.vggt.dpt_layers == (0, 2, 3, 4)
    edit_config(tmp_path, lambda config: config.pop("spatial_mllm_ros"))
    heads = {"dino_heads": 2, "camera_heads": 2}
    load_spatial_mllm(tmp_path, **heads)
    with pytest.raises(CheckpointError, match="does not tell dpt_layers"):
        load_spatial_mllm(tmp_path, geometry=True, **heads)


def test_a_size_that_contradicts_the_file_is_refused(folder):
    with pytest.raises(CheckpointError, match="is not part of a Spatial-MLLM of these sizes"):
        load_spatial_mllm(folder, dino_depth=0)
    with pytest.raises(CheckpointError, match="blocks.1.* missing"):
        load_spatial_mllm(folder, dino_depth=2)
    with pytest.raises(InputError, match="'height' is not a size of VGGT"):
        load_spatial_mllm(folder, height=2)


def test_an_unknown_dtype_is_refused(folder):
    with pytest.raises(InputError, match="dtype must be one of float32, bfloat16, float16, not int8"):
        load_spatial_mllm(folder, dtype="int8")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_cannot_be_used_is_refused(folder, device):
    with pytest.raises(InputError, match=f"torch cannot use the device '{device}'"):
        load_spatial_mllm(folder, device=device)


MEASURE = """
import re, sys
from spatial_mllm_ros.model import load_spatial_mllm
def status(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
load_spatial_mllm(sys.argv[2])  # imports and the allocator's first steps are not weights
before = status("VmRSS")
model = load_spatial_mllm(sys.argv[1], dtype=sys.argv[3])
peak = status("VmHWM")
size = sum(p.numel() * p.element_size() for p in model.network.parameters())
print((peak - before) / size, size)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(("stored", "dtype"), [("float32", "float32"), ("bfloat16", "bfloat16"), ("float32", "bfloat16")])
def test_loading_peaks_below_1_2_times_the_weights_in_use(tmp_path, stored, dtype):
    """About 100 million parameters with the heads, none of them larger than 16 million."""
    big, tiny = tmp_path / "big", tmp_path / "tiny"
    big.mkdir(), tiny.mkdir()
    sizes = RandomSizes(
        hidden=768,
        layers=6,
        heads=12,
        key_heads=2,
        intermediate=2048,
        vocabulary=8192,
        vision_hidden=256,
        vggt=VggtConfig(
            embed_dim=192, depth=12, num_heads=3, dino_depth=12, dino_heads=3, camera_heads=3, dpt_layers=(2, 5, 8, 11)
        ),
    )
    write_random_checkpoint(big, sizes, seed=0, dtype=getattr(torch, stored))
    write_random_checkpoint(tiny, TINY, seed=0)
    command = [sys.executable, "-c", MEASURE, str(big), str(tiny), dtype]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ratio, size = map(float, output.split())
    assert size > 100e6
    assert ratio < 1.2
