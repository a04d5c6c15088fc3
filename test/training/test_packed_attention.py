"""Attention in blocks is attention under a mask over everything."""

import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from spatial_mllm_ros.training import packed_attention
from spatial_mllm_ros.training.packed_attention import PackedAttention

QUESTIONS = st.lists(st.integers(1, 9), max_size=6)  # tokens of each


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.lists(QUESTIONS, min_size=1, max_size=3), st.integers(1, 12), st.sampled_from([1, 2]))
def test_blocks_give_what_a_mask_over_all_tokens_gives(scene, rows, block, groups):
    rows = [[0] * scene + [i + 1 for i, tokens in enumerate(row) for _ in range(tokens)] for row in rows]
    length = max(map(len, rows))
    segments = torch.tensor([row + [-1] * (length - len(row)) for row in rows])
    query = torch.randn(len(rows), 2, length, 8, generator=torch.Generator().manual_seed(0))
    key, value = query[:, ::groups].flip(2), query[:, ::groups].flip(3)
    same = segments[:, None] == segments[:, :, None]
    mask = ((segments[:, None] == 0) | same) & torch.ones(length, length, dtype=torch.bool).tril()
    wide = [t.repeat_interleave(groups, dim=1) for t in (key, value)]
    expected = F.scaled_dot_product_attention(query, *wide, attn_mask=mask[:, None])
    was, packed_attention._BLOCK = packed_attention._BLOCK, block
    try:
        found = PackedAttention(segments)(query, key, value)
    finally:
        packed_attention._BLOCK = was
    is_read = (segments >= 0)[:, None, :, None]  # nobody reads what padding finds
    torch.testing.assert_close(found * is_read, expected * is_read)
