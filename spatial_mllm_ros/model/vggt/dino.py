"""DINOv2 with registers: VGGT's patch embedding."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.vggt.block import Block
from spatial_mllm_ros.model.vggt.config import VggtConfig

__all__ = ["DinoEncoder"]


class _PatchEmbed(nn.Module):
    def __init__(self, channels: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=patch_size, stride=patch_size)


class DinoEncoder(nn.Module):
    """Encode normalised images [T,3,H,W] into patch tokens [T,P,C], P = (H/14) * (W/14), rows first."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        channels, registers = config.embed_dim, config.num_register_tokens
        self.image_size = config.image_size
        self.patch_size = config.patch_size
        side = config.image_size // config.patch_size
        self.patch_embed = _PatchEmbed(channels, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, channels))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, channels))
        self.mask_token = nn.Parameter(torch.zeros(1, channels))  # of DINOv2's training; not used here
        self.blocks = nn.ModuleList(
            Block(channels, config.dino_heads, mlp_ratio=config.mlp_ratio, norm_eps=1e-6)
            for _ in range(config.dino_depth)
        )
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, images: Tensor, positions: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Encode; `positions` is what `position_embedding` gives for this size, None computes it."""
        patches = self._embed(images)  # [T,P,C]
        class_position, patch_positions = positions or self.position_embedding(*images.shape[-2:])
        leading = torch.cat([self.cls_token + class_position, self.register_tokens], dim=1)  # [1,1+registers,C]
        x = torch.cat([leading.expand(len(patches), -1, -1), patches + patch_positions], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, leading.shape[1] :])

    def _embed(self, images: Tensor) -> Tensor:
        """Embed patches; the convolution as the matrix product that it is, which ONNX has in every dtype."""
        size = self.patch_size
        rows, columns = images.shape[2] // size, images.shape[3] // size
        patches = images.reshape(len(images), 3, rows, size, columns, size).permute(0, 2, 4, 1, 3, 5)
        proj = self.patch_embed.proj
        return F.linear(patches.flatten(3).flatten(1, 2), proj.weight.flatten(1), proj.bias)

    def position_embedding(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Give the position embeddings of the class token [1,1,C] and of the patches [1,P,C] of an image.

        Trained for a square; other sizes are resampled in float32 (bicubic, antialiased), as the original does. For a
        fixed size this is a constant, which an export may fold.
        """
        class_position, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        if height == width and (height // self.patch_size) ** 2 == patches.shape[1]:
            return class_position, patches
        side = math.isqrt(patches.shape[1])
        grid = patches.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # [1,C,side,side]
        size = (height // self.patch_size, width // self.patch_size)
        grid = F.interpolate(grid, size=size, mode="bicubic", antialias=True)
        return class_position, grid.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)
