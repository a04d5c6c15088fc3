"""Multimodal rotary positions (M-RoPE): time, row and column of every token of a prompt.

Text counts on in all three axes alike; a video's tokens count frame pairs, rows and columns from where it stopped;
text then goes on behind the largest of them. Equal to what the official code does, with transformers 4.51.3. It is our
own since later releases differ: 5.3 to 5.5.4 give all frame pairs of a video one time, and since 5.0 text after a video
may start inside its span of time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spatial_mllm_ros.errors import InputError

__all__ = ["Grid", "grids_from", "mrope_positions"]

Grid = tuple[int, int, int]  # frame pairs, patch rows, patch columns


def grids_from(grid_thw: Tensor | Sequence) -> list[Grid]:
    """Read one grid (t, h, w) or several [V,3], as a tensor, an array or nested sequences.

    Raises:
        InputError: if it is neither, or a side is not positive.
    """
    try:
        rows = torch.as_tensor(grid_thw).tolist()
    except (TypeError, ValueError):
        rows = []
    rows = rows if rows and isinstance(rows[0], list) else [rows]
    if not all(len(row) == 3 and all(int(side) == side and side > 0 for side in row) for row in rows):
        raise InputError(f"a grid is (frame pairs, patch rows, patch columns), all positive, not {grid_thw}")
    return [tuple(int(side) for side in row) for row in rows]


def mrope_positions(
    input_ids: Tensor,
    grids: Sequence[Grid] = (),
    *,
    video_token_id: int,
    merge: int = 2,
    tokens_per_second: float = 2,
    second_per_grid_s: float | Sequence[float] = 1.0,
    attention_mask: Tensor | None = None,
    start: int = 0,
) -> Tensor:
    """Give every token of one prompt its position.

    Args:
        input_ids: int64 [1,L]; each video is a run of `video_token_id`, t * h/merge * w/merge of them.
        grids: grid of each video, in the order of the prompt.
        merge: patches per side of the square that is one token.
        tokens_per_second: position steps per second of video.
        second_per_grid_s: seconds from one frame pair to the next; one for all videos or one each.
        attention_mask: [1,L], 0 for padding; None if there is none.
        start: position of the first token; that after the last one of what came before.

    Returns:
        int64 [3,1,L]; 1 for padding.

    Convention: a time position is `int(pair * second_per_grid_s * tokens_per_second)` in float32, cut off.

    Raises:
        InputError: if runs of video tokens and grids do not match.
    """
    if input_ids.ndim != 2 or input_ids.shape[0] != 1:
        raise InputError(f"a prompt is int64 [1,L], not {list(input_ids.shape)}; batches are not supported")
    seen = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    if seen.shape != input_ids.shape:
        raise InputError(f"attention_mask {list(seen.shape)} does not fit input_ids {list(input_ids.shape)}")
    seconds = [second_per_grid_s] * len(grids) if isinstance(second_per_grid_s, (int, float)) else second_per_grid_s
    if len(seconds) != len(grids):
        raise InputError(f"{len(seconds)} values of second_per_grid_s for {len(grids)} videos")
    tokens = input_ids[seen].tolist()
    parts, at, position = [], 0, start
    for grid, second in zip(grids, seconds):
        video = _video_positions(grid, merge, tokens_per_second, float(second))
        begin = _index(tokens, video_token_id, at)
        end = begin + video.shape[1]
        if any(token != video_token_id for token in tokens[begin:end]) or end > len(tokens):
            raise InputError(f"the prompt has too few video tokens for a grid of {grid}: {video.shape[1]} are due")
        parts += [_text_positions(begin - at, position), video + position + begin - at]
        position, at = int(parts[-1].max()) + 1, end
    if video_token_id in tokens[at:]:
        raise InputError(f"the prompt has more video tokens than its {len(grids)} grids account for")
    parts.append(_text_positions(len(tokens) - at, position))
    if attention_mask is None:
        return torch.cat(parts, dim=1)[:, None].to(input_ids.device)
    positions = torch.ones(3, *input_ids.shape, dtype=torch.int64)
    positions[:, seen.cpu()] = torch.cat(parts, dim=1)
    return positions.to(input_ids.device)


def _index(tokens: list[int], token: int, start: int) -> int:
    try:
        return tokens.index(token, start)
    except ValueError:
        raise InputError("the prompt has fewer videos than there are grids") from None


def _text_positions(count: int, start: int) -> Tensor:
    return torch.arange(start, start + count).expand(3, -1)


def _video_positions(grid: Grid, merge: int, tokens_per_second: float, second: float) -> Tensor:
    """Positions [3, t*h/merge*w/merge] of a video that starts at 0."""
    pairs, rows, columns = grid[0], grid[1] // merge, grid[2] // merge
    time = (torch.arange(pairs) * torch.tensor(second, dtype=torch.float32) * tokens_per_second).long()
    grids = torch.meshgrid(time, torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([axis.flatten() for axis in grids])
