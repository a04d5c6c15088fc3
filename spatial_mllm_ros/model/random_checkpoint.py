"""Checkpoints of any size with seeded random weights, in the official layout.

For what needs a model but no answers that mean anything: the demo without trained weights, tests, benchmarks. They say
of themselves that they are not trained (`"spatial_mllm_ros": {"is_trained": false}` in config.json).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spatial_mllm_ros.model.config import MODEL_TYPE, OWN_ENTRY, config_from_json
from spatial_mllm_ros.model.network import TIED_NAME, empty_network
from spatial_mllm_ros.model.preprocessing import CLIP_MEAN, CLIP_STD
from spatial_mllm_ros.model.small_tokenizer import SPECIAL_TOKENS, write_small_tokenizer
from spatial_mllm_ros.model.vggt import GEOMETRY_HEADS, VggtConfig

__all__ = ["RANDOM_SMALL", "SMALL", "RandomSizes", "config_json", "write_random_checkpoint", "write_random_small"]

RANDOM_SMALL = "random-small"
_SMALL_SEED = 8  # among the first seeds, one whose answers are printable and vary


@dataclass(frozen=True, kw_only=True)
class RandomSizes:
    """Sizes of a random checkpoint; heads have the same number of channels throughout a part.

    Attributes:
        hidden, layers, heads, key_heads, intermediate, vocabulary: language model.
        vision_hidden, vision_layers, vision_heads, vision_intermediate, window: 2D encoder; full attention every other
            layer; `window` in pixels.
        vggt: spatial encoder.
        min_pixels, max_pixels: bounds for the area of one resized frame.
        context: most tokens in one prompt and answer.
    """

    hidden: int = 192
    layers: int = 4
    heads: int = 6
    key_heads: int = 2
    intermediate: int = 512
    vocabulary: int = 1024
    vision_hidden: int = 96
    vision_layers: int = 4
    vision_heads: int = 4
    vision_intermediate: int = 256
    window: int = 56
    vggt: VggtConfig = VggtConfig(
        image_size=112,
        embed_dim=72,
        depth=4,
        num_heads=2,
        dino_depth=2,
        dino_heads=2,
        camera_depth=2,
        camera_heads=4,
        dpt_features=32,
        dpt_channels=(16, 24, 32, 32),
        dpt_layers=(0, 1, 2, 3),
    )
    min_pixels: int = 84 * 84
    max_pixels: int = 84 * 112
    context: int = 32_768


SMALL = RandomSizes()


def write_random_small(folder: Path) -> None:
    """Write the model "random-small": about five million parameters, with a tokenizer; the same every time."""
    special_ids = write_small_tokenizer(folder)
    sizes = dataclasses.replace(SMALL, vocabulary=max(special_ids.values()) + 1)
    write_random_checkpoint(folder, sizes, seed=_SMALL_SEED, special_ids=special_ids)


def write_random_checkpoint(
    folder: Path,
    sizes: RandomSizes,
    *,
    seed: int,
    special_ids: Mapping[str, int] | None = None,
    heads: Sequence[str] = GEOMETRY_HEADS,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write config.json, generation_config.json, preprocessor_config.json and model.safetensors.

    Args:
        folder: where to; must exist.
        seed: of torch's generator; the same seed gives the same weights.
        special_ids: number of every special token of a tokenizer that is put beside the weights; the last of the
            vocabulary if None.
        heads: of VGGT.
        dtype: of the stored weights.
    """
    from safetensors.torch import save_file

    first = sizes.vocabulary - len(SPECIAL_TOKENS)
    ids = special_ids or {token: first + index for index, token in enumerate(SPECIAL_TOKENS)}
    config = config_json(sizes, ids)
    network = empty_network(config_from_json(config, vggt=sizes.vggt), heads)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: _random(name, tensor.shape, generator).to(dtype)
        for name, tensor in network.state_dict().items()
        if name != TIED_NAME
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    _write(folder / "preprocessor_config.json", _preprocessor_json(sizes))


def config_json(sizes: RandomSizes, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Give the config.json of a random checkpoint, in the official layout and with our own entry."""
    head_dim = sizes.hidden // sizes.heads
    return {
        "architectures": ["SpatialMLLMForConditionalGeneration"],
        "model_type": MODEL_TYPE,
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_heads,
        "max_position_embeddings": sizes.context,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"rope_type": "default", "type": "default", "mrope_section": _mrope_section(head_dim // 2)},
        "tie_word_embeddings": True,
        "eos_token_id": special_ids["<|im_end|>"],
        "bos_token_id": special_ids["<|endoftext|>"],
        "vision_start_token_id": special_ids["<|vision_start|>"],
        "vision_end_token_id": special_ids["<|vision_end|>"],
        "vision_token_id": special_ids["<|vision_pad|>"],
        "image_token_id": special_ids["<|image_pad|>"],
        "video_token_id": special_ids["<|video_pad|>"],
        "vision_config": {
            "depth": sizes.vision_layers,
            "hidden_size": sizes.vision_hidden,
            "intermediate_size": sizes.vision_intermediate,
            "num_heads": sizes.vision_heads,
            "out_hidden_size": sizes.hidden,
            "fullatt_block_indexes": list(range(1, sizes.vision_layers, 2)),
            "window_size": sizes.window,
            "tokens_per_second": 2,
        },
        "spatial_config": {
            "img_size": sizes.vggt.image_size,
            "patch_size": sizes.vggt.patch_size,
            "embed_dim": sizes.vggt.embed_dim,
        },
        "connector_config": {"connector_type": "mlp_add", "spatial_embeds_layer_idx": -1},
        OWN_ENTRY: {
            "is_trained": False,
            "min_pixels": sizes.min_pixels,
            "max_pixels": sizes.max_pixels,
            "vggt": dataclasses.asdict(sizes.vggt),
        },
    }


def _mrope_section(half: int) -> list[int]:
    """Split half a head's channels among time, row and column, roughly 2 : 3 : 3 as in Qwen2.5-VL."""
    space = half * 3 // 8
    return [half - 2 * space, space, space]


def _preprocessor_json(sizes: RandomSizes) -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": sizes.min_pixels,
        "max_pixels": sizes.max_pixels,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": list(CLIP_MEAN),
        "image_std": list(CLIP_STD),
    }


def _random(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Draw a tensor such that signals neither die nor explode, and answers vary."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith("bias") or "token" in name or name.endswith("pos_embed"):
        return 0.02 * noise
    if name.endswith("gamma"):
        return 0.2 + 0.02 * noise
    if len(shape) == 1:
        return 1 + 0.05 * noise  # scales of norms
    return noise / math.sqrt(math.prod(shape[1:]))


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
