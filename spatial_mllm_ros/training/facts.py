"""What is known of each category in a keyframe set: the dense target of every question that names it.

Where a question names a thing, the language model should have looked it up by half of its layers, so that the other
half can compare things. An answer says little about whether it has; where the thing is, and since when it shows, do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from spatial_mllm_ros.training.examples import CATEGORIES, Example, points_in_world

__all__ = ["FACTS", "FactProbe", "facts_of", "level_from_world", "stacked_facts"]

FACTS = ("shows", "pieces", "first", "ahead", "left", "near", "long")
"""Of a category: whether it shows, how many of its pieces do (in fours), and since which share of the keyframes.
Of one whose only piece shows: where that is in the first view, and how near it came (all in twice a metre); and the
logarithm of its longest edge in metres."""

_LEAST_CELLS = 4  # of the coarse image that something must cover to count as shown
_SCALE_M = 2.0
_BETA = 0.2


def facts_of(example: Example, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Give the facts of every category, float32 [categories,len(FACTS)]; NaN where there is none."""
    facts = np.full((len(CATEGORIES), len(FACTS)), np.nan, np.float32)
    shown, poses = example.furniture[chosen], example.world_from_camera[chosen]
    ways = points_in_world(example.depth_m[chosen], poses) - poses[:, None, None, :3, 3]  # [T,h,w,3]
    distance = np.linalg.norm(ways, axis=-1)
    first_from_world = level_from_world(poses[0])
    covered = np.stack([(shown == piece).sum((1, 2)) for piece in range(len(example.categories))], axis=1)  # [T,N]
    for category in range(len(CATEGORIES)):
        pieces = np.flatnonzero(example.categories == category)
        frames = np.flatnonzero(covered[:, pieces].sum(1) >= _LEAST_CELLS)
        facts[category, :2] = len(frames) > 0, (covered[:, pieces] >= _LEAST_CELLS).any(0).sum() / 4
        if not len(frames):
            continue
        facts[category, 2] = frames[0] / len(chosen)
        if len(pieces) == 1:
            ahead, left, _ = (first_from_world @ [*example.centres[pieces[0]], 1.0])[:3] / _SCALE_M
            near = distance[shown == pieces[0]].min() / _SCALE_M
            facts[category, 3:] = ahead, left, near, math.log(example.sizes[pieces[0]].max())
    return facts


def stacked_facts(examples: Sequence[Example], sets: Sequence[NDArray[np.int64]]) -> Tensor:
    """Give the facts of several keyframe sets: [B,categories,len(FACTS)]."""
    return torch.from_numpy(np.stack([facts_of(one, chosen) for one, chosen in zip(examples, sets)]))


def level_from_world(world_from_camera: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the transform into a level frame under the camera: x ahead, y left, z up (REP 103)."""
    ahead = world_from_camera[:3, 2].astype(np.float64)
    yaw = math.atan2(ahead[1], ahead[0])
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    pose[:3, 3] = world_from_camera[:3, 3]
    return np.linalg.inv(pose)


class FactProbe(nn.Module):
    """Reads facts off the state of a category's mention, linearly; used in training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.facts = nn.Linear(channels, len(FACTS))

    def loss(self, states: Tensor, facts: Tensor, mentions: Tensor) -> Tensor:
        """Compare states [n,D] of mentions (see `Packed`) with facts [B,categories,len(FACTS)]: the mean over facts."""
        true = facts[mentions[:, 0], mentions[:, 2]]
        told, is_known = self.facts(self.norm(states)), true.isfinite()
        if not bool(is_known.any()):
            return told.sum() * 0
        return F.smooth_l1_loss(told[is_known], true[is_known], beta=_BETA)
