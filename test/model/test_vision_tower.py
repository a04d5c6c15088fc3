import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.qwen_reference import vision_pair

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.config import VisionConfig
from spatial_mllm_ros.model.network import build_vision_tower
from spatial_mllm_ros.model.vision_tower import window_plan

CONFIG = VisionConfig(
    depth=3,
    hidden_size=48,
    intermediate_size=40,
    num_heads=4,
    out_hidden_size=32,
    fullatt_block_indexes=(1,),
    window_size=112,
)


@pytest.fixture(scope="module")
def towers():
    with torch.device("meta"):
        ours = build_vision_tower(CONFIG)
    theirs = vision_pair(CONFIG, ours)
    return ours.eval().requires_grad_(False), theirs


@pytest.mark.parametrize(
    "grid", [(1, 2, 2), (1, 8, 8), (2, 8, 16), (3, 10, 6), (1, 34, 46), (2, 18, 2)], ids=lambda g: "x".join(map(str, g))
)
def test_batched_windows_equal_transformers(towers, grid):
    ours, theirs = towers
    pixels = torch.randn(grid[0] * grid[1] * grid[2], 1176, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(pixels, grid), theirs(pixels, [grid]), rtol=1e-4, atol=1e-4)


def test_pairs_do_not_see_each_other(towers):
    """What lets pairs be a batch, and be kept one by one (DESIGN, decision 5)."""
    ours, _ = towers
    pixels = torch.randn(3 * 6 * 10, 1176, generator=torch.Generator().manual_seed(2))
    alone = torch.cat([ours(part, (1, 6, 10)) for part in pixels.split(60)])
    torch.testing.assert_close(ours(pixels, (3, 6, 10)), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "grid"), [((60, 1176), (1, 6, 8)), ((48, 1175), (1, 6, 8)), ((35, 1176), (1, 5, 7))]
)
def test_patches_that_do_not_fit_the_grid_are_refused(towers, shape, grid):
    with pytest.raises(InputError, match="do not fit a grid of 1 x"):
        towers[0](torch.zeros(shape), grid)


@given(rows=st.integers(1, 30), columns=st.integers(1, 30), window=st.integers(1, 6))
@settings(deadline=None)
def test_a_plan_holds_every_token_once_and_windows_are_squares_of_the_grid(rows, columns, window):
    plan = window_plan(rows, columns, window)
    assert sorted(plan.order) == list(range(rows * columns))
    sizes = [size for count, size in plan.windows for _ in range(count)]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == rows * columns
    start = 0
    for size in sizes:
        tokens = plan.order[start : start + size]
        places = {(int(t) // columns // window, int(t) % columns // window) for t in tokens}
        assert len(places) == 1
        start += size


def test_the_plan_of_a_release_at_476_x_644():
    """17 x 23 tokens in windows of 4 x 4: 20 whole ones, 5 and 4 cut at an edge, and the corner."""
    assert window_plan(17, 23, 4).windows == ((20, 16), (4, 12), (5, 4), (1, 3))


def test_bfloat16_rotates_in_float32(towers):
    ours, _ = towers
    half = build_vision_tower(dataclasses.replace(CONFIG)).bfloat16().eval()
    half.load_state_dict({name: t.bfloat16() for name, t in ours.state_dict().items()})
    pixels = torch.randn(96, 1176, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        exact, short = ours(pixels, (2, 6, 8)), half(pixels.bfloat16(), (2, 6, 8)).float()
    assert torch.cosine_similarity(exact.flatten(), short.flatten(), dim=0) > 0.999
