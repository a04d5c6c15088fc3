"""Both encoders as graphs of one size: one tensor in, one tensor out, and everything that the size decides a constant.

Takes a loaded model and an engine spec; gives modules that share the model's weights. Rotary tables, window order,
position embeddings and special tokens are buffers, so an export finds them as constants; layers behind the one that is
fused, and all heads, are left out. What they compute is what the model computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.vision_tower import TowerLayout
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.model.vggt import Aggregator
    from spatial_mllm_ros.model.vision_tower import VisionTower

__all__ = ["EncoderGraph", "encoder_2d_graph", "encoder_graph", "example_inputs", "spatial_encoder_graph"]

PATCH = 14  # pixels; `EngineSpec` has sides in multiples of two patches
_PATCH_VALUES = 3 * 2 * PATCH * PATCH


class EncoderGraph(nn.Module):
    """An encoder for frames of one size and number.

    Attributes:
        stage: which encoder.
        input_name, output_name: of its tensors, see `runtime.encoder`.
    """

    stage: Stage
    input_name: str
    output_name: str

    def __init__(self, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.grid = grid

    def _keep(self, **constants: Tensor) -> None:
        for name, tensor in constants.items():
            self.register_buffer(name, tensor.detach().clone(), persistent=False)


class _Encoder2d(EncoderGraph):
    stage = "encoder_2d"
    input_name, output_name = "pixel_values", "visual_embeds"

    def __init__(self, tower: VisionTower, grid: tuple[int, int, int]) -> None:
        super().__init__(grid)
        self.tower = tower
        layout = tower.layout(*grid[1:], tower.patch_embed.proj.weight.device)
        self._windows = layout.windows
        self._keep(order=layout.order, inverse=layout.inverse, cosine=layout.cosine, sine=layout.sine)

    def forward(self, pixel_values: Tensor) -> Tensor:
        layout = TowerLayout(self.order, self.inverse, self.cosine, self.sine, self._windows)
        return self.tower(pixel_values, self.grid, layout)


class _SpatialEncoder(EncoderGraph):
    stage = "spatial_encoder"
    input_name, output_name = "video", "connector_embeds"

    def __init__(self, aggregator: Aggregator, layer: int, connector: nn.Module, video: Tensor, grid) -> None:
        super().__init__(grid)
        num_layers = layer % aggregator.config.depth + 1
        self.frame_encoder = aggregator.patch_embed
        self.frame_blocks = aggregator.frame_blocks[:num_layers]
        self.global_blocks = aggregator.global_blocks[:num_layers]
        self.connector = connector
        mean, std = aggregator.colour_scale(video)
        cosine, sine = aggregator.rope_tables(video)
        class_position, patch_positions = self.frame_encoder.position_embedding(*video.shape[2:])
        self._keep(mean=mean, std=std, special=aggregator.special_tokens(len(video)), cosine=cosine, sine=sine)
        self._keep(class_position=class_position, patch_positions=patch_positions)

    def forward(self, video: Tensor) -> Tensor:
        patches = self.frame_encoder((video - self.mean) / self.std, (self.class_position, self.patch_positions))
        x = torch.cat([self.special, patches], dim=1)  # [T,5+P,C]
        tables = (self.cosine, self.sine)
        for frame_block, global_block in zip(self.frame_blocks, self.global_blocks):
            frame = frame_block(x, tables)
            x = global_block(frame, tables, is_global=True)
        tokens = torch.cat([frame, x], dim=-1)[:, self.special.shape[1] :]  # [T,P,2C]
        return self.connector(tokens, self.grid)


@torch.no_grad()
def encoder_2d_graph(model: SpatialMLLM, spec: EngineSpec) -> EncoderGraph:
    """Give the 2D encoder for a spec's frames: `pixel_values` [N,1176] to `visual_embeds` [N/4,D].

    Raises:
        InputError: if the model's patches have another size than a spec can say.
    """
    return _Encoder2d(model.network.visual, _grid(model, spec)).eval()


@torch.no_grad()
def spatial_encoder_graph(model: SpatialMLLM, spec: EngineSpec) -> EncoderGraph:
    """Give spatial encoder and connector for a spec's frames: `video` [T,3,H,W] to `connector_embeds` [N/4,D].

    Raises:
        InputError: if the model's patches have another size than a spec can say.
    """
    video = torch.zeros(_video_shape(spec), dtype=model.dtype, device=model.device)
    network = model.network
    return _SpatialEncoder(
        network.vggt.aggregator, model.config.spatial_layer, network.connector, video, _grid(model, spec)
    ).eval()


def encoder_graph(model: SpatialMLLM, stage: Stage, spec: EngineSpec) -> EncoderGraph:
    """Give the graph of a stage by its name; raises as the two above."""
    return encoder_2d_graph(model, spec) if stage == "encoder_2d" else spatial_encoder_graph(model, spec)


def example_inputs(stage: Stage, spec: EngineSpec) -> Tensor:
    """Give zeros on the CPU, in the shape and dtype that a stage takes: [N,1176] or [T,3,H,W]."""
    pairs, rows, columns = _spec_grid(spec)
    shape = (pairs * rows * columns, _PATCH_VALUES) if stage == "encoder_2d" else _video_shape(spec)
    return torch.zeros(shape, dtype=getattr(torch, spec.dtype))


def _video_shape(spec: EngineSpec) -> tuple[int, int, int, int]:
    return spec.num_keyframes, 3, spec.height, spec.width


def _spec_grid(spec: EngineSpec) -> tuple[int, int, int]:
    return spec.num_keyframes // 2, spec.height // PATCH, spec.width // PATCH


def _grid(model: SpatialMLLM, spec: EngineSpec) -> tuple[int, int, int]:
    vision = model.config.vision
    if (vision.patch_size, vision.temporal_patch_size, vision.spatial_merge_size) != (PATCH, 2, 2):
        raise InputError(f"{model.name}: engines are for patches of {PATCH} pixels and 2 frames, merged 2 x 2")
    return _spec_grid(spec)
