"""Sizes of VGGT's parts, which the official config.json does not carry."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spatial_mllm_ros.errors import CheckpointError, InputError

__all__ = ["VggtConfig", "infer_sizes", "sizes_from"]


@dataclass(frozen=True, kw_only=True)
class VggtConfig:
    """Sizes of VGGT; the defaults are VGGT-1B's.

    Attributes:
        image_size: side in pixels of the square that the position embedding was trained for.
        patch_size: side of a patch, pixels.
        embed_dim: channels C of one token; the aggregator gives 2C (frame and global half).
        depth, num_heads: alternating blocks of the aggregator (`depth` frame blocks and as many global ones).
        num_register_tokens: registers beside the camera token, in the aggregator and in DINOv2.
        rope_base: base of the 2D rotary embedding's frequencies.
        dino_depth, dino_heads: DINOv2, the patch embedding.
        camera_depth, camera_heads: trunk of the camera head.
        dpt_features, dpt_channels, dpt_layers: depth and point head; `dpt_layers` are aggregator layers.
        track_features, track_hidden, track_depth, track_channels: track head, which is never run.
    """

    image_size: int = 518
    patch_size: int = 14
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: float = 4.0
    num_register_tokens: int = 4
    rope_base: float = 100.0
    dino_depth: int = 24
    dino_heads: int = 16
    camera_depth: int = 4
    camera_heads: int = 16
    dpt_features: int = 256
    dpt_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    dpt_layers: tuple[int, ...] = (4, 11, 17, 23)
    track_features: int = 128
    track_hidden: int = 384
    track_depth: int = 6
    track_channels: tuple[int, ...] = (256, 512, 1024, 1024)

    def __post_init__(self) -> None:
        for heads, channels, name in (
            (self.num_heads, self.embed_dim, "num_heads"),
            (self.dino_heads, self.embed_dim, "dino_heads"),
            (self.camera_heads, 2 * self.embed_dim, "camera_heads"),
        ):
            if heads < 1 or channels % heads:
                raise InputError(f"VGGT: {name}={heads} does not divide {channels} channels")
        if (self.embed_dim // self.num_heads) % 4:
            head_dim = self.embed_dim // self.num_heads
            raise InputError(f"VGGT: {head_dim} channels per head, but 2D RoPE needs a multiple of 4")
        if len(self.dpt_channels) != 4 or len(self.dpt_layers) != 4:
            raise InputError("VGGT: dpt_channels and dpt_layers must have four entries each")
        if not all(0 <= layer < self.depth for layer in self.dpt_layers):
            raise InputError(f"VGGT: dpt_layers={self.dpt_layers} do not fit a depth of {self.depth}")

    @property
    def num_special_tokens(self) -> int:
        """Camera and register tokens in front of a frame's patch tokens."""
        return 1 + self.num_register_tokens


# The names that published descriptions of a checkpoint use, as (group, name) -> field. The group "" is the top level.
_NAMES: dict[tuple[str, str], str] = {
    ("aggregator", "depth"): "depth",
    ("aggregator", "num_heads"): "num_heads",
    ("dino", "depth"): "dino_depth",
    ("dino", "num_heads"): "dino_heads",
    ("dino", "embed_dim"): "embed_dim",
    ("camera_head", "trunk_depth"): "camera_depth",
    ("camera_head", "num_heads"): "camera_heads",
    ("dpt_head", "features"): "dpt_features",
    ("dpt_head", "out_channels"): "dpt_channels",
    ("dpt_head", "intermediate_layer_idx"): "dpt_layers",
    ("track_head", "features"): "track_features",
    ("track_head", "hidden_size"): "track_hidden",
    ("track_feature_extractor", "out_channels"): "track_channels",
    ("tracker", "depth"): "track_depth",
    ("", "img_size"): "image_size",
    ("", "rope_freq"): "rope_base",
    ("", "rope_freq_aggregator"): "rope_base",
}
_GROUP_ALIASES = {"dinov2": "dino", "patch_embed": "dino", "depth_head": "dpt_head", "point_head": "dpt_head"}
_GROUPS = {group for group, _ in _NAMES if group}
_FIELDS = {field.name for field in dataclasses.fields(VggtConfig)}


def sizes_from(description: Mapping[str, Any]) -> dict[str, Any]:
    """Read sizes given under any of the names in use, nested by part or flat, as fields of `VggtConfig`.

    `depth=4`, `dino_heads=2`, `dinov2={"num_heads": 2}`, `aggregator={"depth": 4}` and `vggt={...}` all work. Entries
    "full_size" (another model's), those that begin with "_" and constants in "common" are passed over.

    Raises:
        InputError: for a name that is neither a field of `VggtConfig` nor one of the known ones.
    """
    sizes: dict[str, Any] = {}
    for name, value in description.items():
        group = _GROUP_ALIASES.get(name, name)
        if name in _FIELDS:
            sizes[name] = tuple(value) if isinstance(value, (list, tuple)) else value
        elif ("", name) in _NAMES:
            sizes[_NAMES["", name]] = value
        elif group in _GROUPS and isinstance(value, Mapping):
            sizes.update(_sizes_of_group(group, value))
        elif name == "common" and isinstance(value, Mapping):
            flat = {key: one for key, one in value.items() if key in _FIELDS or ("", key) in _NAMES}
            sizes.update(sizes_from(flat))
        elif isinstance(value, Mapping) and name != "full_size" and any(map(_is_size, value)):
            sizes.update(sizes_from(value))  # a level that only wraps the rest
        elif name != "full_size" and not name.startswith("_"):
            raise InputError(f"{name!r} is not a size of VGGT; known are {', '.join(sorted(_FIELDS))}")
    return sizes


def _is_size(name: str) -> bool:
    return name in _FIELDS or ("", name) in _NAMES or _GROUP_ALIASES.get(name, name) in _GROUPS


def _sizes_of_group(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {}
    for name, value in values.items():
        field = _NAMES.get((group, name))
        if field is not None:
            sizes[field] = tuple(value) if isinstance(value, (list, tuple)) else value
        elif group not in ("track_head", "track_feature_extractor", "tracker"):
            raise InputError(f"{group}.{name} is not a size of VGGT")
    return sizes


def infer_sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Read off tensor shapes what they tell about the sizes of VGGT, as fields of `VggtConfig`.

    Args:
        shapes: name (without `spatial_encoder.vggt_model.`) to shape of every VGGT tensor in the checkpoint.

    Numbers of heads without QK norm (DINOv2, camera head) and `dpt_layers` leave no trace in the shapes.

    Raises:
        CheckpointError: if the position embedding is not that of a square.
    """
    sizes: dict[str, Any] = {}

    def put(field: str, name: str, axis: int) -> None:
        if name in shapes and len(shapes[name]) > axis:
            sizes[field] = shapes[name][axis]

    put("embed_dim", "aggregator.camera_token", 3)
    put("num_register_tokens", "aggregator.register_token", 2)
    put("patch_size", "aggregator.patch_embed.patch_embed.proj.weight", 2)
    put("dpt_features", "point_head.scratch.layer1_rn.weight", 0)
    put("dpt_features", "depth_head.scratch.layer1_rn.weight", 0)
    put("track_features", "track_head.feature_extractor.scratch.layer1_rn.weight", 0)
    put("track_hidden", "track_head.tracker.corr_mlp.fc1.weight", 0)
    for field, prefix in (
        ("depth", "aggregator.frame_blocks"),
        ("dino_depth", "aggregator.patch_embed.blocks"),
        ("camera_depth", "camera_head.trunk"),
        ("track_depth", "track_head.tracker.updateformer.time_blocks"),
    ):
        numbers = [int(match[1]) for name in shapes if (match := re.match(re.escape(prefix) + r"\.(\d+)\.", name))]
        if numbers:
            sizes[field] = max(numbers) + 1
    for field, prefix in (("dpt_channels", "depth_head"), ("dpt_channels", "point_head"),
                          ("track_channels", "track_head.feature_extractor")):  # fmt: skip
        names = [f"{prefix}.projects.{index}.weight" for index in range(4)]
        if all(name in shapes for name in names):
            sizes[field] = tuple(shapes[name][0] for name in names)
    head_dim = shapes.get("aggregator.frame_blocks.0.attn.q_norm.weight")
    if head_dim and sizes.get("embed_dim"):
        sizes["num_heads"] = sizes["embed_dim"] // head_dim[0]
    _infer_image_size(shapes, sizes)
    return sizes


def _infer_image_size(shapes: Mapping[str, tuple[int, ...]], sizes: dict[str, Any]) -> None:
    shape = shapes.get("aggregator.patch_embed.pos_embed")
    if shape is None or len(shape) != 3 or "patch_size" not in sizes:
        return
    side = math.isqrt(shape[1] - 1)
    if side * side != shape[1] - 1:
        raise CheckpointError(f"aggregator.patch_embed.pos_embed has {shape[1] - 1} positions, which form no square")
    sizes["image_size"] = side * sizes["patch_size"]
