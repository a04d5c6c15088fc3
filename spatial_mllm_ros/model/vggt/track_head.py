"""The track head's parameters. A release carries them, so they are known by name and shape; they are never run."""

from __future__ import annotations

import torch
from torch import nn

from spatial_mllm_ros.model.vggt.block import Mlp
from spatial_mllm_ros.model.vggt.config import VggtConfig
from spatial_mllm_ros.model.vggt.dpt_head import DptFeatures

__all__ = ["TrackHead"]

_CORRELATIONS = 7 * 9 * 9  # pyramid levels x neighbourhood
_VIRTUAL_TRACKS = 64


class TrackHead(nn.Module):
    """Names and shapes of VGGT's point tracker; it has no forward, since Spatial-MLLM does not track points."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        features, hidden = config.track_features, config.track_hidden
        self.feature_extractor = DptFeatures(2 * config.embed_dim, features, config.track_channels, features)
        self.tracker = nn.Module()
        self.tracker.query_ref_token = nn.Parameter(torch.zeros(1, 2, 3 * features + 4))
        self.tracker.corr_mlp = Mlp(_CORRELATIONS, hidden, features)
        self.tracker.updateformer = _UpdateFormer(3 * features + 4, hidden, features + 2, config.track_depth)
        self.tracker.fmap_norm = nn.LayerNorm(features)
        self.tracker.ffeat_norm = nn.GroupNorm(1, features)
        self.tracker.ffeat_updater = nn.Sequential(nn.Linear(features, features))
        self.tracker.vis_predictor = nn.Sequential(nn.Linear(features, 1))
        self.tracker.conf_predictor = nn.Sequential(nn.Linear(features, 1))


class _UpdateFormer(nn.Module):
    def __init__(self, channels_in: int, hidden: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.virual_tracks = nn.Parameter(torch.zeros(1, _VIRTUAL_TRACKS, 1, hidden))  # spelt so in the release
        self.input_norm = nn.LayerNorm(channels_in)
        self.input_transform = nn.Linear(channels_in, hidden)
        self.output_norm = nn.LayerNorm(hidden)
        self.flow_head = nn.Linear(hidden, channels_out)
        for name in ("time_blocks", "space_virtual_blocks"):
            self.add_module(name, nn.ModuleList(_Block(hidden, "attn") for _ in range(depth)))
        for name in ("space_point2virtual_blocks", "space_virtual2point_blocks"):
            self.add_module(name, nn.ModuleList(_Block(hidden, "cross_attn") for _ in range(depth)))


class _Block(nn.Module):
    def __init__(self, hidden: int, attention: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden)
        if attention == "cross_attn":
            self.norm_context = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.add_module(attention, nn.MultiheadAttention(hidden, 1))
        self.mlp = Mlp(hidden, 4 * hidden)
