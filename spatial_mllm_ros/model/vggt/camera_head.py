"""VGGT's camera head, and the decoding of its poses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.vggt.block import Block, Mlp
from spatial_mllm_ros.model.vggt.config import VggtConfig

__all__ = ["POSE_SIZE", "CameraHead", "decode_poses", "rotation_from_quaternion"]

POSE_SIZE = 9  # translation (3), quaternion x y z w (4), field of view: vertical, horizontal (2)
_ITERATIONS = 4


class CameraHead(nn.Module):
    """Refine each frame's camera in a few rounds (VGGT, section 3.3)."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        channels = 2 * config.embed_dim
        self.trunk = nn.Sequential(
            *(Block(channels, config.camera_heads, mlp_ratio=4.0) for _ in range(config.camera_depth))
        )
        self.token_norm = nn.LayerNorm(channels)
        self.trunk_norm = nn.LayerNorm(channels)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, POSE_SIZE))
        self.embed_pose = nn.Linear(POSE_SIZE, channels)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 3 * channels))
        self.pose_branch = Mlp(channels, channels // 2, POSE_SIZE)

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict cameras.

        Args:
            tokens: [T,5+P,2C], the aggregator's last layer.

        Returns:
            [4,T,9], one row per round of refinement, the last is the result. Each is translation, quaternion (x, y,
            z, w, not normalised) and field of view (vertical, horizontal; radians, at least 0) of camera from world.
        """
        return self.refine(tokens[None, :, 0])[:, 0]

    def refine(self, camera_tokens: Tensor) -> Tensor:
        """Predict cameras of several scenes from their camera tokens alone: [B,T,2C] to [4,B,T,9]."""
        camera = self.token_norm(camera_tokens)
        normalised = F.layer_norm(camera, camera.shape[-1:], eps=1e-6)
        pose = torch.zeros_like(self.empty_pose_tokens)
        rounds = []
        for index in range(_ITERATIONS):
            start = self.empty_pose_tokens.expand(*camera.shape[:2], -1) if index == 0 else pose
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(start)).chunk(3, dim=-1)
            x = self.trunk(gate * (normalised * (1 + scale) + shift) + camera)
            pose = pose + self.pose_branch(self.trunk_norm(x))
            rounds.append(torch.cat([pose[..., :7], F.relu(pose[..., 7:])], dim=-1))
        return torch.stack(rounds)


def decode_poses(poses: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Turn VGGT's pose encoding into matrices.

    Args:
        poses: [...,9], see `CameraHead`.
        height, width: of the images, pixels.

    Returns:
        camera_from_world [...,3,4] (rotation and translation, axes x right, y down, z forward) and intrinsics [...,3,3]
        in pixels, with the principal point at (width / 2, height / 2).
    """
    rotation = rotation_from_quaternion(poses[..., 3:7])
    camera_from_world = torch.cat([rotation, poses[..., :3, None]], dim=-1)
    intrinsics = poses.new_zeros(*poses.shape[:-1], 3, 3)
    intrinsics[..., 0, 0] = (width / 2) / torch.tan(poses[..., 8] / 2)
    intrinsics[..., 1, 1] = (height / 2) / torch.tan(poses[..., 7] / 2)
    intrinsics[..., 0, 2] = width / 2
    intrinsics[..., 1, 2] = height / 2
    intrinsics[..., 2, 2] = 1
    return camera_from_world, intrinsics


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Turn quaternions [...,4] (x, y, z, w; any length but 0) into rotation matrices [...,3,3]."""
    x, y, z, w = quaternion.unbind(-1)
    scale = 2 / quaternion.square().sum(-1)
    rows = (
        (1 - scale * (y * y + z * z), scale * (x * y - z * w), scale * (x * z + y * w)),
        (scale * (x * y + z * w), 1 - scale * (x * x + z * z), scale * (y * z - x * w)),
        (scale * (x * z - y * w), scale * (y * z + x * w), 1 - scale * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
