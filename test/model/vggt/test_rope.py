import math

import pytest
import torch

from spatial_mllm_ros.model.vggt.rope import apply_rope, rope_tables

CPU = torch.device("cpu")


def tables(dtype=torch.float32, rows=2, columns=3, head_dim=8, num_special=5):
    return rope_tables(rows, columns, head_dim, num_special=num_special, base=100.0, dtype=dtype, device=CPU)


def test_angles_by_hand():
    """Patch (1, 2) of a 2 x 3 grid stands at (2, 3); frequencies are 1 and 1/10."""
    cosine, sine = tables()
    angles = [2 * 1.0, 2 * 0.1] * 2 + [3 * 1.0, 3 * 0.1] * 2
    torch.testing.assert_close(cosine[-1], torch.tensor([math.cos(angle) for angle in angles]))
    torch.testing.assert_close(sine[-1], torch.tensor([math.sin(angle) for angle in angles]))


def test_camera_and_register_tokens_are_not_turned():
    x = torch.randn(2, 11, 3, 8)
    assert torch.equal(apply_rope(x, tables())[:, :5], x[:, :5])


def test_turning_keeps_lengths_and_products_depend_on_offsets_only():
    x, y = torch.randn(8), torch.randn(8)
    grid = tables(rows=5, columns=6, num_special=0)

    def product(first, second):
        """Of x at one patch (row, column) and y at another."""
        tokens = torch.zeros(1, 30, 1, 8)
        places = [row * 6 + column for row, column in (first, second)]
        tokens[0, places[0], 0] = x
        turned_x = apply_rope(tokens, grid)[0, places[0], 0]
        tokens[0, places[1], 0] = y
        return turned_x @ apply_rope(tokens, grid)[0, places[1], 0]

    torch.testing.assert_close(product((0, 1), (3, 2)), product((1, 4), (4, 5)), rtol=1e-4, atol=1e-4)
    turned = apply_rope(x.expand(1, 30, 1, 8), grid)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm().expand(1, 30, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_angles_are_rounded_before_cosines_are_taken(dtype):
    """As in the original; at row 46 in bfloat16 this is not the rounded cosine."""
    short = tables(dtype, rows=46, columns=2)
    exact = tables(rows=46, columns=2)
    inverse = 1.0 / 100 ** (torch.arange(0, 4, 2).float() / 4)
    rounded = (46 * inverse).to(dtype)
    assert torch.equal(short[0][-1, :2], rounded.cos())
    assert short[0].dtype == dtype
    assert not torch.equal(short[0], exact[0].to(dtype))
