"""Scaled dot product attention whose largest intermediate is bounded, whatever kernel torch picks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MAX_SCORE_BYTES", "attend"]

# Where torch has no fused kernel (old GPUs, some dtypes) it holds all scores of one call in float32, and their softmax.
# At 16 frames of 644x476 the scores of VGGT's global attention would be 40 GB; in blocks of queries they are at most
# this much. Large enough to keep a GPU busy: 668 queries x 16 heads there. Figures in docs/model.md.
MAX_SCORE_BYTES = 1 << 30


def attend(query: Tensor, key: Tensor, value: Tensor, *, max_score_bytes: int = MAX_SCORE_BYTES) -> Tensor:
    """Attend from every query to every key, in blocks of queries.

    Args:
        query: [B,heads,N,D]. key, value: [B,heads,S,D].
        max_score_bytes: bound for the float32 scores of one block.

    Returns:
        [B,heads,N,D]; equal to one call over all queries up to rounding.
    """
    batch, heads, num_queries, _ = query.shape
    block = max(1, max_score_bytes // (4 * batch * heads * key.shape[2]))
    if block >= num_queries or torch.compiler.is_compiling():  # a graph keeps attention whole, for its builder to fuse
        return F.scaled_dot_product_attention(query, key, value)
    out = torch.empty_like(query)
    for start in range(0, num_queries, block):
        part = slice(start, start + block)
        out[:, :, part] = F.scaled_dot_product_attention(query[:, :, part], key, value)
    return out
