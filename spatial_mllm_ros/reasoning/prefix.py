"""The visual prefix: what the model keeps of the keyframes, ready before a question is asked.

`build_prefix` runs the encoders and prefills everything up to `<|vision_end|>`; that is exact, since attention is
causal (DESIGN, decision 2). `PrefixSlots` holds two of them at most: the one that serves, and one being built. The
serving one is used by one answer at a time and is never written by a builder.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial_mllm_ros.sampling import Selection

if TYPE_CHECKING:
    from spatial_mllm_ros.model import Prefill, SpatialMLLM
    from spatial_mllm_ros.reasoning.pair_cache import PairCache

__all__ = ["PrefixSlots", "VisualPrefix", "build_prefix"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VisualPrefix:
    """A prefilled set of keyframes.

    Attributes:
        selection: the keyframes.
        prefill: the model's state after `<|vision_end|>`; an answer extends it and crops it back.
        length: tokens in the prefix: what to crop back to.
        stage_times: (stage, seconds) of building it.
    """

    selection: Selection
    prefill: Prefill
    length: int
    stage_times: tuple[tuple[str, float], ...]


def build_prefix(
    model: SpatialMLLM,
    selection: Selection,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
    pair_cache: PairCache | None = None,
) -> VisualPrefix | None:
    """Encode keyframes and prefill the model with them.

    Args:
        model: the network.
        selection: at least two keyframes, an even number.
        is_wanted: asked between the stages; False abandons the work.
        pair_cache: 2D embeddings of frame pairs that were encoded before; None encodes every pair.

    Returns:
        The prefix, or None if it was abandoned.
    """
    times: list[tuple[str, float]] = []

    def timed(stage: str, work: Callable, *args: object, **options: object):
        started = time.monotonic()
        result = work(*args, **options)
        times.append((f"prefix_{stage}", time.monotonic() - started))
        return result

    images = [frame.image for frame in selection.frames]
    inputs = timed("preprocess", model.visual_inputs, images)
    if not is_wanted():
        return None
    encode_2d = model.encode_2d if pair_cache is None else pair_cache.encoder(model, images)
    visual = timed("encode_2d", encode_2d, inputs.pixel_values, inputs.grid_thw)
    if not is_wanted():
        return None
    spatial = timed("encode_spatial", model.encode_spatial, inputs.video)
    if not is_wanted():
        return None
    fused = timed("fuse", model.fuse, visual, spatial, inputs.grid_thw)
    input_ids = model.prompt.prefix_ids(inputs.grid_thw)
    prefill = timed("prefill", model.prefill, input_ids, fused=fused, grid_thw=inputs.grid_thw, logits="none")
    return VisualPrefix(selection=selection, prefill=prefill, length=prefill.length, stage_times=tuple(times))


class PrefixSlots:
    """The prefix that serves, swapped atomically, with room for one more being built.

    A builder calls `wait_for_room`, builds, and `publish`es; an answer borrows the serving prefix with `serving`. While
    an answer still uses a prefix that has been replaced, there is no room for another one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._serving: VisualPrefix | None = None
        self._current_at = float("-inf")
        self._borrowed: VisualPrefix | None = None
        self._is_closed = False

    @property
    def newest(self) -> VisualPrefix | None:
        """The prefix that the next answer would use."""
        return self._serving

    @property
    def current_at(self) -> float:
        """Monotonic time, in seconds, at which the serving keyframes were last known to be the right ones."""
        return self._current_at

    def publish(self, prefix: VisualPrefix, current_at: float) -> None:
        """Let `prefix` serve from now on; an answer under way keeps the one it borrowed."""
        with self._changed:
            self._serving = prefix
            self._current_at = current_at
            self._changed.notify_all()

    def confirm(self, version: int, current_at: float) -> None:
        """Note that the keyframes of `version` are still the right ones at the given monotonic time."""
        with self._changed:
            if self._serving is not None and self._serving.selection.version == version:
                self._current_at = max(self._current_at, current_at)
                self._changed.notify_all()

    def clear(self) -> None:
        """Forget the serving prefix; an answer under way keeps the one it borrowed."""
        with self._changed:
            self._serving = None
            self._current_at = float("-inf")
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everyone who waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def wait_for_room(self) -> bool:
        """Wait until no replaced prefix is in use any more; False if closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._borrowed in (None, self._serving))
            return not self._is_closed

    def wait_for_prefix(self, not_before: float, timeout_s: float) -> bool:
        """Wait until there is a prefix that was the right one at the monotonic time `not_before` or later."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._is_ready(not_before), timeout_s)
            return self._is_ready(not_before)

    def wake(self) -> None:
        """Let waits look again at what they wait for."""
        with self._changed:
            self._changed.notify_all()

    @contextlib.contextmanager
    def serving(self) -> Iterator[VisualPrefix | None]:
        """Borrow the serving prefix for one answer; its state is cropped back to the prefix afterwards."""
        with self._changed:
            prefix = self._borrowed = self._serving
        try:
            yield prefix
        finally:
            if prefix is not None:
                prefix.prefill.crop(prefix.length)
            with self._changed:
                self._borrowed = None
                self._changed.notify_all()

    def _is_ready(self, not_before: float) -> bool:
        return self._serving is not None and self._current_at >= not_before
