"""From keyframes to what the language model gets: by compiled encoders where they fit, else by torch.

Compiled encoders take whole sets of one shape. Torch takes any set, and leaves out images that it has encoded before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.reasoning.embedding_cache import EmbeddingCache, content_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from spatial_mllm_ros.model import SpatialMLLM, VisualInputs
    from spatial_mllm_ros.runtime.encoder import Encoders

__all__ = ["Encoded", "EncoderChoice", "encode_keyframes"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Run = Callable[..., "Tensor"]  # (stage, function, *arguments): run one stage, note its time, or abandon the work


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """A keyframe set as the language model gets it.

    Attributes:
        fused: [N/4,D].
        backend: what ran the encoders.
        misfit: why it was not the compiled encoders, though there are some; empty if it was, or there are none.
    """

    fused: Tensor
    backend: str
    misfit: str = ""


class EncoderChoice:
    """Which encoders the next keyframe set is encoded with; safe for several threads.

    A set is encoded by one choice from its first stage to its last, so a new one takes effect between two sets.

    Attributes:
        current: the compiled encoders; None for torch alone.
        problem: why the last ones were given up while they served; empty if they were not.
    """

    def __init__(self) -> None:
        self.current: Encoders | None = None
        self.problem = ""
        self._lock = threading.Lock()

    def use(self, encoders: Encoders | None) -> None:
        """Encode with these from the next set on."""
        with self._lock:
            self.current, self.problem = encoders, ""

    def run(self, work: Callable[[Encoders | None], _T]) -> _T:
        """Do work with the current encoders; if these fail, give them up for good and do it with torch.

        Args:
            work: takes the encoders, or None for torch.
        """
        encoders = self.current
        if encoders is None:
            return work(None)
        try:
            return work(encoders)
        except EngineError as error:
            with self._lock:
                if self.current is encoders:
                    self.current, self.problem = None, f"torch encodes from now on: {error}"
            _log.exception("the %s encoders are given up; torch encodes from now on", encoders.backend)
        return work(None)


def encode_keyframes(
    model: SpatialMLLM,
    images: Sequence[NDArray[np.uint8]],
    inputs: VisualInputs,
    run: Run,
    *,
    encoders: Encoders | None = None,
    cache: EmbeddingCache | None = None,
) -> Encoded:
    """Encode keyframes.

    Args:
        model: the network.
        images: the keyframes, uint8 [H,W,3] each.
        inputs: what `model.visual_inputs` made of them.
        run: runs each stage.
        encoders: compiled encoders; torch takes over where the keyframes do not fit them, or for None.
        cache: embeddings of images that torch has encoded before; None encodes all.

    Raises:
        EngineError: if compiled encoders fail.
    """
    if encoders is not None and encoders.fit(inputs):
        visual = run("encode_2d", encoders.encode_2d, inputs)
        spatial = run("encode_spatial", encoders.encode_spatial, inputs)
        return Encoded(fused=run("fuse", encoders.fuse, visual, spatial), backend=encoders.backend)
    keys = run("recognise", lambda: [content_key(image) for image in images]) if cache else None
    visual = run("encode_2d", _encode_2d, model, inputs, cache, keys)
    spatial = run("encode_spatial", _encode_spatial, model, inputs, cache, keys)
    fused = run("fuse", model.fuse, visual, spatial, inputs.grid_thw)
    return Encoded(fused=fused, backend="torch", misfit=encoders.misfit(inputs) if encoders else "")


def _encode_2d(
    model: SpatialMLLM, inputs: VisualInputs, cache: EmbeddingCache | None, keys: list[bytes] | None
) -> Tensor:
    if cache is None:
        return model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    pairs, rows, columns = inputs.grid_thw
    patches = inputs.pixel_values.unflatten(0, (pairs, -1))  # [t,hw,1176]

    def encode(missing: list[int]) -> Tensor:
        embeddings = model.encode_2d(patches[missing].flatten(0, 1), (len(missing), rows, columns))
        return embeddings.unflatten(0, (len(missing), -1))

    of_pairs = [keys[2 * pair] + keys[2 * pair + 1] for pair in range(pairs)]
    return cache.gather("pair", of_pairs, encode).flatten(0, 1)


def _encode_spatial(
    model: SpatialMLLM, inputs: VisualInputs, cache: EmbeddingCache | None, keys: list[bytes] | None
) -> Tensor:
    if cache is None:
        return model.encode_spatial(inputs.video)
    frame_tokens = cache.gather("frame", keys, lambda missing: model.encode_frames(inputs.video[missing]))
    return model.encode_spatial(inputs.video, frame_tokens)
