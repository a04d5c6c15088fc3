"""Read a video file as the frames of one camera, through OpenCV."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.layout import check_size
from spatial_mllm_ros.frames.reader import FrameReader, Span

__all__ = ["VIDEO_SUFFIXES", "VideoReader"]

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")
_DEFAULT_RATE_HZ = 30.0  # for a file that does not say
_COMPLETE = 0.9  # share of the announced frames; the number in a file's header is often off by a few


class VideoReader(FrameReader):
    """Frames from a video file, stamped with the time that the file gives each, from 0.

    Where the file's times do not increase, frame number / frame rate is used. `Frame.camera` is the file's name unless
    `camera` is given.

    Raises:
        InputError: if the file cannot be opened, has no picture, or claims an absurd size.
    """

    def __init__(self, path: Path, span: Span | None = None, *, camera: str = "") -> None:
        super().__init__(path, logger)
        self._span = Span() if span is None else span
        self._camera = camera or path.name
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise InputError(f"{path}: OpenCV cannot open this video; is it damaged, or its codec unknown?")
        size = [int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        check_size(f"{path}: video", *size)
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self._rate_hz = rate_hz if 0 < rate_hz < 10_000 else _DEFAULT_RATE_HZ
        self._count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.len_hint = self._span.count_of(self._count, self._count / self._rate_hz)

    def close(self) -> None:
        """Let go of the file; the iterator then ends."""
        super().close()
        self._capture.release()

    def _read(self) -> Iterator[Frame]:
        index, in_span, time_ns = 0, 0, -1
        while self._capture.grab():
            time_ns = self._time_of(index, time_ns)
            index += 1
            if self._span.is_past(time_ns):
                return
            if not self._span.contains(time_ns):
                continue
            in_span += 1
            if (in_span - 1) % self._span.stride:
                continue
            is_read, image = self._capture.retrieve()
            if not is_read or image is None or image.ndim != 3:
                self._tally.add("unreadable", "%s: frame %d cannot be decoded and is skipped", self.path, index - 1)
                continue
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
            yield Frame(image=image, stamp_ns=time_ns, camera=self._camera)
        if not index:
            raise InputError(f"{self.path}: this video has no picture that can be decoded")
        if index < _COMPLETE * self._count:
            self._tally.add(
                "cut_off", "%s: read %d of about %d frames; the rest is damaged", self.path, index, self._count
            )

    def _time_of(self, index: int, previous_ns: int) -> int:
        """Return the time of the frame just grabbed, in nanoseconds; always later than the previous one's."""
        told_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return told_ns if told_ns > previous_ns else max(round(index * 1e9 / self._rate_hz), previous_ns + 1)
