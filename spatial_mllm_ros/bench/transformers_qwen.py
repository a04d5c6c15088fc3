"""Transformers' own Qwen2.5-VL parts, run as that library runs them: the opponent for ours, of any size.

Hides what differs between its releases (4.49 to 5.x): names of classes, configs and outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spatial_mllm_ros.model.config import TextConfig, VisionConfig
from spatial_mllm_ros.model.versions import qwen_module

__all__ = ["ReferenceText", "ReferenceVision"]

_VISION_SIZES = ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "window_size")


class ReferenceVision:
    """Transformers' vision tower with the weights of one of ours."""

    def __init__(self, config: VisionConfig, ours: nn.Module) -> None:
        module = qwen_module()
        qwen_config = module.Qwen2_5_VLVisionConfig(
            fullatt_block_indexes=list(config.fullatt_block_indexes),
            **{name: getattr(config, name) for name in _VISION_SIZES},
        )
        qwen_config._attn_implementation = "sdpa"
        self.module = module.Qwen2_5_VisionTransformerPretrainedModel(qwen_config).eval()
        _share_weights(self.module, ours)

    @torch.no_grad()
    def __call__(self, pixel_values: Tensor, grids: list[tuple[int, int, int]]) -> Tensor:
        """Encode videos of the given grids to [N/4,D]."""
        out = self.module(pixel_values, grid_thw=torch.tensor(grids, device=pixel_values.device))
        return out.pooler_output if hasattr(out, "pooler_output") else out


class ReferenceText:
    """Transformers' language model with the weights of one of ours; without an output embedding."""

    def __init__(self, config: TextConfig, ours: nn.Module) -> None:
        module = qwen_module()
        is_split = hasattr(module, "Qwen2_5_VLTextModel")
        qwen_config = (module.Qwen2_5_VLTextConfig if is_split else module.Qwen2_5_VLConfig)(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            num_key_value_heads=config.num_key_value_heads,
            rms_norm_eps=config.rms_norm_eps,
            rope_theta=config.rope_theta,
            rope_scaling={"rope_type": "default", "type": "default", "mrope_section": list(config.mrope_section)},
            use_sliding_window=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        qwen_config._attn_implementation = "sdpa"
        self.module = (module.Qwen2_5_VLTextModel if is_split else module.Qwen2_5_VLModel)(qwen_config).eval()
        _share_weights(self.module, ours)

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


def _share_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Let transformers' module use the very tensors of ours; its buffers follow to their device."""
    weights = ours.state_dict()
    theirs.load_state_dict(weights, assign=True)
    theirs.requires_grad_(False).to(next(iter(weights.values())).device)
