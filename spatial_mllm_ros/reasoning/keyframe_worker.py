"""The memory path: frames in, keyframes and visual prefix kept up to date in the background.

Two threads. The window thread takes frames, asks for their point maps and lets the selector choose; it is quick enough
for a camera. The encode thread turns the newest wanted keyframe set into a visual prefix, one at a time; a newer set
replaces a waiting one, and a set under way is abandoned when it is of no use any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import BufferConfig, Frame, FrameBuffer
from spatial_mllm_ros.reasoning.config import ReasonerConfig
from spatial_mllm_ros.reasoning.fault_log import FaultLog
from spatial_mllm_ros.reasoning.prefix import PrefixSlots, VisualPrefix
from spatial_mllm_ros.runtime.niceness import yield_to_others
from spatial_mllm_ros.sampling import KeyframeSelector, Selection, SelectorConfig

if TYPE_CHECKING:
    from spatial_mllm_ros.geometry import PointMap, PointMapProvider

__all__ = ["KeyframeWorker"]

_log = logging.getLogger(__name__)
_WAIT_AFTER_FAILURE_S = 1.0


class KeyframeWorker:
    """Keeps `slots` serving the keyframes that the selector wants.

    Args:
        selector: owned by this worker from now on.
        provider: gives point maps; None if there is no geometry.
        encode: `build_prefix` for one model.
        slots: where finished prefixes are published.
        config: limits.
        buffer: bounds of the frames that wait for the window.
        on_selection: called from the window thread with every new keyframe set.
    """

    def __init__(
        self,
        selector: KeyframeSelector,
        provider: PointMapProvider | None,
        encode: Callable[..., VisualPrefix | None],
        slots: PrefixSlots,
        config: ReasonerConfig,
        buffer: BufferConfig,
        on_selection: Callable[[Selection], object] | None = None,
    ) -> None:
        self.frames = FrameBuffer(buffer.max_frames, buffer.max_bytes)
        self.faults = FaultLog(_log)
        self.num_built = 0
        self.num_abandoned = 0
        self._selector, self._provider, self._encode = selector, provider, encode
        self._slots, self._config, self._on_selection = slots, config, on_selection
        self._changed = threading.Condition()
        self._wanted: tuple[Selection, float] | None = None  # the newest set, and when it was chosen
        self._newest: Selection | None = None
        self._epoch = 0  # grows when all that was seen is forgotten
        self._clear_asked = False
        self._hurry_to = float("-inf")  # a question wants keyframes that were right at this monotonic time or later
        self._is_closed = False
        self._new_config: SelectorConfig | None = None
        self._size = ""  # of the images in the window
        self._threads = [
            threading.Thread(target=self._keep_window, name="spatial_mllm window", daemon=True),
            threading.Thread(target=self._keep_prefix, name="spatial_mllm encode", daemon=True),
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    @property
    def newest_selection(self) -> Selection | None:
        """The keyframe set that was chosen last; None before the first."""
        return self._newest

    def observe(self, frame: Frame) -> None:
        """Take a frame; returns at once. If too many wait, the oldest is dropped and counted."""
        self.frames.put(frame)
        with self._changed:
            self._changed.notify_all()

    def hurry(self, not_before: float) -> None:
        """Skip the minimum interval until keyframes serve that were right at this monotonic time or later."""
        with self._changed:
            self._hurry_to = max(self._hurry_to, not_before)
            self._changed.notify_all()

    def reconfigure(self, config: SelectorConfig) -> None:
        """Hand the selector new live parameters before its next frame."""
        with self._changed:
            self._new_config = config

    def clear(self) -> None:
        """Forget all frames, keyframes and prefixes, as after a jump back in time."""
        with self._changed:
            self._epoch += 1
            self._clear_asked = True
            self._wanted = self._newest = None
            self.frames.clear()
            self._slots.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop both threads; an encoding under way is abandoned at its next stage."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self.frames.close()
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()

    def _keep_window(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._clear_asked or len(self.frames))
                if self._is_closed:
                    return
                frames, epoch = self.frames.drain(), self._epoch
                must_clear, self._clear_asked = self._clear_asked, False
                new_config, self._new_config = self._new_config, None
            try:
                if new_config is not None:
                    self._selector.reconfigure(new_config)
                if must_clear:
                    self._selector.clear()
                    if self._provider is not None:
                        self._provider.clear()
                if frames:
                    self._take(frames, epoch)
            except Exception as error:  # the edge of a thread: report, and go on with the next frames
                self.faults.report("keyframe selection", error)

    def _take(self, frames: list[Frame], epoch: int) -> None:
        seen_at = time.monotonic()
        for frame, point_map in zip(frames, self._point_maps(frames), strict=True):
            self._notice_size(frame)
            self._selector.add(frame, point_map)
        if len(self._selector) < 2:
            return
        selection = self._selector.select()
        with self._changed:
            if epoch != self._epoch:
                return
            is_new = self._newest is None or selection.version != self._newest.version
            self._newest = selection
            self._wanted = (selection, seen_at)
            self._slots.confirm(selection.version, seen_at)
            self._changed.notify_all()
        if is_new and self._on_selection is not None:
            self._on_selection(selection)

    def _notice_size(self, frame: Frame) -> None:
        """Start anew when the images change size: one prefix has one grid (DESIGN, decision 8)."""
        size = f"{frame.width}x{frame.height}"
        if self._size not in ("", size):
            change = InputError(f"images were {self._size} and are now {size}; the window starts anew")
            self.faults.report("keeping the window", change)
            self._selector.clear()
        self._size = size

    def _point_maps(self, frames: list[Frame]) -> list[PointMap | None]:
        if self._provider is not None:
            try:
                return self._provider.point_maps(frames)
            except Exception as error:  # belongs to another stage: without its maps keyframes are spaced in time
                self.faults.report("making point maps", error)
        return [None] * len(frames)

    def _keep_prefix(self) -> None:
        yield_to_others(self._config.encode_niceness)
        next_start = 0.0
        while self._slots.wait_for_room():
            with self._changed:
                if self._is_closed:
                    return
                wait_s = self._time_until_due(next_start)
                if wait_s != 0:
                    self._changed.wait(wait_s)
                    continue
                (selection, seen_at), epoch = self._wanted, self._epoch
            started = time.monotonic()
            try:
                prefix = self._encode_newest(selection, seen_at, epoch)
            except Exception as error:  # the edge of a thread: report, wait a little, try the newest set
                self.faults.report("encoding keyframes", error)
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed, _WAIT_AFTER_FAILURE_S)
                continue
            if prefix is not None:
                took = time.monotonic() - started
                next_start = started + max(self._config.min_refresh_s, took / self._config.max_duty)

    def _encode_newest(self, selection: Selection, seen_at: float, epoch: int) -> VisualPrefix | None:
        """Encode a set; one that has lost half its frames meanwhile gives way once to the newest."""
        for may_give_way in (True, False):
            building = selection

            def is_wanted(building: Selection = building, may_give_way: bool = may_give_way) -> bool:
                if self._is_closed or epoch != self._epoch:
                    return False
                newest = self._newest
                return not (may_give_way and newest is not None and _share_kept(building, newest) < 0.5)

            prefix = self._encode(building, is_wanted=is_wanted)
            with self._changed:
                if self._is_closed or epoch != self._epoch:
                    return None
                if prefix is not None:
                    self.num_built += 1
                    self._slots.publish(prefix, seen_at)
                    if self._wanted is not None and self._wanted[0].version == selection.version:
                        self._slots.confirm(selection.version, self._wanted[1])
                    return prefix
                self.num_abandoned += 1
                selection, seen_at = self._wanted or (selection, seen_at)
        return None

    def _time_until_due(self, next_start: float) -> float | None:
        """Seconds until the newest set is to be encoded: 0 for now, None until something changes."""
        serving = self._slots.newest
        if self._wanted is None or (serving is not None and serving.selection.version == self._wanted[0].version):
            return None
        if self._slots.current_at < self._hurry_to <= self._wanted[1]:
            return 0
        return max(0, next_start - time.monotonic())


def _share_kept(building: Selection, newest: Selection) -> float:
    kept = {id(frame) for frame in newest.frames}
    return sum(id(frame) in kept for frame in building.frames) / len(building.frames)
