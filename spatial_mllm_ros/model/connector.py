"""The connector: merges spatial tokens to the language model's grid, and projects them (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spatial_mllm_ros.errors import InputError

__all__ = ["Connector", "RmsNorm"]


class RmsNorm(nn.Module):
    """Scale by the inverse root mean square, taken in float32."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class Connector(nn.Module):
    """Two linear layers over the spatial tokens of 2 x 2 patches of 2 frames.

    Args:
        channels_in: 2C x frames x patches that are merged.
        channels_out: D of the language model.
        frames, merge: frames per pair and side of the square of patches that become one token.
    """

    def __init__(self, channels_in: int, channels_out: int, *, frames: int = 2, merge: int = 2) -> None:
        super().__init__()
        self.frames = frames
        self.merge = merge
        self.ln_q = RmsNorm(channels_in)
        self.mlp = nn.Sequential(
            nn.Linear(channels_in, channels_in), nn.GELU(), nn.Linear(channels_in, channels_out)
        )

    def forward(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Project patch tokens [T,P,2C] (no camera or registers) of one video to [N/4,D], N = t * h * w of `grid`."""
        return self.mlp(self.ln_q(self.merge_tokens(tokens, grid)))

    def merge_tokens(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Gather what becomes one token: [T,P,2C] to [N/4, 8 * 2C], in the order of the 2D encoder's output.

        Convention: within a row the order is patch row, patch column, channel, frame; the frame runs fastest.

        Raises:
            InputError: if the tokens are not those of `grid`; a last frame without a partner in particular.
        """
        pairs, rows, columns = grid
        if tokens.shape[0] != pairs * self.frames:
            raise InputError(f"{tokens.shape[0]} frames do not make {pairs} pairs; give an even number of frames")
        if tokens.shape[1] != rows * columns or rows % self.merge or columns % self.merge:
            raise InputError(f"{tokens.shape[1]} spatial tokens per frame do not fit a grid of {rows} x {columns}")
        x = tokens.reshape(
            pairs, self.frames, rows // self.merge, self.merge, columns // self.merge, self.merge, tokens.shape[2]
        )
        return x.permute(0, 2, 4, 3, 5, 6, 1).flatten(3).flatten(0, 2)
