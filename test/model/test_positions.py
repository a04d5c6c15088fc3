import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from support.qwen_reference import transformers_positions

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.positions import grids_from, mrope_positions

START, VIDEO, END = 90, 91, 92


def prompt(*parts):
    """Tokens [1,L]: a number is that many words, a grid is a video between its marks."""
    ids = []
    for part in parts:
        if isinstance(part, int):
            ids += list(range(1, part + 1))
        else:
            ids += [START, *[VIDEO] * (part[0] * part[1] * part[2] // 4), END]
    return torch.tensor([ids])


def positions_of(ids, *grids, **options):
    return mrope_positions(ids, grids, video_token_id=VIDEO, **options)


def test_by_hand():
    """Two words, a mark, two pairs of 2 x 4 patches (1 x 2 tokens each), a mark, one word."""
    positions = positions_of(prompt(2, (2, 2, 4), 1), (2, 2, 4))
    assert positions[:, 0].tolist() == [
        [0, 1, 2, 3, 3, 5, 5, 6, 7],
        [0, 1, 2, 3, 3, 3, 3, 6, 7],
        [0, 1, 2, 3, 4, 3, 4, 6, 7],
    ]


@pytest.mark.parametrize(
    ("seconds", "times"), [(1.0, [0, 2, 4]), (0.5, [0, 1, 2]), (0.7, [0, 1, 2]), (1.3, [0, 2, 5]), (2, [0, 4, 8])]
)
def test_time_is_cut_off_not_rounded(seconds, times):
    positions = positions_of(prompt((3, 2, 2)), (3, 2, 2), second_per_grid_s=seconds)
    assert (positions[0, 0, 1:4] - 1).tolist() == times


@pytest.mark.parametrize(
    "parts",
    [(5, (2, 4, 6), 7), ((8, 6, 8),), (3, (1, 2, 2), 4, (2, 6, 4), 5), ((2, 4, 4), (2, 4, 4)), (9,)],
    ids=str,
)
@pytest.mark.parametrize("padding", [0, 5])
def test_equal_to_transformers(parts, padding):
    ids = torch.cat([torch.full((1, padding), 7), prompt(*parts)], dim=1)
    mask = torch.arange(ids.shape[1])[None] >= padding
    grids = [part for part in parts if isinstance(part, tuple)]
    release = tuple(int(number) for number in transformers.__version__.split(".")[:2])
    if grids and (5, 3) <= release <= (5, 5):
        pytest.skip("releases 5.3 to 5.5 give every frame pair of a video one time, unlike the original")
    if release >= (5, 0) and any(2 * (t - 1) >= max(h, w) // 2 for t, h, w in grids):
        pytest.skip("since release 5, text after a video longer than it is wide starts inside it, unlike the original")
    expected = transformers_positions(ids, grids, mask.long(), start=START, video=VIDEO)
    ours = positions_of(ids, *grids, attention_mask=mask if padding else None)
    seen = mask.expand(3, 1, -1)  # what transformers gives padding differs between its releases
    assert torch.equal(ours[seen], expected[seen])
    assert (ours[~seen] == 1).all()


@given(
    words=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    pairs=st.integers(1, 4),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    start=st.integers(0, 50),
)
@settings(deadline=None)
def test_text_goes_on_behind_the_largest_position(words, pairs, rows, columns, start):
    grid = (pairs, 2 * rows, 2 * columns)
    ids = prompt(words[0], grid, words[1])
    whole = positions_of(ids, grid, start=start)
    cut = words[0] + 1 + pairs * rows * columns  # before the closing mark
    first = positions_of(ids[:, :cut], grid, start=start)
    rest = positions_of(ids[:, cut:], start=int(first.max()) + 1)
    assert torch.equal(torch.cat([first, rest], dim=2), whole)
    assert torch.equal(rest[0], rest[1]) and torch.equal(rest[0], rest[2])
    assert (rest[0, 0].diff() == 1).all()


@pytest.mark.parametrize(
    ("ids", "grids", "message"),
    [
        (prompt(3, (1, 2, 4)), [], "more video tokens than its 0 grids"),
        (prompt(3), [(1, 2, 2)], "fewer videos than there are grids"),
        (prompt((1, 2, 2), 5), [(1, 2, 4)], "too few video tokens"),
        (prompt((1, 2, 2)), [(2, 2, 2)], "too few video tokens"),
        (torch.ones(2, 3, dtype=torch.int64), [], "batches are not supported"),
    ],
)
def test_prompts_and_grids_that_do_not_match_are_refused(ids, grids, message):
    with pytest.raises(InputError, match=message):
        positions_of(ids, *grids)


def test_as_many_seconds_as_videos_are_asked_for():
    with pytest.raises(InputError, match="2 values of second_per_grid_s for 1 videos"):
        positions_of(prompt((1, 2, 2)), (1, 2, 2), second_per_grid_s=[1.0, 2.0])


@pytest.mark.parametrize("given", [(2, 4, 6), [[2, 4, 6]], torch.tensor([2, 4, 6]), torch.tensor([[2, 4, 6]])])
def test_a_grid_is_read_in_any_form(given):
    assert grids_from(given) == [(2, 4, 6)]


@pytest.mark.parametrize("given", [(2, 4), (0, 4, 6), (2, 4, -6), (2, 4.5, 6), [[1, 2, 2], [1, 2]]])
def test_what_is_no_grid_is_refused(given):
    with pytest.raises(InputError):
        grids_from(given)
