"""Read a folder of JPEG and PNG images as the frames of one camera."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.compressed import decode_compressed
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.reader import FrameReader, Span

__all__ = ["IMAGE_SUFFIXES", "FolderReader", "natural_order"]

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderReader(FrameReader):
    """Frames from the images of a folder (not of its subfolders), in natural order: `2.jpg` before `10.jpg`.

    The stamp of the n-th image is n / `rate_hz` seconds; `Frame.camera` is the folder's name unless `camera` is given.
    Photos are turned upright by their EXIF tag.

    Raises:
        InputError: if there is no image, `rate_hz` is not above 0, or (when it is read) an image is damaged.
    """

    def __init__(self, path: Path, span: Span | None = None, *, camera: str = "", rate_hz: float = 10.0) -> None:
        super().__init__(path, logger)
        if not rate_hz > 0:
            raise InputError(f"rate must be above 0 images per second, not {rate_hz}")
        self._span = Span() if span is None else span
        self._camera = camera or path.name
        images = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file()]
        if not images:
            raise InputError(f"{path}: found no image ({', '.join(IMAGE_SUFFIXES)}) in this folder")
        images.sort(key=lambda image: natural_order(image.name))
        stamped = [(round(index * 1e9 / rate_hz), image) for index, image in enumerate(images)]
        self._images = [entry for entry in stamped if self._span.contains(entry[0])][:: self._span.stride]
        self.len_hint = len(self._images)

    def _read(self) -> Iterator[Frame]:
        for stamp_ns, path in self._images:
            try:
                image = decode_compressed(path.read_bytes(), apply_orientation=True)
            except (InputError, OSError) as error:
                raise InputError(f"{path}: {error}; remove or replace this file") from error
            yield Frame(image=image, stamp_ns=stamp_ns, camera=self._camera)


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Make a sort key that orders the numbers in names by value: "a2" before "a10"."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(1, int(part), "") if part.isdigit() and part.isascii() else (0, 0, part) for part in parts]
