"""What one visual prefix and one question cost, worked out from the model's shapes.

Operations (a multiplication and an addition count as two) of a linear layer are 2 x parameters x tokens; of attention
4 x queries x keys x channels, half of that where it is causal. Norms, activations and rotary embeddings are left out:
they are below two per cent. Bytes are what must be moved at least: weights once per pass, and for a token of an
answer all weights of the language model and all keys and values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from spatial_mllm_ros.model import ModelConfig, VggtConfig
from spatial_mllm_ros.model.config import TextConfig, VisionConfig, config_from_json
from spatial_mllm_ros.model.network import empty_network

__all__ = [
    "Grid",
    "StageCost",
    "keys_and_values_bytes",
    "parameters_of",
    "released_config",
    "stage_costs",
    "working_bytes",
]

QUESTION_TOKENS = 40  # a question of VSI-Bench with the end of the template


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Size of a visual prefix: K keyframes of `height` x `width` pixels."""

    num_keyframes: int
    height: int
    width: int

    def patches(self, patch_size: int = 14) -> int:
        """Patches of one frame."""
        return (self.height // patch_size) * (self.width // patch_size)

    def tokens(self, config: ModelConfig) -> int:
        """Visual tokens that the language model reads."""
        pairs = self.num_keyframes // config.vision.temporal_patch_size
        return pairs * self.patches(config.vision.patch_size) // config.merged_patches


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Operations and bytes of one stage.

    Attributes:
        stage: its name, as in an answer's stage times; "decode_per_token" is one token of the answer.
        operations: additions and multiplications.
        parameters: read once.
        cache_elements: keys and values read.
    """

    stage: str
    operations: float
    parameters: int
    cache_elements: int = 0


def stage_costs(config: ModelConfig, grid: Grid, question_tokens: int = QUESTION_TOKENS) -> list[StageCost]:
    """Work out what each stage of a prefix and of a question costs."""
    parameters = parameters_of(config)
    prefix = grid.tokens(config) + 20  # the system's words and the special tokens around the video
    text = config.text
    language = parameters["language model"]
    per_position = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim
    head = text.vocab_size * text.hidden_size
    return [
        StageCost(stage="encode_2d", operations=_vision(config.vision, grid), parameters=parameters["2D encoder"]),
        StageCost(
            stage="encode_spatial", operations=_aggregator(config.vggt, grid), parameters=parameters["spatial encoder"]
        ),
        StageCost(
            stage="fuse",
            operations=2 * parameters["connector"] * grid.tokens(config),
            parameters=parameters["connector"],
        ),
        StageCost(stage="prefill_prefix", operations=_language(text, prefix, 0), parameters=language - head),
        StageCost(
            stage="prefill_question",
            operations=_language(text, question_tokens, prefix) + 2 * head,
            parameters=language,
            cache_elements=per_position * prefix,
        ),
        StageCost(
            stage="decode_per_token",
            operations=_language(text, 1, prefix + question_tokens) + 2 * head,
            parameters=language,
            cache_elements=per_position * (prefix + question_tokens),
        ),
    ]


def keys_and_values_bytes(config: ModelConfig, grid: Grid, bytes_per_number: int) -> int:
    """Bytes of keys and values of one prefix."""
    text = config.text
    positions = grid.tokens(config) + 20 + QUESTION_TOKENS
    return 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * positions * bytes_per_number


def working_bytes(config: ModelConfig, grid: Grid, bytes_per_number: int) -> int:
    """Estimate the most bytes of activations that are alive at a time, over all stages.

    A block holds its input, queries, keys and values, attention's output and the MLP's inner values: 1 + 3 + 1 + 2 I/C
    times tokens x channels, with I inner channels (twice for gated MLPs, which hold two of them). Attention is fused,
    so no scores are held. The spatial encoder's result is 2C wide and there with its last block.
    """
    vision, vggt, text = config.vision, config.vggt, config.text
    patches = grid.num_keyframes * grid.patches(vggt.patch_size)
    spatial_tokens = patches + grid.num_keyframes * vggt.num_special_tokens
    wide = (
        patches // vision.temporal_patch_size * (5 * vision.hidden_size + 3 * vision.intermediate_size),
        spatial_tokens * vggt.embed_dim * (5 + 2 * vggt.mlp_ratio + 2),
        grid.tokens(config) * 3 * config.connector_channels,
        grid.tokens(config) * (5 * text.hidden_size + 3 * text.intermediate_size),
    )
    return int(max(wide)) * bytes_per_number


def parameters_of(config: ModelConfig) -> dict[str, int]:
    """Count the parameters of each part, from a network without memory."""
    network = empty_network(config)
    language = _count(network.model.parameters())
    if not config.ties_embeddings:
        language += _count(network.lm_head.parameters())
    return {
        "2D encoder": _count(network.visual.parameters()),
        "spatial encoder": _count(network.vggt.aggregator.parameters()),
        "connector": _count(network.connector.parameters()),
        "language model": language,
    }


def released_config() -> ModelConfig:
    """Give the sizes of the released Spatial-MLLM v1.1: Qwen2.5-VL-3B and VGGT-1B."""
    return config_from_json(
        {
            "model_type": "spatial-mllm",
            "vocab_size": 151_936,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]},
            "tie_word_embeddings": True,
            "video_token_id": 151_656,
            "image_token_id": 151_655,
            "vision_start_token_id": 151_652,
            "vision_end_token_id": 151_653,
            "vision_config": {
                "depth": 32,
                "hidden_size": 1280,
                "intermediate_size": 3420,
                "num_heads": 16,
                "out_hidden_size": 2048,
                "fullatt_block_indexes": [7, 15, 23, 31],
                "window_size": 112,
            },
        },
        source="the released model",
    )


def _vision(vision: VisionConfig, grid: Grid) -> float:
    channels, per_pair = vision.hidden_size, grid.patches(vision.patch_size)
    patches = grid.num_keyframes // vision.temporal_patch_size * per_pair
    in_window = min((vision.window_size // vision.patch_size) ** 2, per_pair)
    num_full = len(vision.fullatt_block_indexes)
    keys = num_full * per_pair + (vision.depth - num_full) * in_window
    merged = vision.spatial_merge_size**2
    per_block = 4 * channels**2 + 3 * channels * vision.intermediate_size
    merger = (merged * channels) ** 2 + merged * channels * vision.out_hidden_size
    linear = 2 * patches * (vision.patch_values * channels + vision.depth * per_block + merger / merged)
    return linear + 4 * patches * keys * channels


def _aggregator(vggt: VggtConfig, grid: Grid) -> float:
    channels, frames = vggt.embed_dim, grid.num_keyframes
    per_frame = grid.patches(vggt.patch_size) + vggt.num_special_tokens
    tokens = frames * per_frame
    per_block = (4 + 2 * vggt.mlp_ratio) * channels**2
    linear = 2 * tokens * (3 * vggt.patch_size**2 * channels + (vggt.dino_depth + 2 * vggt.depth) * per_block)
    keys = (vggt.dino_depth + vggt.depth) * per_frame + vggt.depth * tokens
    return linear + 4 * tokens * keys * channels


def _language(text: TextConfig, tokens: int, past: int) -> float:
    """Count for `tokens` new tokens after `past` others, without the output embedding."""
    width, kv_width = text.hidden_size, text.num_key_value_heads * text.head_dim
    per_layer = 2 * width**2 + 2 * width * kv_width + 3 * width * text.intermediate_size
    keys = past + (tokens + 1) / 2
    return text.num_hidden_layers * (2 * tokens * per_layer + 4 * tokens * keys * width)


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
