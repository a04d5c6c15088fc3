"""The first stage: both encoders learn to see, each by itself, from what the renderer knows.

The 2D encoder learns which categories show where. The spatial encoder learns depth, where every patch lies as seen from
the first camera, where the piece of furniture that shows in it has its middle, how long it is and what it is, and the
cameras; and, to find them, to tell which patches of two frames show the same place. (VGGT's own encoder begins as
DINOv2, which knows what things are.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.network import SpatialNetwork
from spatial_mllm_ros.model.vggt import Vggt
from spatial_mllm_ros.model.vggt.camera_head import rotation_from_quaternion
from spatial_mllm_ros.training.batched import encode_2d, encode_spatial, in_bfloat16
from spatial_mllm_ros.training.examples import CATEGORIES, HEIGHT, WIDTH
from spatial_mllm_ros.training.targets import SceneBatch

__all__ = ["RecognitionProbe", "SpatialProbe", "heads_loss", "pose_errors", "recognition_loss", "spatial_loss"]

_SAME_PLACE_M = 0.3
_TEMPERATURE = 0.1


class RecognitionProbe(nn.Module):
    """Reads off the 2D encoder's tokens which categories show, in each of the two frames; used in training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.shares = nn.Linear(channels, 2 * len(CATEGORIES))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [B,T/2,S,D] to logits [B,T,S,categories]."""
        logits = self.shares(self.norm(tokens)).unflatten(-1, (2, -1))  # [B,T/2,S,2,n]
        return logits.permute(0, 1, 3, 2, 4).flatten(1, 2)


class SpatialProbe(nn.Module):
    """Reads geometry and what shows off the spatial encoder's last tokens; used in training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * channels)
        self.log_depth = nn.Linear(2 * channels, 4)
        self.points = nn.Linear(2 * channels, 12)
        self.pieces = nn.Linear(2 * channels, 16)
        self.place = nn.Linear(channels, 48)
        self.shares = nn.Linear(2 * channels, len(CATEGORIES))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Read patch tokens [B,T,P,2C] linearly.

        Returns:
            log depth [B,T,P,4], points [B,T,P,4,3], pieces [B,T,P,4,4], and logits of shares [B,T,P/4,categories].
        """
        x = self.norm(tokens)
        squares = x.unflatten(2, (HEIGHT // 28, 2, WIDTH // 28, 2)).mean((3, 5)).flatten(2, 3)  # [B,T,P/4,2C]
        depth, points, pieces = self.log_depth(x) + 0.7, self.points(x), self.pieces(x)
        return depth, points.unflatten(-1, (4, 3)), pieces.unflatten(-1, (4, 4)), self.shares(squares)


def recognition_loss(
    network: SpatialNetwork, probe: RecognitionProbe, video: Tensor, shares: Tensor
) -> tuple[Tensor, Tensor]:
    """Give the loss, and the logits [B,T,P/4,categories]; see `SceneBatch` for what is given."""
    with in_bfloat16():
        tokens = encode_2d(network, video)
    logits = probe(tokens.float())
    return F.binary_cross_entropy_with_logits(logits, shares) * 10, logits


def spatial_loss(network: SpatialNetwork, probe: SpatialProbe, batch: SceneBatch) -> tuple[Tensor, dict[str, Any]]:
    """Give the loss, and its parts with the predicted cameras."""
    with in_bfloat16():
        layers, patches = encode_spatial(network, batch.video)
    last, patches = layers[-1].float(), patches.float()
    log_depth, points, pieces, shares = probe(last[:, :, 5:])
    cameras = network.vggt.camera_head.refine(last[:, :, 0])  # [4,B,T,9]
    near = batch.depth_m.clamp(0.2, 8.0)
    depth_loss = (log_depth - near.log()).abs().mean()
    points_loss = _distance(points, batch.points).mean()
    told, true = pieces[batch.is_furniture], batch.pieces[batch.is_furniture]
    pieces_loss = (_distance(told[:, :3], true[:, :3]) + (told[:, 3] - true[:, 3]).abs()).sum() / max(len(true), 1)
    camera_loss = _camera_loss(cameras, batch.poses)
    place_loss = _place_loss(probe.place(patches), batch.points.mean(3))
    shares_loss = F.binary_cross_entropy_with_logits(shares, batch.shares) * 10
    loss = depth_loss + points_loss + pieces_loss + 2 * camera_loss + 0.15 * place_loss + 0.4 * shares_loss
    figures = {
        "depth": float(depth_loss.detach()),
        "points": float(points_loss.detach()),
        "pieces": float(pieces_loss.detach()),
        "camera": float(camera_loss.detach()),
        "place": float(place_loss.detach()),
        "shares": float(shares_loss.detach()),
    }
    return loss, {"figures": figures, "cameras": cameras[-1].detach(), "log_depth": log_depth.detach()}


def _distance(told: Tensor, true: Tensor) -> Tensor:
    """Give the distance of points [...,3], less weighted far from the first camera, and at most 4."""
    return ((told - true).norm(dim=-1) / (0.5 + true.norm(dim=-1)).sqrt()).clamp(max=4.0)


def _camera_loss(cameras: Tensor, poses: Tensor) -> Tensor:
    """Compare cameras [4,B,T,9] with poses [B,T,7]: later rounds count more, the first frame's camera less."""
    weight = torch.tensor([0.25, 0.4, 0.7, 1.0], device=cameras.device)[:, None, None]
    translation = F.smooth_l1_loss(cameras[..., :3], poses[..., :3].expand(4, -1, -1, -1), reduction="none", beta=0.3)
    quaternion = F.smooth_l1_loss(cameras[..., 3:7], poses[..., 3:].expand(4, -1, -1, -1), reduction="none", beta=0.1)
    field = (cameras[..., 7:] - _FIELD_RAD.to(cameras)).abs().mean(-1)
    return (weight * (translation.mean(-1) + 4 * quaternion.mean(-1) + 0.2 * field)).mean()


_FIELD_RAD = 2 * torch.atan(torch.tan(torch.tensor(np.radians(75.0) / 2)) * torch.tensor([84 / 112, 1.0])).float()


def _place_loss(features: Tensor, middles: Tensor) -> Tensor:
    """Contrast patches of frames 2..T with those of the other frames of their scene: which shows the same place?

    Args:
        features: [B,T,P,c].
        middles: [B,T,P,3], where the patches lie.
    """
    batch, frames, patches = features.shape[:3]
    x = F.normalize(features.flatten(1, 2), dim=-1)  # [B,T*P,c]
    places = middles.flatten(1, 2)
    frame = torch.arange(frames, device=x.device).repeat_interleave(patches)
    other = frame[:, None] != frame[None]
    distance = torch.cdist(places, places).masked_fill(~other, 1e3)
    nearest, index = distance.min(-1)
    logits = (x @ x.transpose(1, 2) / _TEMPERATURE).masked_fill(~other, -1e4)
    is_seen = nearest < _SAME_PLACE_M
    if not bool(is_seen.any()):
        return logits.sum() * 0
    return F.cross_entropy(logits[is_seen], index[is_seen])


def heads_loss(vggt: Vggt, layers: Sequence[Tensor], batch: SceneBatch) -> tuple[Tensor, Tensor]:
    """Give the losses of depth and point head: absolute error times confidence, less its logarithm (VGGT, section 3.4).

    Args:
        layers: of the aggregator, [B,T,5+P,2C] each; without gradient.
    """
    height, width = batch.video.shape[-2:]
    inputs = [layers[index].flatten(0, 1) for index in vggt.config.dpt_layers]
    depth, depth_confidence = vggt.depth_head(inputs, height, width)  # [B*T,H,W,1], [B*T,H,W]
    points, points_confidence = vggt.point_head(inputs, height, width)
    rows, columns = _cell_middles(height), _cell_middles(width)
    true_depth, true_points = (_on_grid(t.flatten(0, 1), height, width) for t in (batch.depth_m, batch.points))
    depth_error = (depth[:, rows][:, :, columns, 0].log() - true_depth[..., 0].clamp(0.2, 8.0).log()).abs()
    points_error = (points[:, rows][:, :, columns] - true_points).norm(dim=-1)
    return tuple(
        (error * confidence[:, rows][:, :, columns] - 0.2 * confidence[:, rows][:, :, columns].log()).mean()
        for error, confidence in ((depth_error, depth_confidence), (points_error, points_confidence))
    )


def _cell_middles(side: int, cell: int = 7) -> Tensor:
    return torch.arange(side // cell) * cell + cell // 2


def _on_grid(cells: Tensor, height: int, width: int) -> Tensor:
    """Put cells by patch [N,P,4] or [N,P,4,3] back on their grid: [N,2*rows,2*columns,n]."""
    rows, columns = height // 14, width // 14
    cells = cells.reshape(len(cells), rows, columns, 2, 2, -1)
    return cells.permute(0, 1, 3, 2, 4, 5).reshape(len(cells), 2 * rows, 2 * columns, -1)


def pose_errors(cameras: Tensor, poses: Tensor) -> dict[str, Tensor]:
    """Compare cameras [B,T,9] with the truth [B,T,7], of frames 2..T relative to the first.

    Returns:
        rotation_deg and translation_m, each [B,T-1], and the same of a guess that the camera never moves: `still_`.
    """
    predicted, true = rotation_from_quaternion(cameras[..., 3:7]), rotation_from_quaternion(poses[..., 3:])
    relative = predicted @ predicted[:, :1].transpose(-1, -2)  # the first frame's own camera is the world
    moved = cameras[..., :3] - (relative @ cameras[:, :1, :3, None])[..., 0]
    return {
        "rotation_deg": _angle_deg(relative @ true.transpose(-1, -2))[:, 1:],
        "translation_m": (moved - poses[..., :3]).norm(dim=-1)[:, 1:],
        "still_rotation_deg": _angle_deg(true)[:, 1:],
        "still_translation_m": poses[..., :3].norm(dim=-1)[:, 1:],
    }


def _angle_deg(rotation: Tensor) -> Tensor:
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))
