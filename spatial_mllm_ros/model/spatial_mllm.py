"""Spatial-MLLM's forward in parts, each usable alone: preprocessing, two encoders, connector, language model."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model.config import ModelConfig
from spatial_mllm_ros.model.decoding import TokenReader, capture_cuda_graph
from spatial_mllm_ros.model.generation import GenerationRule
from spatial_mllm_ros.model.geometry import GeometryPrediction, predict_geometry
from spatial_mllm_ros.model.kv_cache import DEFAULT_ROOM, KVCache
from spatial_mllm_ros.model.network import SpatialNetwork
from spatial_mllm_ros.model.positions import grids_from, mrope_positions
from spatial_mllm_ros.model.prefill import Prefill
from spatial_mllm_ros.model.preprocessing import VisualInputs, visual_inputs
from spatial_mllm_ros.model.prompt import ChatPrompt
from spatial_mllm_ros.model.text_stream import TokenTextStream
from spatial_mllm_ros.model.tokenizer import Tokenizer

__all__ = ["SpatialMLLM"]


class SpatialMLLM:
    """A loaded Spatial-MLLM, for inference.

    The parts hold no state between calls, so several threads may use one model; a `Prefill` belongs to one of them.
    T frames become N = T/2 * H/14 * W/14 patches and N/4 tokens of D channels.

    Attributes:
        name: where the weights came from, for reports.
        is_trained: False if the weights are random, so that answers mean nothing.
        config: sizes and token ids.
        tokenizer: None if the checkpoint has none.
        network: the modules; their parameters are the checkpoint's, by the same names.
        device, dtype: of the weights and of everything that the parts give.
    """

    def __init__(
        self, network: SpatialNetwork, config: ModelConfig, *, name: str, tokenizer: Tokenizer | None = None
    ) -> None:
        self.network = network
        self.config = config
        self.name = name
        self.tokenizer = tokenizer
        self.is_trained = config.is_trained
        self._weight = next(weight for weight in network.parameters() if not weight.is_meta)  # stands for all

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights, the geometry heads apart, which are always float32."""
        return self._weight.dtype

    @property
    def has_geometry(self) -> bool:
        """True if loaded with the heads that `predict_geometry` needs."""
        return self.network.vggt.has_geometry

    @functools.cached_property
    def prompt(self) -> ChatPrompt:
        """Builds prompts by the checkpoint's chat template.

        Raises:
            CheckpointError: if the checkpoint has no tokenizer, or its template is of no use.
        """
        return ChatPrompt(self._tokenizer(), merge=self.config.vision.spatial_merge_size)

    @functools.cached_property
    def _reader(self) -> TokenReader:
        is_gpu = self.device.type == "cuda"
        return TokenReader(self.network, functools.partial(capture_cuda_graph, self.device) if is_gpu else None)

    def text_stream(self) -> TokenTextStream:
        """Give a new decoder of tokens to text.

        Raises:
            CheckpointError: if the checkpoint has no tokenizer.
        """
        return TokenTextStream(self._tokenizer())

    def visual_inputs(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> VisualInputs:
        """Resize and normalise frames for both encoders, as `preprocessing.visual_inputs` says.

        Args:
            images: uint8 RGB, an even number of [H,W,3] of one size, in the order of time.

        Raises:
            InputError: if the number is odd, or sizes or dtypes differ.
        """
        return visual_inputs(images, self.config)

    @torch.no_grad()
    def encode_2d(self, pixel_values: Tensor, grid_thw: Sequence[int] | Tensor) -> Tensor:
        """Run the 2D encoder: pixel_values [N,1176] of the grid (t,h,w) to embeddings [N/4,D].

        Several videos may follow each other, with `grid_thw` [V,3].

        Raises:
            InputError: if the patches do not fit the grid.
        """
        grids = grids_from(grid_thw)
        pixel_values = torch.as_tensor(pixel_values).to(self.device, self.dtype)
        sizes = [pairs * rows * columns for pairs, rows, columns in grids]
        if sum(sizes) != len(pixel_values):
            raise InputError(f"{len(pixel_values)} patches do not fit the grid {grids}: {sum(sizes)} are due")
        parts = [self.network.visual(part, grid) for part, grid in zip(pixel_values.split(sizes), grids)]
        return torch.cat(parts)

    @torch.no_grad()
    def encode_frames(self, video: Tensor) -> Tensor:
        """Run the spatial encoder's first part (DINOv2), which sees each frame alone: [T,3,H,W] in [0, 1] to [T,P,C].

        Raises:
            InputError: if the shape is another.
        """
        return self.network.vggt.aggregator.encode_frames(torch.as_tensor(video).to(self.device, self.dtype))

    @torch.no_grad()
    def encode_spatial(self, video: Tensor, frame_tokens: Tensor | None = None) -> Tensor:
        """Run the spatial encoder: frames [T,3,H,W] in [0, 1] to tokens [T,5+P,2C] of the layer that is fused.

        Camera token and four registers come first, then P = H/14 * W/14 patches in rows.

        Args:
            frame_tokens: [T,P,C], what `encode_frames` gave for these frames; None runs it.

        Raises:
            InputError: if a shape is another.
        """
        video = torch.as_tensor(video).to(self.device, self.dtype)
        return self.network.vggt.aggregator(video, (self.config.spatial_layer,), frame_tokens)[0]

    @torch.no_grad()
    def fuse(self, visual_embeds: Tensor, spatial_tokens: Tensor, grid_thw: Sequence[int] | Tensor) -> Tensor:
        """Add the projected spatial tokens [T,5+P,2C] to the visual embeddings [N/4,D] of one video.

        Raises:
            InputError: if frames, tokens and grid do not belong together.
        """
        return visual_embeds + self.connect(spatial_tokens, grid_thw)

    @torch.no_grad()
    def connect(self, spatial_tokens: Tensor, grid_thw: Sequence[int] | Tensor) -> Tensor:
        """Project spatial tokens [T,5+P,2C] of one video to [N/4,D], in the order of the visual embeddings.

        Raises:
            InputError: if frames, tokens and grid do not belong together.
        """
        grids = grids_from(grid_thw)
        if len(grids) != 1:
            raise InputError(f"spatial tokens are those of one video, but there are {len(grids)} grids")
        patches = spatial_tokens[:, self.config.vggt.num_special_tokens :]
        return self.network.connector(patches.to(self.device, self.dtype), grids[0])

    @torch.no_grad()
    def embed(self, input_ids: Tensor, fused: Tensor | None = None) -> Tensor:
        """Look tokens int64 [1,L] up and put fused embeddings [N/4,D] in place of the video tokens, giving [1,L,D].

        Raises:
            InputError: if a token is out of range or of an image, or video tokens and embeddings differ in number.
        """
        if int(input_ids.min()) < 0 or int(input_ids.max()) >= self.config.text.vocab_size:
            raise InputError(f"input_ids must lie in 0..{self.config.text.vocab_size - 1}")
        if bool((input_ids == self.config.image_token_id).any()):
            raise InputError("images in a prompt are not supported; give a video")
        is_video = input_ids[0] == self.config.video_token_id
        rows = 0 if fused is None else len(fused)
        if int(is_video.sum()) != rows:
            raise InputError(f"{int(is_video.sum())} video tokens in the prompt, but {rows} fused embeddings")
        embeds = self.network.model.embed_tokens(input_ids.to(self.device))  # [1,L,D]
        if fused is not None:
            embeds[0, is_video.to(self.device)] = fused.to(embeds.device, embeds.dtype)
        return embeds

    @torch.no_grad()
    def prefill(
        self,
        input_ids: Tensor,
        *,
        fused: Tensor | None = None,
        grid_thw: Sequence[int] | Tensor | None = None,
        second_per_grid_s: float | Sequence[float] = 1.0,
        attention_mask: Tensor | None = None,
        past: Prefill | None = None,
        room: int = DEFAULT_ROOM,
        logits: Literal["none", "last", "all"] = "last",
    ) -> Prefill:
        """Let the language model read tokens.

        Args:
            input_ids: int64 [1,L].
            fused: [N/4,D], takes the place of the video tokens; with it `grid_thw` (t,h,w), or [V,3] for V videos.
            second_per_grid_s: seconds from one frame pair to the next.
            attention_mask: [1,L], 0 for padding.
            past: what was read before; it is extended in place and returned.
            room: tokens to come, for which memory is taken now, without `past`; more of them cost a copy.
            logits: which to compute: of the last token, of all `L`, or none, for a prefix that others continue.

        Raises:
            InputError: if tokens, embeddings and grid do not belong together, or the context would be exceeded.
        """
        if logits not in ("none", "last", "all"):
            raise InputError(f'logits must be "none", "last" or "all", not {logits!r}')
        input_ids = torch.as_tensor(input_ids).cpu()
        if input_ids.ndim != 2 or input_ids.shape[1] == 0:
            raise InputError(f"tokens are int64 [1,L] with L at least 1, not {list(input_ids.shape)}")
        grids = grids_from(grid_thw) if grid_thw is not None else []
        state = past or Prefill(KVCache(self.config.text.num_hidden_layers, room))
        positions = mrope_positions(
            input_ids,
            grids,
            video_token_id=self.config.video_token_id,
            merge=self.config.vision.spatial_merge_size,
            tokens_per_second=self.config.vision.tokens_per_second,
            second_per_grid_s=second_per_grid_s,
            attention_mask=attention_mask,
            start=state.next_position,
        )
        mask = state.joined_mask(attention_mask, input_ids.shape[1])
        embeds = self.embed(input_ids, fused)
        self._check_context(state.length + input_ids.shape[1])
        hidden = self.network.model(embeds, positions.to(self.device), state.cache, mask)
        state.record(input_ids, positions, mask, self._logits(hidden, logits))
        if logits == "none":
            self._reader.prepare(state)
        return state

    @torch.no_grad()
    def generate(
        self,
        prefill: Prefill,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        stop_ids: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Iterator[int]:
        """Continue what was read, one token per step; stop iterating and no further work is done.

        Args:
            prefill: read with `logits="last"`; extended by the tokens given, except the last one.
            max_new_tokens: most tokens to give.
            temperature, top_p, repetition_penalty: see `GenerationRule`; the defaults are greedy.
            stop_ids: tokens that end the answer and are not given; the checkpoint's if None.
            generator: source of chance, for temperatures above 0.

        Raises:
            InputError: on the first step, if there are no logits or a value is out of range.
        """
        rule = GenerationRule(temperature=temperature, top_p=top_p, repetition_penalty=repetition_penalty)
        stops = set(self.config.stop_ids if stop_ids is None else stop_ids)
        for count in range(max_new_tokens):
            if prefill.logits is None:
                raise InputError('generate needs the logits of the last token: prefill(..., logits="last")')
            last = prefill.logits[:, -1] if prefill.logits.ndim == 3 else prefill.logits
            token = rule.choose(last, prefill.input_ids, generator)
            if token in stops:
                return
            yield token
            if count + 1 < max_new_tokens:
                self._check_context(prefill.length + 1)
                self._reader.read(token, prefill)

    def predict_geometry(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> GeometryPrediction:
        """Predict depth, points and cameras of frames of one scene, see `geometry.predict_geometry`.

        Raises:
            InputError: if the model was loaded without `geometry=True`, or the images are of no use.
        """
        return predict_geometry(self.network.vggt, images, device=self.device, dtype=self.dtype)

    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise CheckpointError(f"{self.name}: has no tokenizer.json, so it can be run on tokens only, not on text")
        return self.tokenizer

    def _logits(self, hidden: Tensor, which: str) -> Tensor | None:
        if which == "none":
            return None
        return self.network.lm_head(hidden if which == "all" else hidden[:, -1])

    def _check_context(self, length: int) -> None:
        if length > self.config.text.max_position_embeddings:
            raise InputError(f"{length} tokens are more than the model's {self.config.text.max_position_embeddings}")
