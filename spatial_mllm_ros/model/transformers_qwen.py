"""Transformers' Qwen2.5-VL modules, made from our configs; hides what differs between its releases (4.49 to 5.x)."""

from __future__ import annotations

from torch import nn

from spatial_mllm_ros.model.config import TextConfig, VisionConfig
from spatial_mllm_ros.model.versions import qwen_module

__all__ = ["transformers_language_model", "transformers_vision_tower"]

_ATTENTION = "sdpa"


def transformers_vision_tower(config: VisionConfig) -> nn.Module:
    """Make transformers' vision tower.

    Raises:
        DependencyError: if transformers is missing or cannot be used.
    """
    module = qwen_module()
    sizes = module.Qwen2_5_VLVisionConfig(
        depth=config.depth,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_heads=config.num_heads,
        out_hidden_size=config.out_hidden_size,
        fullatt_block_indexes=list(config.fullatt_block_indexes),
        window_size=config.window_size,
        hidden_act=config.hidden_act,
        in_channels=config.in_channels,
        patch_size=config.patch_size,
        spatial_merge_size=config.spatial_merge_size,
        temporal_patch_size=config.temporal_patch_size,
    )
    sizes._attn_implementation = _ATTENTION
    return module.Qwen2_5_VisionTransformerPretrainedModel(sizes)


def transformers_language_model(config: TextConfig) -> nn.Module:
    """Make transformers' language model, without an output embedding.

    Raises:
        DependencyError: if transformers is missing or cannot be used.
    """
    module = qwen_module()
    # transformers 4.49 to 4.51 keep the sizes of the text model in the outer config and call the text model
    # Qwen2_5_VLModel; later releases have a text model and config of their own.
    is_split = hasattr(module, "Qwen2_5_VLTextModel")
    sizes = (module.Qwen2_5_VLTextConfig if is_split else module.Qwen2_5_VLConfig)(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        hidden_act=config.hidden_act,
        rms_norm_eps=config.rms_norm_eps,
        rope_theta=config.rope_theta,
        rope_scaling={"rope_type": "default", "type": "default", "mrope_section": list(config.mrope_section)},
        max_position_embeddings=config.max_position_embeddings,
        use_sliding_window=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    sizes._attn_implementation = _ATTENTION
    return (module.Qwen2_5_VLTextModel if is_split else module.Qwen2_5_VLModel)(sizes)
