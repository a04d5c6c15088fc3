"""VGGT's 2D rotary position embedding, as tables that are applied before frames are flattened.

The first half of a head's channels turns with the row, the second with the column; patches count from 1 and the
camera and register tokens stand at 0. Angles are rounded to the dtype of the tokens before cosine and sine are
taken: in bfloat16 and float16 this is part of what the weights were trained with.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["apply_rope", "rope_tables"]


def rope_tables(
    rows: int, columns: int, head_dim: int, *, num_special: int, base: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Make the cosine and sine tables of one frame.

    Args:
        rows, columns: patches per column and per row of the frame.
        head_dim: channels of one attention head, a multiple of 4.
        num_special: tokens in front of the patches, at position 0.
        base: base of the frequencies.

    Returns:
        cosine and sine, `dtype` [num_special + rows * columns, head_dim].
    """
    half = head_dim // 2
    exponents = torch.arange(0, half, 2, device=device).float() / half
    frequencies = 1.0 / base**exponents
    grid = torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device)) + 1  # [P,2]
    positions = torch.cat([grid.new_zeros(num_special, 2), grid]).float()  # [5+P,2]
    angles = (positions[:, :, None] * frequencies).to(dtype)  # [5+P,2,head_dim/4]
    angles = torch.cat([angles, angles], dim=-1).flatten(1)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate queries or keys [T,5+P,heads,head_dim] by the tables of `rope_tables`."""
    cosine, sine = (table[:, None] for table in tables)  # [5+P,1,head_dim]
    row_low, row_high, column_low, column_high = x.chunk(4, dim=-1)
    turned = torch.cat([-row_high, row_low, -column_high, column_low], dim=-1)
    return x * cosine + turned * sine
