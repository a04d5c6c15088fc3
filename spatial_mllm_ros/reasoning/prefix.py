"""The visual prefix: what the model keeps of the keyframes, ready before a question is asked.

`build_prefix` runs the encoders and prefills everything up to `<|vision_end|>`; that is exact, since attention is
causal (DESIGN, decision 2). `PrefixSlots` holds two of them at most: the one that serves, and one being built. The
serving one is used by one answer at a time and is never written by a builder. A replaced one's buffers are those of the
next that is built, so memory (and on a GPU the graph recorded for it) is made twice, not for every set of keyframes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial_mllm_ros.reasoning.compute import settle
from spatial_mllm_ros.reasoning.embedding_cache import EmbeddingCache
from spatial_mllm_ros.reasoning.encoding import encode_keyframes
from spatial_mllm_ros.sampling import Selection

if TYPE_CHECKING:
    import torch

    from spatial_mllm_ros.model import Prefill, SpatialMLLM
    from spatial_mllm_ros.runtime.encoder import Encoders

__all__ = ["PrefixSlots", "VisualPrefix", "build_prefix"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VisualPrefix:
    """A prefilled set of keyframes.

    Attributes:
        selection: the keyframes.
        prefill: the model's state after `<|vision_end|>`; an answer extends it and crops it back. Once another prefix
            serves it may be used for the next one.
        length: tokens in the prefix: what to crop back to.
        stage_times: (stage, seconds) of building it.
        backend: what ran the encoders.
        misfit: why it was not the compiled encoders, though there are some.
    """

    selection: Selection
    prefill: Prefill
    length: int
    stage_times: tuple[tuple[str, float], ...]
    backend: str = "torch"
    misfit: str = ""


def build_prefix(
    model: SpatialMLLM,
    selection: Selection,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
    encoders: Encoders | None = None,
    cache: EmbeddingCache | None = None,
    on_stage: Callable[[str], object] = lambda stage: None,
    take_spare: Callable[[], Prefill | None] = lambda: None,
    room: int | None = None,
) -> VisualPrefix | None:
    """Encode keyframes and prefill the model with them.

    Args:
        model: the network.
        selection: at least two keyframes, an even number.
        is_wanted: asked between the stages; False abandons the work.
        encoders: compiled encoders, for keyframes that fit them; None has torch encode.
        cache: embeddings of images that torch encoded before; None encodes all.
        on_stage: told the name of each stage when it begins.
        take_spare: gives a prefill that nobody uses any more, whose buffers are written again; None makes new ones.
        room: tokens of a question and its answer, for which memory is taken at once; None takes the model's default.

    Returns:
        The prefix, or None if it was abandoned.

    Raises:
        InputError: if the keyframes' sizes differ.
        EngineError: if compiled encoders fail.
    """
    images = [frame.image for frame in selection.frames]
    stages = _Stages(model.device, is_wanted, on_stage)
    with contextlib.suppress(_Abandoned):
        inputs = stages.run("preprocess", model.visual_inputs, images)
        encoded = encode_keyframes(model, images, inputs, stages.run, encoders=encoders, cache=cache)
        input_ids = model.prompt.prefix_ids(inputs.grid_thw)

        def prefill_prefix() -> Prefill:
            buffers = _buffers(take_spare(), room)
            return model.prefill(input_ids, fused=encoded.fused, grid_thw=inputs.grid_thw, logits="none", **buffers)

        prefill = stages.run("prefill", prefill_prefix)
        return VisualPrefix(
            selection=selection,
            prefill=prefill,
            length=prefill.length,
            stage_times=tuple(stages.times),
            backend=encoded.backend,
            misfit=encoded.misfit,
        )
    return None


def _buffers(spare: Prefill | None, room: int | None) -> dict[str, object]:
    """Say where to prefill: in what another prefix has left, or in new buffers."""
    if spare is not None:
        spare.crop(0)
        return {"past": spare}
    return {} if room is None else {"room": room}


class _Abandoned(Exception):
    """The prefix being built is of no use any more."""


class _Stages:
    """Runs stages while their result is wanted, and notes how long each took."""

    def __init__(
        self, device: torch.device, is_wanted: Callable[[], bool], on_stage: Callable[[str], object]
    ) -> None:
        self.times: list[tuple[str, float]] = []
        self._device, self._is_wanted, self._on_stage = device, is_wanted, on_stage

    def run(self, stage: str, work: Callable, *args: object, **options: object):
        if not self._is_wanted():
            raise _Abandoned
        self._on_stage(stage)
        started = time.monotonic()
        result = work(*args, **options)
        settle(self._device)
        self.times.append((f"prefix_{stage}", time.monotonic() - started))
        return result


class PrefixSlots:
    """The prefix that serves, swapped atomically, with room for one more being built.

    A builder calls `wait_for_room`, builds, and `publish`es; an answer borrows the serving prefix with `serving`. While
    an answer still uses a prefix that has been replaced, there is no room for another one.

    Attributes:
        changed: notified after every change; the line of questions is guarded by it too, so one wait sees both.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._serving: VisualPrefix | None = None
        self._current_at = float("-inf")
        self._borrowed: VisualPrefix | None = None
        self._spare: Prefill | None = None
        self._is_closed = False

    @property
    def newest(self) -> VisualPrefix | None:
        """The prefix that the next answer would use."""
        return self._serving

    @property
    def current_at(self) -> float:
        """Monotonic time, in seconds, at which the serving keyframes were last known to be the right ones."""
        return self._current_at

    def is_ready(self, not_before: float) -> bool:
        """Say whether a prefix serves that was the right one at the monotonic time `not_before` or later."""
        return self._serving is not None and self._current_at >= not_before

    def publish(self, prefix: VisualPrefix, current_at: float) -> None:
        """Let `prefix` serve from now on; an answer under way keeps the one it borrowed."""
        self._replace(prefix, current_at)

    def confirm(self, version: int, current_at: float) -> None:
        """Note that the keyframes of `version` are still the right ones at the given monotonic time."""
        with self.changed:
            if self._serving is not None and self._serving.selection.version == version:
                self._current_at = max(self._current_at, current_at)
                self.changed.notify_all()

    def clear(self) -> None:
        """Forget the serving prefix; an answer under way keeps the one it borrowed."""
        self._replace(None, float("-inf"))

    def take_spare(self) -> Prefill | None:
        """Hand over the prefill of a prefix that was replaced and is in use no more; None if there is none."""
        with self.changed:
            spare, self._spare = self._spare, None
            return spare

    def close(self) -> None:
        """End `wait_for_room`."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()

    def wait_for_room(self) -> bool:
        """Wait until no replaced prefix is in use any more; False if closed."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_closed or self._borrowed in (None, self._serving))
            return not self._is_closed

    @contextlib.contextmanager
    def serving(self) -> Iterator[VisualPrefix | None]:
        """Borrow the serving prefix for one answer; its state is cropped back to the prefix afterwards."""
        with self.changed:
            prefix = self._borrowed = self._serving
        try:
            yield prefix
        finally:
            if prefix is not None:
                prefix.prefill.crop(prefix.length)
            with self.changed:
                self._borrowed = None
                self._keep_if_unused(prefix)
                self.changed.notify_all()

    def _replace(self, prefix: VisualPrefix | None, current_at: float) -> None:
        with self.changed:
            replaced, self._serving = self._serving, prefix
            self._current_at = current_at
            self._keep_if_unused(replaced)
            self.changed.notify_all()

    def _keep_if_unused(self, prefix: VisualPrefix | None) -> None:
        if prefix is not None and prefix is not self._serving and prefix is not self._borrowed:
            self._spare = prefix.prefill
