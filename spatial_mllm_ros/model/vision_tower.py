"""The 2D encoder: Qwen2.5-VL's vision tower, batched over frame pairs and over windows of one size.

The layers are transformers'; how they are driven is ours. The original runs all patches of a video as one sequence and
masks (or splits) its attention. But attention never crosses a temporal patch, so pairs of frames are a batch here, and
windows are sorted by size, so that each size is one batched attention without mask or padding. Equal up to rounding.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.attention import attend
from spatial_mllm_ros.model.config import VisionConfig

__all__ = ["TowerLayout", "VisionTower", "WindowPlan", "window_plan"]

_ROPE_BASE = 10_000.0


@dataclass(frozen=True)
class WindowPlan:
    """Order of the merged tokens of one frame pair in which windows are contiguous and sorted by size.

    Attributes:
        order: [h/2 * w/2]; where the token at each new place comes from. Plain numbers: a tensor made, and kept, while
            torch exports or builds on the meta device would be of no use afterwards.
        windows: (number of windows, merged tokens per window) for each size, largest first.
    """

    order: tuple[int, ...]
    windows: tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=32)
def window_plan(rows: int, columns: int, window: int) -> WindowPlan:
    """Plan the windows of a grid of `rows` x `columns` merged tokens, `window` tokens a side."""
    by_size: dict[int, list[list[int]]] = defaultdict(list)
    for top in range(0, rows, window):
        for left in range(0, columns, window):
            bottom, right = min(top + window, rows), min(left + window, columns)
            tokens = [row * columns + column for row in range(top, bottom) for column in range(left, right)]
            by_size[len(tokens)].append(tokens)
    sizes = sorted(by_size, reverse=True)
    order = tuple(token for size in sizes for tokens in by_size[size] for token in tokens)
    return WindowPlan(order, tuple((len(by_size[size]), size) for size in sizes))


@dataclass(frozen=True, eq=False)
class TowerLayout:
    """What depends on the size of the frames alone: constants of an exported graph.

    Attributes:
        order, inverse: int64 [h/2 * w/2], into window order and back.
        cosine, sine: float32 [hw,1,head_dim], the rotary tables in window order.
        windows: (number of windows, patches per window) for each size, largest first.
    """

    order: Tensor
    inverse: Tensor
    cosine: Tensor
    sine: Tensor
    windows: tuple[tuple[int, int], ...]


class VisionTower(nn.Module):
    """Encode patches into the language model's tokens.

    Args:
        patch_embed, blocks, merger: transformers' modules.
    """

    def __init__(self, config: VisionConfig, patch_embed: nn.Module, blocks: nn.ModuleList, merger: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = patch_embed
        self.blocks = blocks
        self.merger = merger

    def forward(self, pixel_values: Tensor, grid: tuple[int, int, int], layout: TowerLayout | None = None) -> Tensor:
        """Encode one video.

        Args:
            pixel_values: [N,1176] in processor order: pairs, then squares of 2 x 2 patches, then patches in a square.
            grid: (t, h, w): frame pairs, patch rows and patch columns; N = t * h * w.
            layout: what `layout(h, w, ...)` gave; None makes it.

        Returns:
            [N/4,D], squares in rows.

        Raises:
            InputError: if `pixel_values` is not of that grid.
        """
        pairs, rows, columns = grid
        merge = self.config.spatial_merge_size
        if pixel_values.shape != (pairs * rows * columns, self.config.patch_values) or rows % merge or columns % merge:
            raise InputError(
                f"pixel_values {list(pixel_values.shape)} do not fit a grid of {pairs} x {rows} x {columns} patches of "
                f"{self.config.patch_values} values (rows and columns in multiples of {merge})"
            )
        layout = layout or self.layout(rows, columns, pixel_values.device)
        return self.merge(self.encode_patches(pixel_values, grid, layout), layout).flatten(0, 1)

    def encode_patches(self, pixel_values: Tensor, grid: tuple[int, int, int], layout: TowerLayout) -> Tensor:
        """Run all blocks: [t,hw,C] in window order, as `merge` takes them; see `forward`."""
        _, rows, columns = grid
        square = self.config.spatial_merge_size**2
        tables = (layout.cosine, layout.sine)
        x = self.embed(pixel_values).unflatten(0, (grid[0], -1, square))  # [t,hw/4,4,C]
        x = x.index_select(1, layout.order).flatten(1, 2)  # [t,hw,C]
        for index, block in enumerate(self.blocks):
            windows = ((1, rows * columns),) if index in self.config.fullatt_block_indexes else layout.windows
            x = x + self._attention(block.attn, block.norm1(x), tables, windows)
            x = x + block.mlp(block.norm2(x))
        return x

    def merge(self, patches: Tensor, layout: TowerLayout) -> Tensor:
        """Merge squares of 2 x 2 patches [t,hw,C] into tokens [t,hw/4,D], squares in rows."""
        out = self.merger(patches.flatten(0, 1)).unflatten(0, (len(patches), -1))
        return out.index_select(1, layout.inverse)

    def layout(self, rows: int, columns: int, device: torch.device) -> TowerLayout:
        """Lay out frames of `rows` x `columns` patches."""
        merge = self.config.spatial_merge_size
        plan = window_plan(rows // merge, columns // merge, self._window)
        order = torch.tensor(plan.order, device=device)
        return TowerLayout(
            order,
            torch.argsort(order),
            *self._rope_tables(rows, columns, order),
            tuple((count, size * merge * merge) for count, size in plan.windows),
        )

    def embed(self, pixel_values: Tensor) -> Tensor:
        """Embed patches [N,1176] to [N,C]; the 3D convolution as the matrix product that it is."""
        weight = self.patch_embed.proj.weight
        return F.linear(pixel_values.to(weight.dtype), weight.flatten(1))

    @property
    def _window(self) -> int:
        return self.config.window_size // self.config.spatial_merge_size // self.config.patch_size

    def _rope_tables(self, rows: int, columns: int, order: Tensor) -> tuple[Tensor, Tensor]:
        """Make float32 cosine and sine [hw,1,D] in window order; first half of the channels row, second column."""
        merge = self.config.spatial_merge_size
        half = self.config.hidden_size // self.config.num_heads // 2
        frequencies = 1.0 / _ROPE_BASE ** (torch.arange(0, half, 2, device=order.device).float() / half)
        place = torch.cartesian_prod(
            torch.arange(rows, device=order.device), torch.arange(columns, device=order.device)
        )  # [hw,2]
        place = place.reshape(rows // merge, merge, columns // merge, merge, 2).transpose(1, 2)
        place = place.reshape(-1, merge * merge, 2)[order].flatten(0, 1)
        angles = (place[:, :, None] * frequencies).flatten(1).repeat(1, 2)[:, None]  # [hw,1,D]
        return angles.cos(), angles.sin()

    def _attention(
        self, attn: nn.Module, x: Tensor, tables: tuple[Tensor, Tensor], windows: tuple[tuple[int, int], ...]
    ) -> Tensor:
        heads = self.config.num_heads
        query, key, value = attn.qkv(x).unflatten(-1, (3, heads, -1)).unbind(2)  # [t,hw,heads,D]
        query, key = _rotate(query, tables), _rotate(key, tables)
        parts, start = [], 0
        for count, size in windows:
            part = slice(start, start + count * size)
            blocks = (t[:, part].unflatten(1, (count, size)).flatten(0, 1).transpose(1, 2) for t in (query, key, value))
            out = attend(*blocks).transpose(1, 2)  # [t*count,size,heads,D]
            parts.append(out.reshape(len(x), count * size, -1))
            start += count * size
        return attn.proj(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])


def _rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate [t,hw,heads,D] in float32, as the original does in every dtype."""
    cosine, sine = tables
    wide = x.float()
    low, high = wide.chunk(2, dim=-1)
    return (wide * cosine + torch.cat([-high, low], dim=-1) * sine).to(x.dtype)
