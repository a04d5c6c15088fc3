"""Keyframes of a live camera: the frames of a sliding window that see the most space, up to date at any moment.

Each `select` is an exact greedy choice over the whole window. The set that it gives stays the same until a better one
is worth encoding anew (`SelectorConfig.min_gain`) or one of its frames has left the window.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.geometry.point_map import PointMap
from spatial_mllm_ros.parameters import parameter_specs
from spatial_mllm_ros.sampling.bits import count_bits
from spatial_mllm_ros.sampling.config import SelectorConfig
from spatial_mllm_ros.sampling.picking import Picks, fill_up, pick_keyframes
from spatial_mllm_ros.sampling.selection import Selection
from spatial_mllm_ros.sampling.spacing import even_count
from spatial_mllm_ros.sampling.window import VoxelWindow
from spatial_mllm_ros.sampling.world_voxels import voxel_names

__all__ = ["KeyframeSelector"]

_MAX_DISORDER_NS = 1_000_000_000  # a stamp further back than this is a new start (a bag played again), not a late frame


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A frame of the window, and the column of its voxels."""

    frame: Frame
    column: int


@dataclass(frozen=True, eq=False)
class _KeyframeSet:
    """Keyframes as they were picked; those after the first `num_picked` were filled in."""

    method: str
    num_wanted: int
    candidates: tuple[_Candidate, ...]
    num_picked: int
    pairs: tuple[tuple[_Candidate, _Candidate], ...]  # of all of them in order of time, as the network merges them
    voxels: NDArray[np.int64]  # that they see together


_NO_KEYFRAMES = _KeyframeSet("", 0, (), 0, (), np.empty(0, np.int64))


class KeyframeSelector:
    """Picks keyframes from a window of frames that slides with a camera.

    The window is in order of time and holds at most `window_frames` frames, `window_s` seconds and `window_bytes`
    bytes. Not safe for several threads at once.
    """

    def __init__(self, config: SelectorConfig | None = None) -> None:
        self._config = config or SelectorConfig()
        self._keyframes = _NO_KEYFRAMES
        self._version = 0
        self._start_window()

    def __len__(self) -> int:
        """Number of frames in the window."""
        return len(self._window)

    @property
    def config(self) -> SelectorConfig:
        """The present parameters."""
        return self._config

    @property
    def version(self) -> int:
        """Grows by one when the set of keyframes changes, at `select` or `clear`."""
        return self._version

    @property
    def nbytes(self) -> int:
        """Bytes held by the window: images, depth and voxels."""
        return self._frame_bytes + self._voxels.nbytes

    def reconfigure(self, config: SelectorConfig) -> None:
        """Change parameters while running; the window stays, a tighter limit shows at the next `add`.

        Raises:
            InputError: if a parameter that is not `live` differs.
        """
        for spec in parameter_specs(config):
            if not spec.live and getattr(config, spec.name) != getattr(self._config, spec.name):
                raise InputError(f"parameter {spec.name} cannot change while frames are being selected")
        self._config = config

    def clear(self) -> None:
        """Forget all frames and keyframes."""
        self._start_window()
        self._change_to(_NO_KEYFRAMES)

    def add(self, frame: Frame, point_map: PointMap | None) -> None:
        """Take a frame into the window; others leave it if it is full.

        A stamp that goes back by more than a second, or a point map in another world frame or scale, starts anew:
        what was seen before cannot be compared.

        Args:
            frame: the image; kept as it is while it is in the window.
            point_map: where its pixels lie, or None if that is not known. Not kept, only its voxels are.
        """
        if self._starts_anew(frame, point_map):
            self.clear()
        names = np.empty(0, np.int64)
        if point_map is not None:
            self._world = (point_map.frame_id, point_map.is_metric)
            names = voxel_names(
                point_map,
                self._voxel_size,
                percentile=self._config.confidence_percentile,
                min_confidence=self._config.min_confidence,
            )
        place = bisect.bisect_right(self._stamps_ns, frame.stamp_ns)
        self._window.insert(place, _Candidate(frame, self._voxels.add(names)))
        self._stamps_ns.insert(place, frame.stamp_ns)
        self._frame_bytes += frame.nbytes
        self._shrink_to_limits()

    def select(self, num_keyframes: int | None = None) -> Selection:
        """Pick keyframes from the window as it is now.

        Args:
            num_keyframes: how many, even, instead of the parameter. Fewer are given only if the window has fewer.

        Raises:
            InputError: if `num_keyframes` is odd or less than 2.
        """
        num_keyframes = self._config.num_keyframes if num_keyframes is None else num_keyframes
        if num_keyframes < 2 or num_keyframes % 2:
            raise InputError(f"num_keyframes must be even and at least 2, not {num_keyframes}")
        num_wanted = even_count(num_keyframes, len(self._window))
        picks = pick_keyframes(
            self._config.method,
            self._voxels.words,
            [candidate.column for candidate in self._window],
            num_wanted,
            keep_newest=self._config.keep_newest,
        )
        if not self._present_set_will_do(picks, num_wanted):
            self._change_to(self._filled_up(picks, num_wanted))
        return self._describe()

    @property
    def _voxel_size(self) -> float:
        is_metric = self._world is None or self._world[1]
        return self._config.voxel_size_m if is_metric else self._config.voxel_size_unscaled

    def _start_window(self) -> None:
        self._window: list[_Candidate] = []
        self._stamps_ns: list[int] = []  # of the window's frames, ascending
        self._voxels = VoxelWindow()
        self._frame_bytes = 0
        self._world: tuple[str, bool] | None = None  # frame_id and is_metric of the point maps so far

    def _starts_anew(self, frame: Frame, point_map: PointMap | None) -> bool:
        goes_back = bool(self._stamps_ns) and frame.stamp_ns < self._stamps_ns[-1] - _MAX_DISORDER_NS
        world = self._world if point_map is None else (point_map.frame_id, point_map.is_metric)
        return goes_back or (self._world is not None and world != self._world)

    def _shrink_to_limits(self) -> None:
        config = self._config
        if config.window_s > 0:
            oldest_ns = self._stamps_ns[-1] - round(config.window_s * 1e9)
            while self._stamps_ns[0] < oldest_ns:
                self._drop(0)
        while len(self) > config.window_frames or (len(self) > 1 and self.nbytes > config.window_bytes):
            self._drop(self._least_missed() if config.window_policy == "explore" else 0)

    def _least_missed(self) -> int:
        """Find the frame whose leaving loses the fewest voxels; ties: the oldest; never the newest."""
        lost = self._voxels.count_seen_once()
        return int(lost[[candidate.column for candidate in self._window[:-1]]].argmin())

    def _drop(self, index: int) -> None:
        candidate = self._window.pop(index)
        del self._stamps_ns[index]
        self._voxels.remove(candidate.column)
        self._frame_bytes -= candidate.frame.nbytes

    def _present_set_will_do(self, picks: Picks, num_wanted: int) -> bool:
        """Say whether the present keyframes are all there and see nearly as much as new ones would."""
        present, config = self._keyframes, self._config
        if config.method != "space-aware" or config.min_gain == 0:
            return False
        if (present.method, present.num_wanted) != (picks.method, num_wanted):
            return False
        if not set(present.candidates).issubset(self._window):
            return False
        newest_ns = max(candidate.frame.stamp_ns for candidate in present.candidates)
        is_old = self._stamps_ns[-1] - newest_ns > config.newest_age_s * 1e9
        if picks.method != "space-aware":  # no geometry: equal steps would move with every frame
            return not is_old
        if config.keep_newest and is_old:
            return False
        return picks.covered_voxels < len(present.voxels) * (1 + config.min_gain)

    def _filled_up(self, picks: Picks, num_wanted: int) -> _KeyframeSet:
        picks = fill_up(
            picks,
            np.array(self._stamps_ns, np.int64),
            num_wanted,
            fill=self._config.fill,
            pairs=self._present_pairs(),
            newest_age_ns=round(self._config.newest_age_s * 1e9),
        )
        positions = picks.order + picks.filled
        chosen = tuple(self._window[index] for index in positions)
        in_time = [self._window[index] for index in sorted(positions)]
        pairs = tuple(zip(in_time[::2], in_time[1::2]))
        voxels = self._voxels.names_in([candidate.column for candidate in chosen])
        return _KeyframeSet(picks.method, num_wanted, chosen, len(picks.order), pairs, voxels)

    def _present_pairs(self) -> list[tuple[int, int]]:
        """Find the pairs of the present keyframes that are both in the window."""
        place = {candidate: index for index, candidate in enumerate(self._window)}
        pairs = self._keyframes.pairs
        return [(place[first], place[last]) for first, last in pairs if first in place and last in place]

    def _change_to(self, keyframes: _KeyframeSet) -> None:
        if set(keyframes.candidates) != set(self._keyframes.candidates):
            self._version += 1
        self._keyframes = keyframes

    def _describe(self) -> Selection:
        keyframes = self._keyframes
        place = {candidate: index for index, candidate in enumerate(self._window)}
        positions = [place[candidate] for candidate in keyframes.candidates]
        picked = keyframes.candidates[: keyframes.num_picked]
        sets = self._voxels.words[:, [candidate.column for candidate in picked]].T.copy()  # [K,W]
        seen_after = count_bits(np.bitwise_or.accumulate(sets, axis=0).T)
        return Selection(
            frames=tuple(self._window[index].frame for index in sorted(positions)),
            indices=tuple(sorted(positions)),
            order=tuple(positions[: keyframes.num_picked]),
            gains=tuple(np.diff(seen_after, prepend=0).tolist()),
            voxels=keyframes.voxels,
            window_voxels=self._voxels.num_voxels,
            voxel_size=self._voxel_size,
            world_frame_id=self._world[0] if self._world else "",
            window_frames=len(self._window),
            version=self._version,
            method=keyframes.method or self._config.method,
        )
