"""The truth in place of sight: tokens that say what shows in each square of a frame pair, and where that is.

A language model that is given what untried encoders see must learn to read and what to read for at once, and learns
neither; given the truth, it learns to look a thing up by its name within minutes. What is told has two parts, as what
is seen has: categories, the 2D encoder's part, and places, the connector's. So encoders can be fitted to it afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.targets import SceneTruth

__all__ = ["Teller", "told_places", "told_shares"]

_SCALE_M = 2.0
_PLACE_VALUES = 8  # of a patch: its place, whether furniture shows, where that has its middle, how long it is
_FRAMES, _SQUARE, _ROWS, _COLUMNS = 2, 4, 6, 8  # frames of a pair, patches of a square, patches of a frame


class Teller(nn.Module):
    """Tells scenes: linear in what shows, two layers over where it is; used in training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.words = nn.Linear(_FRAMES * len(CATEGORIES), channels, bias=False)
        values = _FRAMES * _SQUARE * _PLACE_VALUES
        self.places = nn.Sequential(nn.Linear(values, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, shares: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Give both parts of every token, [B,S,D] each, of what `told_shares` and `told_places` gave."""
        return self.words(shares), self.places(places)


def told_shares(truth: SceneTruth) -> Tensor:
    """Give what shows in each square of a pair's two frames: [B,S,24], S = T/2 * squares, in the order of tokens."""
    return _by_pair(truth.shares)


def told_places(truth: SceneTruth) -> Tensor:
    """Give where the patches of each square of a pair lie, and the pieces of furniture that show in them: [B,S,64]."""
    is_furniture = truth.is_furniture[..., None].float()
    share = is_furniture.mean(3)
    pieces = (truth.pieces * is_furniture).sum(3) / is_furniture.sum(3).clamp(min=1)  # [B,T,P,4]
    x = torch.cat([truth.points.mean(3) / _SCALE_M, share, pieces[..., :3] / _SCALE_M, pieces[..., 3:]], dim=-1)
    squares = x.unflatten(2, (_ROWS // 2, 2, _COLUMNS // 2, 2)).transpose(4, 3)  # [B,T,h,w,2,2,8]
    return _by_pair(squares.flatten(4).flatten(2, 3))


def _by_pair(squares: Tensor) -> Tensor:
    """Put both frames of a pair beside each other: [B,T,squares,n] to [B,T/2*squares,2n]."""
    return squares.unflatten(1, (-1, _FRAMES)).transpose(2, 3).flatten(3).flatten(1, 2)
