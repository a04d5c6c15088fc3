"""The network as one module, whose parameter names are those of the official checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from spatial_mllm_ros.model.config import ModelConfig, TextConfig, VisionConfig
from spatial_mllm_ros.model.connector import Connector
from spatial_mllm_ros.model.language_model import LanguageModel
from spatial_mllm_ros.model.transformers_qwen import transformers_language_model, transformers_vision_tower
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
    tower = transformers_vision_tower(config)
    return VisionTower(config, tower.patch_embed, tower.blocks, tower.merger)


def build_language_model(config: TextConfig) -> LanguageModel:
    """Build the language model from transformers' layers."""
    model = transformers_language_model(config)
    for layer in model.layers:  # 4.49 to 4.51 give every layer frequencies, which nobody uses
        if hasattr(layer.self_attn, "rotary_emb"):
            del layer.self_attn.rotary_emb
    return LanguageModel(config, model.embed_tokens, model.layers, model.norm)
