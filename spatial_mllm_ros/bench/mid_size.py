"""A random model of about 300 million parameters: large enough that a stage's cost shows, small enough for a laptop.

Its parts have roughly the shares that they have in the released model: half language model, a fifth 2D encoder, a third
spatial encoder and connector.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from spatial_mllm_ros.model.random_checkpoint import RandomSizes, write_random_checkpoint
from spatial_mllm_ros.model.small_tokenizer import write_small_tokenizer
from spatial_mllm_ros.model.vggt import VggtConfig

__all__ = ["MID_SIZE", "mid_size", "write_mid_size"]

MID_SIZE = RandomSizes(
    hidden=768,
    layers=16,
    heads=12,
    key_heads=2,
    intermediate=3072,
    vocabulary=32_000,
    vision_hidden=512,
    vision_layers=12,
    vision_heads=8,
    vision_intermediate=1536,
    window=112,
    vggt=VggtConfig(
        image_size=252, embed_dim=384, depth=12, num_heads=6, dino_depth=12, dino_heads=6, dpt_layers=(2, 5, 8, 11)
    ),
)


def mid_size(height: int, width: int) -> RandomSizes:
    """Give the sizes of a model that resizes no frame of `height` x `width` pixels (multiples of 28)."""
    return dataclasses.replace(MID_SIZE, min_pixels=height * width, max_pixels=height * width)


def write_mid_size(folder: Path, height: int, width: int) -> None:
    """Write a random checkpoint of `mid_size` with a tokenizer, 1.2 GB; the same every time."""
    special_ids = write_small_tokenizer(folder)
    write_random_checkpoint(folder, mid_size(height, width), seed=0, special_ids=special_ids, heads=())
