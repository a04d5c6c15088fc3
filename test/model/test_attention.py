import pytest
import torch
import torch.nn.functional as F

from spatial_mllm_ros.model.attention import attend


@pytest.mark.parametrize("max_score_bytes", [1, 4 * 2 * 3 * 11 * 4, 4 * 2 * 3 * 11 * 5, 1 << 30])
def test_blocks_of_queries_equal_one_call(max_score_bytes):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8, generator=generator) for n in (9, 11, 11))
    out = attend(query, key, value, max_score_bytes=max_score_bytes)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(query, key, value), rtol=1e-6, atol=1e-6)


def test_no_block_has_more_scores_than_allowed(monkeypatch):
    sizes = []

    def spy(query, key, value):
        sizes.append(query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2] * 4)
        return query

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    tensor = torch.zeros(1, 2, 100, 4)
    attend(tensor, tensor, tensor, max_score_bytes=6000)
    assert len(sizes) > 1 and max(sizes) <= 6000
