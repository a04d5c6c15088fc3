"""What a checkpoint's config.json says about the network, read once and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.question_scope import QuestionScope, scope_from_json
from spatial_mllm_ros.model.vggt import VggtConfig

__all__ = ["MODEL_TYPE", "ModelConfig", "TextConfig", "VisionConfig", "config_from_json"]

MODEL_TYPE = "spatial-mllm"
OWN_ENTRY = "spatial_mllm_ros"  # what our own checkpoints add to config.json; see docs/model.md


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """Sizes of the 2D encoder (Qwen2.5-VL's vision tower); names as in config.json."""

    depth: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    out_hidden_size: int
    fullatt_block_indexes: tuple[int, ...]
    window_size: int
    hidden_act: str = "silu"
    in_channels: int = 3
    patch_size: int = 14
    spatial_merge_size: int = 2
    temporal_patch_size: int = 2
    tokens_per_second: float = 2

    @property
    def patch_values(self) -> int:
        """Numbers in one row of `pixel_values`: channels x frames x rows x columns of a patch."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Sizes of the language model (Qwen2.5); names as in config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    mrope_section: tuple[int, int, int]
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    max_position_embeddings: int = 128_000

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Spatial-MLLM.

    Attributes:
        spatial_layer: the aggregator layer whose tokens are fused; -1 is the last.
        stop_ids: tokens that end an answer.
        repetition_penalty: of the checkpoint's generation_config.json; 1 is none.
        is_trained: False for checkpoints that say of themselves that their weights are random.
        min_pixels, max_pixels: bounds for the area of one resized frame.
        scope: the questions that it answers; None if it answers any.
    """

    vision: VisionConfig
    text: TextConfig
    vggt: VggtConfig
    spatial_layer: int
    video_token_id: int
    image_token_id: int
    vision_start_token_id: int
    vision_end_token_id: int
    ties_embeddings: bool
    stop_ids: tuple[int, ...] = ()
    repetition_penalty: float = 1.0
    is_trained: bool = True
    min_pixels: int = 293_216
    max_pixels: int = 324_576
    scope: QuestionScope | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def merged_patches(self) -> int:
        """Patches of one frame pair that become one token of the language model."""
        return self.vision.spatial_merge_size**2

    @property
    def connector_channels(self) -> int:
        """Channels of the connector's input: frame and global half, of all merged patches of a frame pair."""
        return 2 * self.vggt.embed_dim * self.vision.temporal_patch_size * self.merged_patches


def config_from_json(
    config: Mapping[str, Any],
    *,
    generation: Mapping[str, Any] | None = None,
    vggt: VggtConfig | None = None,
    source: str = "config.json",
) -> ModelConfig:
    """Read config.json (and generation_config.json) of the official v1.1 layout.

    Args:
        config: the parsed config.json.
        generation: the parsed generation_config.json, if there is one.
        vggt: sizes of VGGT; VGGT-1B's if not given.
        source: the file's name, for messages.

    Raises:
        CheckpointError: if the model type is another, an entry is missing, or the sizes contradict each other.
    """
    model_type = config.get("model_type")
    if model_type != MODEL_TYPE:
        raise CheckpointError(f"{source}: model_type is {model_type!r}, not {MODEL_TYPE!r}: not a Spatial-MLLM v1.1")
    connector = config.get("connector_config") or {}
    if connector.get("connector_type", "mlp_add") != "mlp_add":
        raise CheckpointError(f"{source}: connector_type {connector['connector_type']!r} is not known, only 'mlp_add'")
    own = config.get(OWN_ENTRY) or {}
    generation = generation or {}
    text = {**config, **(config.get("text_config") or {})}
    try:
        model = ModelConfig(
            vision=_vision_config(config["vision_config"]),
            text=_text_config(text),
            vggt=vggt or VggtConfig(),
            spatial_layer=int(connector.get("spatial_embeds_layer_idx", -1)),
            video_token_id=int(config["video_token_id"]),
            image_token_id=int(config["image_token_id"]),
            vision_start_token_id=int(config["vision_start_token_id"]),
            vision_end_token_id=int(config.get("vision_end_token_id", config["vision_start_token_id"] + 1)),
            ties_embeddings=bool(config.get("tie_word_embeddings", True)),
            stop_ids=_ids(generation.get("eos_token_id", text.get("eos_token_id"))),
            repetition_penalty=float(generation.get("repetition_penalty") or 1.0),
            is_trained=bool(own.get("is_trained", True)),
            min_pixels=int(own.get("min_pixels", ModelConfig.min_pixels)),
            max_pixels=int(own.get("max_pixels", ModelConfig.max_pixels)),
            scope=scope_from_json(own.get("answers"), source),
            extra=dict(own),
        )
    except KeyError as error:
        raise CheckpointError(f"{source}: the entry {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {error}") from error
    _check(model, source)
    return model


def _vision_config(vision: Mapping[str, Any]) -> VisionConfig:
    names = ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "window_size")
    optional = ("hidden_act", "in_channels", "patch_size", "spatial_merge_size", "temporal_patch_size",
                "tokens_per_second")  # fmt: skip
    return VisionConfig(
        fullatt_block_indexes=tuple(vision["fullatt_block_indexes"]),
        **{name: int(vision[name]) for name in names},
        **{name: vision[name] for name in optional if name in vision},
    )


def _text_config(text: Mapping[str, Any]) -> TextConfig:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    if rope.get("rope_type", rope.get("type", "default")) not in ("default", "mrope"):
        raise ValueError(f"rope_type {rope.get('rope_type')!r} is not known, only 'default'")
    if text.get("use_sliding_window"):
        raise ValueError("use_sliding_window is not supported")
    optional = {name: text[name] for name in ("hidden_act", "rms_norm_eps", "max_position_embeddings") if name in text}
    return TextConfig(
        num_key_value_heads=int(text.get("num_key_value_heads") or text["num_attention_heads"]),
        mrope_section=tuple(rope["mrope_section"]),
        rope_theta=float(text.get("rope_theta") or rope.get("rope_theta") or TextConfig.rope_theta),
        **{name: int(text[name]) for name in names},
        **optional,
    )


def _ids(value: int | list[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _check(model: ModelConfig, source: str) -> None:
    """Refuse sizes that contradict each other, before any tensor is made."""
    vision, text = model.vision, model.text
    for value, divisor, what in (
        (vision.hidden_size, vision.num_heads, "vision_config.hidden_size by num_heads"),
        (text.hidden_size, text.num_attention_heads, "hidden_size by num_attention_heads"),
        (text.num_attention_heads, text.num_key_value_heads, "num_attention_heads by num_key_value_heads"),
    ):
        if divisor < 1 or value % divisor:
            raise CheckpointError(f"{source}: cannot divide {what}: {value} / {divisor}")
    if vision.out_hidden_size != text.hidden_size:
        raise CheckpointError(
            f"{source}: the vision tower gives {vision.out_hidden_size} channels, the language model takes "
            f"{text.hidden_size}"
        )
    if 2 * sum(text.mrope_section) != text.head_dim:
        raise CheckpointError(
            f"{source}: mrope_section {text.mrope_section} does not add up to half of {text.head_dim} channels"
        )
    if vision.patch_size != model.vggt.patch_size:
        raise CheckpointError(
            f"{source}: patches of {vision.patch_size} pixels (2D) and {model.vggt.patch_size} (spatial)"
        )
