"""VGGT's aggregator: alternating attention within each frame and over all frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.vggt.block import Block
from spatial_mllm_ros.model.vggt.config import VggtConfig
from spatial_mllm_ros.model.vggt.dino import DinoEncoder
from spatial_mllm_ros.model.vggt.rope import rope_tables

__all__ = ["Aggregator"]

_MEAN = (0.485, 0.456, 0.406)  # ImageNet's, RGB
_STD = (0.229, 0.224, 0.225)


class Aggregator(nn.Module):
    """Turn the frames of one scene into tokens that know of each other (VGGT, section 3.2).

    The first frame's camera and register tokens differ from the others': its camera is the world frame.
    """

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.embed_dim
        self.patch_embed = DinoEncoder(config)
        self.camera_token = nn.Parameter(torch.zeros(1, 2, 1, channels))
        self.register_token = nn.Parameter(torch.zeros(1, 2, config.num_register_tokens, channels))
        self.frame_blocks, self.global_blocks = (
            nn.ModuleList(
                Block(channels, config.num_heads, mlp_ratio=config.mlp_ratio, has_qk_norm=True)
                for _ in range(config.depth)
            )
            for _ in range(2)
        )

    def forward(
        self, video: Tensor, layers: Sequence[int] = (-1,), frame_tokens: Tensor | None = None
    ) -> list[Tensor]:
        """Encode frames.

        Args:
            video: [T,3,H,W], RGB in [0, 1], in the model's dtype; H and W multiples of the patch size.
            layers: which layers' outputs to give; layers behind the last of them are not run.
            frame_tokens: [T,P,C], what `encode_frames` gave for these frames; None runs it.

        Returns:
            for each of `layers`, [T,5+P,2C]: camera token, registers, then patches in rows; the first C channels are
            the frame block's output and the last C the global block's.

        Raises:
            InputError: if the video's shape or a layer is not one of those above.
        """
        wanted = [self._layer_index(layer) for layer in layers]
        x = self.embed(video, frame_tokens)
        tables = self.rope_tables(video)
        outputs: dict[int, Tensor] = {}
        for index in range(max(wanted) + 1):
            frame = self.frame_blocks[index](x, tables)
            x = self.global_blocks[index](frame, tables, is_global=True)
            if index in wanted:
                outputs[index] = torch.cat([frame, x], dim=-1)
        return [outputs[index] for index in wanted]

    def encode_frames(self, video: Tensor) -> Tensor:
        """Give DINOv2's tokens [T,P,C] of frames [T,3,H,W]; those of a frame depend on that frame alone."""
        self._check_video(video)
        mean, std = self.colour_scale(video)
        return self.patch_embed((video - mean) / std)

    def embed(self, video: Tensor, frame_tokens: Tensor | None = None) -> Tensor:
        """Give the tokens [T,5+P,C] of frames [T,3,H,W] before the first alternating block."""
        patches = self.encode_frames(video) if frame_tokens is None else self._checked(frame_tokens, video)
        return torch.cat([self.special_tokens(len(patches)), patches], dim=1)

    def special_tokens(self, num_frames: int) -> Tensor:
        """Give the camera and register tokens of every frame, [T,5,C]: the first frame has its own."""
        special = torch.cat([self.camera_token, self.register_token], dim=2)[0]  # [2,5,C]: first frame, other frames
        return torch.cat([special[:1], special[1:].expand(num_frames - 1, -1, -1)])

    def colour_scale(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mean and deviation [3,1,1] by which colours are normalised, in the dtype of `video`."""
        mean, std = (video.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return mean, std

    def rope_tables(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Make the rotary tables [5+P,head_dim] for frames of the size and dtype of `video`."""
        config = self.config
        return rope_tables(
            video.shape[2] // config.patch_size,
            video.shape[3] // config.patch_size,
            config.embed_dim // config.num_heads,
            num_special=config.num_special_tokens,
            base=config.rope_base,
            dtype=video.dtype,
            device=video.device,
        )

    def _check_video(self, video: Tensor) -> None:
        patch_size = self.config.patch_size
        if video.ndim != 4 or video.shape[1] != 3 or video.shape[0] == 0:
            raise InputError(f"VGGT takes frames [T,3,H,W], not {list(video.shape)}")
        if video.shape[2] % patch_size or video.shape[3] % patch_size:
            raise InputError(f"VGGT takes sides that are multiples of {patch_size}, not {list(video.shape[2:])}")

    def _checked(self, frame_tokens: Tensor, video: Tensor) -> Tensor:
        self._check_video(video)
        num_patches = video.shape[2] * video.shape[3] // self.config.patch_size**2
        due = [len(video), num_patches, self.config.embed_dim]
        if list(frame_tokens.shape) != due:
            raise InputError(f"frame tokens {list(frame_tokens.shape)} are not those of the video: {due} are due")
        return frame_tokens.to(video.device, video.dtype)

    def _layer_index(self, layer: int) -> int:
        index = layer + self.config.depth if layer < 0 else layer
        if not 0 <= index < self.config.depth:
            raise InputError(f"VGGT has layers 0 to {self.config.depth - 1}, not {layer}")
        return index
