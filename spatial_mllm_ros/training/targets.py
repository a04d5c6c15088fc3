"""What is true about a batch of keyframe sets, as tensors: the dense targets that the encoders are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.training.examples import CATEGORIES, Example, points_in_world

__all__ = ["CELLS", "SceneBatch", "SceneTruth", "batch_of", "draw_set", "truth_of", "video_of", "zoomed_in"]

CELLS = 2  # geometry targets per side of a patch
_ROWS, _COLUMNS = 6, 8  # patches of a frame
_FULL_SHARE = 0.08  # of a token's square that a category must cover to count as plainly there


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneTruth:
    """What is true about B scenes of T frames.

    Attributes:
        depth_m: float32 [B,T,P,4], metres along the optical axis, for the 2 x 2 cells of each of P patches.
        points: float32 [B,T,P,4,3], metres, in the first frame's camera.
        poses: float32 [B,T,7], camera from the first camera: translation, quaternion (x, y, z, w; w >= 0).
        shares: float32 [B,T,P/4,categories], how plainly each category shows in each square of 2 x 2 patches, 0..1.
        pieces: float32 [B,T,P,4,4], of the piece of furniture that shows in each cell: the middle of its box in the
            first frame's camera, metres, and the logarithm of its longest edge; 0 where none shows.
        is_furniture: bool [B,T,P,4], where one shows.
    """

    depth_m: Tensor
    points: Tensor
    poses: Tensor
    shares: Tensor
    pieces: Tensor
    is_furniture: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneBatch(SceneTruth):
    """B scenes of T frames.

    Attributes:
        video: float32 [B,T,3,H,W], RGB in [0, 1].
    """

    video: Tensor


def draw_set(example: Example, count: int, rng: np.random.Generator, run_share: float = 0.25) -> NDArray[np.int64]:
    """Draw a keyframe set of a size: [count] indices of the example's frames in the order of time.

    With probability `run_share` it is a run of overlapping frames, else space-aware or evenly spaced, alike.
    """
    if count > len(example.uniform):
        spread = np.union1d(example.uniform, example.space_aware)
        more = np.setdiff1d(np.arange(len(example.jpegs)), spread)
        drawn = np.concatenate([rng.permutation(spread), rng.permutation(more)])
        return np.sort(np.resize(drawn, count))  # a short example shows some frames twice
    if rng.random() < run_share:
        start = int(rng.integers(len(example.run) - count + 1))
        return example.run[start : start + count]
    if rng.random() < 0.5:
        return np.sort(example.space_aware[:count])
    step = len(example.uniform) // count
    return example.uniform[int(rng.integers(step)) :: step][:count]


def video_of(
    examples: Sequence[Example], sets: Sequence[NDArray[np.int64]], rng: np.random.Generator | None = None
) -> Tensor:
    """Decode frames: float32 [B,T,3,H,W] in [0, 1]; with `rng`, in other light and with some noise."""
    video = torch.from_numpy(np.stack([one.images(chosen) for one, chosen in zip(examples, sets)]))
    video = video.permute(0, 1, 4, 2, 3).float() / 255
    if rng is None:
        return video
    shape = (len(examples), 1, 3, 1, 1)
    gain = rng.uniform(0.8, 1.2, (len(examples), 1, 1, 1, 1)) * rng.uniform(0.94, 1.06, shape)
    offset = rng.uniform(-0.05, 0.05, (len(examples), 1, 1, 1, 1))
    video = video * torch.from_numpy(gain.astype(np.float32)) + torch.from_numpy(offset.astype(np.float32))
    return (video + 0.01 * torch.randn_like(video)).clamp(0, 1)


def batch_of(
    examples: Sequence[Example], sets: Sequence[NDArray[np.int64]], rng: np.random.Generator | None = None
) -> SceneBatch:
    """Put a keyframe set of each example together."""
    return SceneBatch(video=video_of(examples, sets, rng), **vars(truth_of(examples, sets)))


def truth_of(examples: Sequence[Example], sets: Sequence[NDArray[np.int64]]) -> SceneTruth:
    """Put what is true about a keyframe set of each example together."""
    parts = [_truth(one, chosen) for one, chosen in zip(examples, sets)]
    return SceneTruth(**{name: torch.from_numpy(np.stack([part[name] for part in parts])) for name in parts[0]})


def zoomed_in(
    examples: Sequence[Example], sets: Sequence[NDArray[np.int64]], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a part out of every frame, the same for all frames of a set, and show it at full size.

    Returns:
        video, float32 [B,T,3,H,W] in [0, 1], and shares, see `SceneBatch`.
    """
    video = video_of(examples, sets, rng)
    height, width = video.shape[-2:]
    shown, shares = [], []
    for clip, example, chosen in zip(video, examples, sets):
        furniture = example.furniture[chosen]
        size = rng.uniform(0.6, 1.0)
        top, left = rng.uniform(0, 1 - size, 2)
        rows, columns = (
            ((start + (np.arange(count) + 0.5) / count * size) * count).astype(int)
            for start, count in zip((top, left), furniture.shape[1:])
        )
        shares.append(_shares(example.categories, furniture[:, rows][:, :, columns]))
        part = clip[..., int(top * height) : int((top + size) * height), int(left * width) : int((left + size) * width)]
        shown.append(F.interpolate(part, (height, width), mode="bilinear", align_corners=False))
    return torch.stack(shown), torch.from_numpy(np.stack(shares))


def _truth(example: Example, chosen: NDArray[np.int64]) -> dict[str, NDArray]:
    depth = example.depth_m[chosen].astype(np.float32)
    first_from_world = np.linalg.inv(example.world_from_camera[chosen[0]])
    first_from_camera = (first_from_world @ example.world_from_camera[chosen]).astype(np.float32)
    points = points_in_world(depth, first_from_camera)
    rows, columns = (
        ((np.arange(CELLS * n) + 0.5) * size / (CELLS * n)).astype(int)
        for n, size in ((_ROWS, depth.shape[1]), (_COLUMNS, depth.shape[2]))
    )
    cells = np.ix_(np.arange(len(chosen)), rows, columns)
    furniture = _by_patch(example.furniture[chosen][cells][..., None])[..., 0]
    return {
        "depth_m": _by_patch(depth[cells][..., None])[..., 0],
        "points": _by_patch(points[cells]),
        "poses": np.stack([_pose(np.linalg.inv(pose)) for pose in first_from_camera]),
        "shares": _shares(example.categories, example.furniture[chosen]),
        "pieces": _pieces(example, first_from_world)[furniture],
        "is_furniture": furniture >= 0,
    }


def _pieces(example: Example, first_from_world: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give middle and log of the longest edge of every piece, and zeros behind them, which -1 picks: [N+1,4]."""
    pieces = np.zeros((len(example.centres) + 1, 4), np.float32)
    pieces[:-1, :3] = example.centres @ first_from_world[:3, :3].T + first_from_world[:3, 3]
    pieces[:-1, 3] = np.log(example.sizes.max(1))
    return pieces


def _by_patch(grid: NDArray) -> NDArray:
    """Group cells [T,2*rows,2*columns,n] by patch: [T,P,4,n]."""
    frames, channels = len(grid), grid.shape[-1]
    blocks = grid.reshape(frames, _ROWS, CELLS, _COLUMNS, CELLS, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(blocks.reshape(frames, _ROWS * _COLUMNS, CELLS * CELLS, channels))


def _shares(categories: NDArray[np.int8], furniture: NDArray[np.int8]) -> NDArray[np.float32]:
    category = np.concatenate([categories, [-1]])[furniture]  # [T,21,28]; -1 picks the last entry
    frames, height, width = category.shape
    squares = category.reshape(frames, _ROWS // 2, height // (_ROWS // 2), _COLUMNS // 2, width // (_COLUMNS // 2))
    share = np.stack([(squares == index).mean((2, 4)) for index in range(len(CATEGORIES))], axis=-1)
    return np.minimum(share / _FULL_SHARE, 1).astype(np.float32).reshape(frames, -1, len(CATEGORIES))


def _pose(camera_from_first: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give translation and quaternion (x, y, z, w) of a rigid transform [4,4]."""
    m = camera_from_first[:3, :3].astype(np.float64)
    w = np.sqrt(max(1 + np.trace(m), 0)) / 2
    x = np.copysign(np.sqrt(max(1 + m[0, 0] - m[1, 1] - m[2, 2], 0)) / 2, m[2, 1] - m[1, 2])
    y = np.copysign(np.sqrt(max(1 - m[0, 0] + m[1, 1] - m[2, 2], 0)) / 2, m[0, 2] - m[2, 0])
    z = np.copysign(np.sqrt(max(1 - m[0, 0] - m[1, 1] + m[2, 2], 0)) / 2, m[1, 0] - m[0, 1])
    return np.array([*camera_from_first[:3, 3], x, y, z, w], np.float32)
