"""Transformers' own Qwen2.5-VL parts, run as that library runs them, on the weights of ours: the opponent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spatial_mllm_ros.model.config import TextConfig, VisionConfig
from spatial_mllm_ros.model.transformers_qwen import transformers_language_model, transformers_vision_tower

__all__ = ["ReferenceText", "ReferenceVision"]


class ReferenceVision:
    """Transformers' vision tower with the weights of one of ours."""

    def __init__(self, config: VisionConfig, ours: nn.Module) -> None:
        self.module = _with_weights_of(ours, transformers_vision_tower(config))

    @torch.no_grad()
    def __call__(self, pixel_values: Tensor, grids: list[tuple[int, int, int]]) -> Tensor:
        """Encode videos of the given grids to [N/4,D]."""
        out = self.module(pixel_values, grid_thw=torch.tensor(grids, device=pixel_values.device))
        return out.pooler_output if hasattr(out, "pooler_output") else out


class ReferenceText:
    """Transformers' language model with the weights of one of ours; without an output embedding."""

    def __init__(self, config: TextConfig, ours: nn.Module) -> None:
        self.module = _with_weights_of(ours, transformers_language_model(config))

    @torch.no_grad()
    def __call__(
        self, embeds: Tensor, positions: Tensor, *, attention_mask: Tensor | None = None, past: Any = None
    ) -> tuple[Tensor, Any]:
        """Run new tokens [1,n,D] at positions [3,1,n] and give hidden states [1,n,D] and the cache to go on from."""
        out = self.module(
            inputs_embeds=embeds,
            position_ids=positions,
            attention_mask=attention_mask,
            past_key_values=past,
            use_cache=True,
        )
        return out.last_hidden_state, out.past_key_values


def _with_weights_of(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    """Let transformers' module use the very tensors of ours; its buffers follow to their device."""
    weights = ours.state_dict()
    theirs.load_state_dict(weights, assign=True)
    return theirs.eval().requires_grad_(False).to(next(iter(weights.values())).device)
