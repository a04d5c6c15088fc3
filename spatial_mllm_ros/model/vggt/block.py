"""The transformer block that all of VGGT is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.attention import attend
from spatial_mllm_ros.model.vggt.rope import apply_rope

__all__ = ["Block", "Mlp"]

_INITIAL_SCALE = 0.01


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, channels: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, out or channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """Scale each channel of a residual by its own factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), _INITIAL_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    """Self attention within each frame, or over all frames at once."""

    def __init__(self, channels: int, num_heads: int, *, has_qk_norm: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = channels // num_heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.q_norm = nn.LayerNorm(self.head_dim) if has_qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(self.head_dim) if has_qk_norm else nn.Identity()
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, tables: tuple[Tensor, Tensor] | None, *, is_global: bool) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dim)).unbind(2)  # [T,P,heads,D]
        query, key = self.q_norm(query), self.k_norm(key)
        if tables is not None:
            query, key = apply_rope(query, tables), apply_rope(key, tables)
        if is_global:
            query, key, value = (t.flatten(0, 1)[None] for t in (query, key, value))  # [1,T*P,heads,D]
        out = attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """Pre-norm attention and MLP, each with LayerScale.

    Args:
        norm_eps: 1e-6 in DINOv2, 1e-5 everywhere else.
        has_qk_norm: True in the aggregator only.
    """

    def __init__(
        self, channels: int, num_heads: int, *, mlp_ratio: float, has_qk_norm: bool = False, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=norm_eps)
        self.attn = Attention(channels, num_heads, has_qk_norm=has_qk_norm)
        self.ls1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels, eps=norm_eps)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.ls2 = LayerScale(channels)

    def forward(self, x: Tensor, tables: tuple[Tensor, Tensor] | None = None, *, is_global: bool = False) -> Tensor:
        """Update tokens [T,P,C]; `tables` rotate queries and keys, `is_global` attends over all frames."""
        x = x + self.ls1(self.attn(self.norm1(x), tables, is_global=is_global))
        return x + self.ls2(self.mlp(self.norm2(x)))
