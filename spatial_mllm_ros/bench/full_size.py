"""A random checkpoint whose encoders have the sizes of the released model, for exporting and building engines.

Engines of the released sizes can be built, and their time and memory measured, without the weights. The language model
has one layer, since no engine is made of it.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from spatial_mllm_ros.model.random_checkpoint import RandomSizes, write_random_checkpoint
from spatial_mllm_ros.model.vggt import VggtConfig

__all__ = ["FULL_SIZE", "RANDOM_FULL", "checkpoint_at", "write_full_size"]

RANDOM_FULL = "random-full"
_FULL_ATTENTION = [7, 15, 23, 31]  # layers of Qwen2.5-VL's vision tower that look beyond their window

FULL_SIZE = RandomSizes(
    hidden=2048,
    layers=1,
    heads=16,
    key_heads=2,
    intermediate=11_008,
    vocabulary=1024,
    vision_hidden=1280,
    vision_layers=32,
    vision_heads=16,
    vision_intermediate=3420,
    window=112,
    vggt=VggtConfig(),
    min_pixels=644 * 476,
    max_pixels=644 * 476,
)


def write_full_size(folder: Path) -> None:
    """Write the checkpoint into an existing folder: 3.3 GB in bfloat16, the same every time."""
    write_random_checkpoint(folder, FULL_SIZE, seed=0, heads=(), dtype=torch.bfloat16)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["vision_config"]["fullatt_block_indexes"] = _FULL_ATTENTION
    path.write_text(json.dumps(config, indent=2))


@contextlib.contextmanager
def checkpoint_at(checkpoint: str) -> Iterator[str]:
    """Give a name that `load_spatial_mllm` takes: "random-full" is written to a temporary folder, others are kept."""
    if checkpoint != RANDOM_FULL:
        yield checkpoint
        return
    with tempfile.TemporaryDirectory(prefix="spatial_mllm_random_full_") as folder:
        write_full_size(Path(folder))
        yield folder
