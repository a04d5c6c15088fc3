"""The network as one module, whose parameter names are those of the official checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from spatial_mllm_ros.model.config import ModelConfig, TextConfig, VisionConfig
from spatial_mllm_ros.model.connector import Connector
from spatial_mllm_ros.model.language_model import LanguageModel
from spatial_mllm_ros.model.versions import qwen_module
from spatial_mllm_ros.model.vggt import Vggt
from spatial_mllm_ros.model.vision_tower import VisionTower

__all__ = ["TIED_NAME", "SpatialNetwork", "build_language_model", "build_vision_tower", "empty_network"]

TIED_NAME = "lm_head.weight"  # not saved when the language model's input and output embeddings are one tensor


class SpatialNetwork(nn.Module):
    """2D encoder, spatial encoder, connector and language model; the forward in parts is `SpatialMLLM`'s.

    Attributes:
        visual: the 2D encoder.
        spatial_encoder.vggt_model: the spatial encoder, with the heads that were asked for.
        connector: projects spatial tokens.
        model: the language model, without its output embedding.
        lm_head: the output embedding; its weight is `model.embed_tokens.weight` where these are tied.
    """

    def __init__(self, config: ModelConfig, heads: Sequence[str] = ()) -> None:
        super().__init__()
        text, vision = config.text, config.vision
        self.visual = build_vision_tower(vision)
        self.model = build_language_model(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.spatial_encoder = nn.Module()
        self.spatial_encoder.vggt_model = Vggt(config.vggt, heads)
        self.connector = Connector(
            config.connector_channels,
            text.hidden_size,
            frames=vision.temporal_patch_size,
            merge=vision.spatial_merge_size,
        )

    @property
    def vggt(self) -> Vggt:
        """The spatial encoder."""
        return self.spatial_encoder.vggt_model

    def tie_embeddings(self) -> None:
        """Make the output embedding the same tensor as the input embedding."""
        self.lm_head.weight = self.model.embed_tokens.weight


def empty_network(config: ModelConfig, heads: Sequence[str] = ()) -> SpatialNetwork:
    """Build the network on torch's meta device: names, shapes and no memory."""
    with torch.device("meta"):
        network = SpatialNetwork(config, heads)
    if config.ties_embeddings:
        network.tie_embeddings()
    return network.eval().requires_grad_(False)


def build_vision_tower(config: VisionConfig) -> VisionTower:
    """Build the 2D encoder from transformers' layers."""
    module = qwen_module()
    tower = module.Qwen2_5_VisionTransformerPretrainedModel(
        module.Qwen2_5_VLVisionConfig(
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
    )
    return VisionTower(config, tower.patch_embed, tower.blocks, tower.merger)


def build_language_model(config: TextConfig) -> LanguageModel:
    """Build the language model from transformers' layers."""
    module = qwen_module()
    # transformers 4.49 to 4.51 keep the sizes of the text model in the outer config and call the text model
    # Qwen2_5_VLModel; later releases have a text model and config of their own.
    is_split = hasattr(module, "Qwen2_5_VLTextModel")
    config_class = module.Qwen2_5_VLTextConfig if is_split else module.Qwen2_5_VLConfig
    model_class = module.Qwen2_5_VLTextModel if is_split else module.Qwen2_5_VLModel
    model = model_class(
        config_class(
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
    )
    for layer in model.layers:  # 4.49 to 4.51 give every layer frequencies, which nobody uses
        if hasattr(layer.self_attn, "rotary_emb"):
            del layer.self_attn.rotary_emb
    return LanguageModel(config, model.embed_tokens, model.layers, model.norm)
