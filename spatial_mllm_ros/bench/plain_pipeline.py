"""The straightforward pipeline: what the paper's code does for every question, written down plainly.

Encode all keyframes, prefill the whole prompt with logits for every token, and decode with transformers' `generate`,
with transformers' vision tower, language model and cache, and with all of the aggregator's layers kept, as the
published code keeps them. The weights are those of the model that it is compared with, in the same tensors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spatial_mllm_ros.model import SpatialMLLM, mrope_positions
from spatial_mllm_ros.model.versions import qwen_module

__all__ = ["PlainPipeline", "TimedAnswer"]


@dataclass(frozen=True, kw_only=True)
class TimedAnswer:
    """An answer, and the seconds from the asking to its first token and to its end."""

    text: str
    num_tokens: int
    first_token_s: float
    total_s: float


class PlainPipeline:
    """Answers each question from nothing.

    Args:
        model: whose weights and preprocessing are used.
    """

    def __init__(self, model: SpatialMLLM) -> None:
        self._model = model
        self._plain = _plain_model(model)
        owner = self._plain.model if hasattr(self._plain.model, "visual") else self._plain  # of 4.52 and later; before
        self._dual = owner.visual = _DualEncoder(owner.visual, model)
        owner.get_rope_index = self._positions

    def answer(self, images: Sequence[NDArray[np.uint8]], question: str, max_new_tokens: int) -> TimedAnswer:
        """Answer one question about the images of one video, greedily."""
        model, clock = self._model, _Clock()
        inputs = model.visual_inputs(images)
        prompt = model.prompt
        input_ids = torch.cat([prompt.prefix_ids(inputs.grid_thw), prompt.question_ids(question)], dim=1)
        self._dual.video, self._dual.grid = inputs.video, inputs.grid_thw
        options = {}
        if "mm_token_type_ids" in self._plain.forward.__wrapped__.__code__.co_varnames:  # newer releases ask for it
            options["mm_token_type_ids"] = (input_ids == model.config.video_token_id).int() * 2
        with torch.no_grad():
            out = self._plain.generate(
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                pixel_values_videos=inputs.pixel_values,
                video_grid_thw=torch.tensor([inputs.grid_thw]),
                second_per_grid_ts=torch.tensor([1.0]),
                logits_to_keep=0,  # of all tokens, as the published code has it
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=list(model.config.stop_ids),
                pad_token_id=model.config.stop_ids[0],
                streamer=clock,
                **options,
            )
        tokens = [token for token in out[0, input_ids.shape[1] :].tolist() if token not in model.config.stop_ids]
        return TimedAnswer(
            text=model.tokenizer.decode(tokens),
            num_tokens=len(tokens),
            first_token_s=clock.first_token_s,
            total_s=clock.elapsed(),
        )

    def _positions(self, input_ids: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Give positions [3,1,L], and what to add to a later token's index, as the published code does.

        Transformers 5.23 differs: it lets the question begin behind the video's rows and columns, even where the
        video's time goes further.
        """
        config = self._model.config
        positions = mrope_positions(
            input_ids,
            [self._dual.grid],
            video_token_id=config.video_token_id,
            merge=config.vision.spatial_merge_size,
            tokens_per_second=config.vision.tokens_per_second,
        )
        return positions, (positions.max() + 1 - input_ids.shape[1]).reshape(1, 1)


class _Clock:
    """A streamer for `generate`, which hands it the prompt first and then each token."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._num_puts = 0
        self.first_token_s = float("nan")

    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    def put(self, value: Tensor) -> None:
        self._num_puts += 1
        if self._num_puts == 2:
            self.first_token_s = self.elapsed()

    def end(self) -> None:
        pass


class _DualEncoder(nn.Module):
    """Stands in for transformers' vision tower and adds what the spatial encoder sees, as the published code does."""

    def __init__(self, visual: nn.Module, model: SpatialMLLM) -> None:
        super().__init__()
        self.visual, self.model = visual, [model]  # in a list: its weights are not this module's
        self.video: Tensor | None = None
        self.grid = (0, 0, 0)
        self.spatial_merge_size = model.config.vision.spatial_merge_size

    @property
    def dtype(self) -> torch.dtype:
        return self.model[0].dtype

    def get_dtype(self) -> torch.dtype:
        return self.dtype

    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **options: object) -> object:
        (model,) = self.model
        visual = self.visual(hidden_states, grid_thw=grid_thw, **options)
        layers = model.network.vggt.aggregator(self.video, range(model.config.vggt.depth))
        spatial = model.connect(layers[model.config.spatial_layer], grid_thw)
        if isinstance(visual, Tensor):
            return visual + spatial
        visual.pooler_output = visual.pooler_output + spatial
        return visual


def _plain_model(model: SpatialMLLM) -> nn.Module:
    """Build transformers' Qwen2.5-VL around the model's own tensors."""
    module = qwen_module()
    text, vision = model.config.text, model.config.vision
    sizes = {
        "vocab_size": text.vocab_size,
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": text.rope_theta,
        "rope_scaling": {"rope_type": "default", "type": "default", "mrope_section": list(text.mrope_section)},
        "max_position_embeddings": text.max_position_embeddings,
        "use_sliding_window": False,
        "tie_word_embeddings": model.config.ties_embeddings,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    names = ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "window_size",
             "tokens_per_second")  # fmt: skip
    config = module.Qwen2_5_VLConfig(
        **({"text_config": sizes} if hasattr(module, "Qwen2_5_VLTextModel") else sizes),
        vision_config={
            **{name: getattr(vision, name) for name in names},
            "fullatt_block_indexes": list(vision.fullatt_block_indexes),
        },
        tie_word_embeddings=model.config.ties_embeddings,
        vision_start_token_id=model.config.vision_start_token_id,
        vision_end_token_id=model.config.vision_end_token_id,
        image_token_id=model.config.image_token_id,
        video_token_id=model.config.video_token_id,
    )
    config._attn_implementation = "sdpa"
    plain = module.Qwen2_5_VLForConditionalGeneration(config).eval()
    if hasattr(plain.model, "language_model"):
        parts = {"model.visual.": "visual.", "model.language_model.": "model.", "lm_head.": "lm_head."}
    else:
        parts = {"visual.": "visual.", "model.": "model.", "lm_head.": "lm_head."}
    ours = model.network.state_dict()
    weights = {
        theirs + name[len(prefix) :]: tensor
        for theirs, prefix in parts.items()
        for name, tensor in ours.items()
        if name.startswith(prefix)
    }
    plain.load_state_dict(weights, assign=True)
    return plain
