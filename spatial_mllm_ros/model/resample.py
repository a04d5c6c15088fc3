"""Bicubic resizing that gives, bit for bit, what the two libraries of the official code give.

Pillow works in two passes of fixed-point arithmetic, rows first, with a rounded image between them; torchvision works
in float32 and rounds once. They differ by a level here and there, which is why both are needed.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

__all__ = ["resize_as_pillow", "resize_as_torchvision"]

_FRACTION_BITS = 22  # Pillow's, for 8-bit channels
_SUPPORT = 2.0  # of the bicubic kernel, source pixels at scale 1


def resize_as_torchvision(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize uint8 [T,H,W,C] to [T,height,width,C] as torchvision's bicubic with antialiasing does.

    Source: torchvision.transforms.functional.resize on a uint8 tensor, which the official video path calls.
    """
    if images.shape[1:3] == (height, width):
        return images
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    tensor = F.interpolate(tensor, size=(height, width), mode="bicubic", antialias=True)
    tensor = tensor.clamp_(0, 255).round_().to(torch.uint8)
    return tensor.permute(0, 2, 3, 1).contiguous().numpy()


def resize_as_pillow(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize uint8 [H,W,C] to [height,width,C] as `PIL.Image.resize` with `BICUBIC` does, in releases up to 12."""
    if width != image.shape[1]:
        image = _resize_rows(image.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return _resize_rows(image, height) if height != image.shape[0] else image


def _resize_rows(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    sources, weights = _taps(image.shape[0], height)
    total = np.full((height, *image.shape[1:]), 1 << (_FRACTION_BITS - 1), dtype=np.int32)
    for tap in range(sources.shape[1]):
        total += image[sources[:, tap]].astype(np.int32) * weights[:, tap, None, None]
    return np.clip(total >> _FRACTION_BITS, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _taps(size_in: int, size_out: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Source rows [size_out,taps] of every row and their fixed-point weights; unused taps weigh 0."""
    scale = size_in / size_out
    stretch = max(scale, 1.0)
    support = _SUPPORT * stretch
    taps = math.ceil(support) * 2 + 1
    sources = np.zeros((size_out, taps), dtype=np.intp)
    weights = np.zeros((size_out, taps), dtype=np.int32)
    for row in range(size_out):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(size_in, int(centre + support + 0.5))
        values = [_bicubic((source - centre + 0.5) / stretch) for source in range(first, last)]
        total = sum(values)
        for tap, value in enumerate(values):
            share = value / total * (1 << _FRACTION_BITS)
            weights[row, tap] = int(share + math.copysign(0.5, share))
            sources[row, tap] = first + tap
    return sources, weights


def _bicubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0
