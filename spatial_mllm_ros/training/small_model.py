"""The small model that is trained here: its sizes, its tokenizer, and how its checkpoint is begun and written.

About ten million parameters in the official layout, so that everything that runs the released model runs this one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from spatial_mllm_ros.model import SpatialMLLM, load_spatial_mllm
from spatial_mllm_ros.model.config import OWN_ENTRY
from spatial_mllm_ros.model.network import TIED_NAME
from spatial_mllm_ros.model.random_checkpoint import RandomSizes, write_random_checkpoint
from spatial_mllm_ros.model.vggt import VggtConfig
from spatial_mllm_ros.training.examples import HEIGHT, WIDTH
from spatial_mllm_ros.training.words import scope_json, write_words

__all__ = ["SIZES", "begin_small_model", "save_small_model", "trainable"]

_LAYER_SCALE = 0.3  # DINOv2's 0.01 is for networks many times deeper

SIZES = RandomSizes(
    hidden=192,
    layers=6,
    heads=6,
    key_heads=6,
    intermediate=512,
    vision_hidden=192,
    vision_layers=6,
    vision_heads=6,
    vision_intermediate=512,
    window=56,
    vggt=VggtConfig(
        image_size=WIDTH,
        embed_dim=96,
        depth=6,
        num_heads=3,
        dino_depth=4,
        dino_heads=3,
        camera_depth=1,
        camera_heads=6,
        dpt_features=32,
        dpt_channels=(16, 24, 32, 32),
        dpt_layers=(1, 2, 4, 5),
    ),
    min_pixels=HEIGHT * HEIGHT,
    max_pixels=HEIGHT * WIDTH,
    context=4096,
)


def begin_small_model(folder: Path, seed: int) -> SpatialMLLM:
    """Write the checkpoint of an untrained small model, and load it with its geometry heads.

    Args:
        folder: where to; must exist.
        seed: of the weights.
    """
    special_ids = write_words(folder)
    vocabulary = max(special_ids.values()) + 1
    sizes = dataclasses.replace(SIZES, vocabulary=vocabulary)
    write_random_checkpoint(folder, sizes, seed=seed, special_ids=special_ids)
    model = load_spatial_mllm(folder, geometry=True)
    torch.manual_seed(seed)
    _draw_weights(model.network)
    return trainable(model)


def trainable(model: SpatialMLLM) -> SpatialMLLM:
    """Let gradients reach every parameter of a loaded model."""
    for parameter in model.network.parameters():
        parameter.requires_grad_(True)
    model.network.train()
    return model


def save_small_model(
    model: SpatialMLLM,
    begun: Path,
    out: Path,
    *,
    is_trained: bool = True,
    kinds: Sequence[str] = (),
    dtype: torch.dtype = torch.float16,
) -> int:
    """Write a model's checkpoint.

    Args:
        model: with its weights.
        begun: the folder that `begin_small_model` wrote.
        out: where to; must not exist.
        is_trained: False if its language model has learnt nothing yet; its answers are then said to mean nothing.
        kinds: the kinds of question that it has learnt to answer; it refuses others. None given: no such list is
            written, and every question is answered.
        dtype: of the stored weights.

    Returns:
        bytes of all files.
    """
    from safetensors.torch import save_file

    out.mkdir(parents=True)
    tensors: dict[str, Tensor] = {
        name: tensor.detach().to(dtype).contiguous()
        for name, tensor in model.network.state_dict().items()
        if name != TIED_NAME
    }
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # the library writes it for its owner alone
    for path in begun.glob("*.json"):
        shutil.copyfile(path, out / path.name)
    config = json.loads((begun / "config.json").read_text(encoding="utf-8"))
    config[OWN_ENTRY]["is_trained"] = is_trained
    if kinds:
        config[OWN_ENTRY]["answers"] = scope_json(kinds)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return sum(path.stat().st_size for path in out.iterdir())


@torch.no_grad()
def _draw_weights(network: nn.Module) -> None:
    """Draw weights anew, as networks of this size are trained from."""
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(_LAYER_SCALE)
        elif name.endswith("bias"):
            parameter.zero_()
        elif name == "model.embed_tokens.weight":
            nn.init.normal_(parameter, std=0.06)
        elif name.startswith("model.") and name.endswith(("o_proj.weight", "down_proj.weight")):
            nn.init.normal_(parameter, std=0.006)  # a layer adds less than a word brings along, or words would be lost
        elif "token" in name or name.endswith("pos_embed"):
            nn.init.trunc_normal_(parameter, std=0.02)
        elif parameter.ndim == 1:
            parameter.fill_(1.0)
        else:
            nn.init.trunc_normal_(parameter, std=min(0.06, 1 / math.sqrt(math.prod(parameter.shape[1:]))))
