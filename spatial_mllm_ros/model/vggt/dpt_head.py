"""VGGT's dense head (DPT): a value and a confidence per pixel, for depth or for points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.vggt.config import VggtConfig

__all__ = ["DptFeatures", "DptHead", "depth_from_log", "points_from_log"]

_FRAMES_PER_PASS = 8  # bounds memory: full resolution features of 8 frames at a time
_HIDDEN = 32  # channels before the output
_POSITION_SCALE = 0.1
_POSITION_BASE = 100.0


def depth_from_log(x: Tensor) -> Tensor:
    """Depth head's activation: always positive."""
    return torch.exp(x)


def points_from_log(x: Tensor) -> Tensor:
    """Point head's activation: near linear around 0, exponential far out, odd."""
    return torch.sign(x) * torch.expm1(torch.abs(x))


class _ResidualUnit(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)  # the original's first ReLU works in place, so its skip connection carries the rectified input
        return self.conv2(F.relu(self.conv1(x))) + x


class _Fusion(nn.Module):
    def __init__(self, features: int, *, has_skip: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, 1)
        if has_skip:
            self.resConfUnit1 = _ResidualUnit(features)
        self.resConfUnit2 = _ResidualUnit(features)

    def forward(self, x: Tensor, skip: Tensor | None, size: Sequence[int]) -> Tensor:
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        x = _resize(self.resConfUnit2(x), size)
        return self.out_conv(x)


class _Scratch(nn.Module):
    def __init__(self, features: int, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        for index, count in enumerate(channels, start=1):
            self.add_module(f"layer{index}_rn", nn.Conv2d(count, features, 3, padding=1, bias=False))
        for index in range(1, 5):
            self.add_module(f"refinenet{index}", _Fusion(features, has_skip=index < 4))
        self.output_conv1 = nn.Conv2d(features, out_channels, 3, padding=1)


class DptFeatures(nn.Module):
    """The shared body of the dense heads: four aggregator layers to one feature map."""

    def __init__(self, channels_in: int, features: int, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels_in)
        self.projects = nn.ModuleList(nn.Conv2d(channels_in, count, 1) for count in channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(channels[0], channels[0], 4, stride=4),
                nn.ConvTranspose2d(channels[1], channels[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(channels[3], channels[3], 3, stride=2, padding=1),
            ]
        )
        self.scratch = _Scratch(features, channels, out_channels)

    def features(self, layers: Sequence[Tensor], rows: int, columns: int, aspect: float) -> Tensor:
        """Fuse four layers of patch tokens [T,P,2C] to a map [T,out_channels,8*rows,8*columns]."""
        maps = []
        for tokens, project, resize, index in zip(layers, self.projects, self.resize_layers, range(1, 5)):
            x = self.norm(tokens).transpose(1, 2).unflatten(2, (rows, columns))  # [T,2C,rows,columns]
            x = resize(_with_positions(project(x), aspect))
            maps.append(getattr(self.scratch, f"layer{index}_rn")(x))
        scratch = self.scratch
        x = scratch.refinenet4(maps[3], None, maps[2].shape[2:])
        x = scratch.refinenet3(x, maps[2], maps[1].shape[2:])
        x = scratch.refinenet2(x, maps[1], maps[0].shape[2:])
        x = scratch.refinenet1(x, maps[0], [2 * side for side in maps[0].shape[2:]])
        return scratch.output_conv1(x)


class DptHead(DptFeatures):
    """Predict a value (depth: 1 channel, points: 3 channels) and a confidence for every pixel.

    Args:
        num_values: channels of the value.
        activation: applied to the value.
    """

    def __init__(self, config: VggtConfig, num_values: int, activation: Callable[[Tensor], Tensor]) -> None:
        half = config.dpt_features // 2
        super().__init__(2 * config.embed_dim, config.dpt_features, config.dpt_channels, half)
        self.patch_size = config.patch_size
        self.num_special = config.num_special_tokens
        self.activation = activation
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(half, _HIDDEN, 3, padding=1), nn.ReLU(), nn.Conv2d(_HIDDEN, num_values + 1, 1)
        )

    def forward(self, layers: Sequence[Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            layers: four tensors [T,5+P,2C], the aggregator's layers `VggtConfig.dpt_layers`.
            height, width: of the frames, pixels.

        Returns:
            value [T,H,W,num_values] and confidence [T,H,W], which is at least 1.
        """
        parts = []
        for start in range(0, len(layers[0]), _FRAMES_PER_PASS):
            frames = slice(start, start + _FRAMES_PER_PASS)
            parts.append(self._predict([layer[frames, self.num_special :] for layer in layers], height, width))
        out = torch.cat(parts).permute(0, 2, 3, 1)  # [T,H,W,num_values+1]
        return self.activation(out[..., :-1]), 1 + out[..., -1].exp()

    def _predict(self, layers: Sequence[Tensor], height: int, width: int) -> Tensor:
        aspect = width / height
        x = self.features(layers, height // self.patch_size, width // self.patch_size, aspect)
        x = _with_positions(_resize(x, (height, width)), aspect)
        return self.scratch.output_conv2(x)


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def _with_positions(x: Tensor, aspect: float) -> Tensor:
    """Add a sinusoidal embedding of each pixel's place [-1..1, scaled to the image's aspect] to a map [T,C,h,w]."""
    channels, height, width = x.shape[1:]
    diagonal = (aspect**2 + 1) ** 0.5
    across, down = (
        torch.linspace(-span * (count - 1) / count, span * (count - 1) / count, count, dtype=x.dtype, device=x.device)
        for span, count in ((aspect / diagonal, width), (1 / diagonal, height))
    )
    across = _sinusoids(across, channels // 2)[None].expand(height, -1, -1)  # [h,w,C/2]
    down = _sinusoids(down, channels // 2)[:, None].expand(-1, width, -1)
    embedding = torch.cat([across, down], dim=-1).permute(2, 0, 1)
    return x + embedding * _POSITION_SCALE


def _sinusoids(positions: Tensor, channels: int) -> Tensor:
    steps = torch.arange(channels // 2, dtype=torch.float64, device=positions.device) / (channels / 2)
    angles = positions.double()[:, None] / _POSITION_BASE**steps
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()  # [positions, channels]
