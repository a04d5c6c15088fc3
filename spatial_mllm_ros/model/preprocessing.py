"""From camera images to what the encoders take, as the official code prepares a video.

Frames are resized to sides that are multiples of 28 pixels within bounds on their area. The 2D encoder gets them
normalised and cut into patches, two frames to a patch; the spatial encoder gets the same pixels as RGB in [0, 1].
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.config import ModelConfig
from spatial_mllm_ros.model.resample import resize_as_pillow, resize_as_torchvision

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "VisualInputs",
    "frame_size",
    "geometry_frames",
    "patches_from",
    "processor_patches",
    "visual_inputs",
]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, RGB; Qwen2.5-VL's preprocessor
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_MAX_ASPECT = 200
_MERGE = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class VisualInputs:
    """Frames as the encoders take them.

    Attributes:
        pixel_values: float32 [N,1176], for the 2D encoder, in processor order.
        grid_thw: frame pairs, patch rows and patch columns; N is their product.
        video: float32 [T,3,H,W], RGB in [0, 1], for the spatial encoder.
    """

    pixel_values: Tensor
    grid_thw: tuple[int, int, int]
    video: Tensor


def frame_size(height: int, width: int, *, min_pixels: int, max_pixels: int, factor: int = 28) -> tuple[int, int]:
    """Choose the size to which a frame is resized.

    Both sides become multiples of `factor`, the area lies within the bounds, the aspect is kept as nearly as that
    allows. With the defaults of a release 480 x 640 becomes 476 x 644.

    Returns:
        height and width, pixels.

    Raises:
        InputError: if the aspect is beyond 200 : 1.

    Source: `smart_resize` of Qwen's video preprocessing, which does not refuse sides below `factor` either.
    """
    if min(height, width) < 1 or max(height, width) > _MAX_ASPECT * min(height, width):
        raise InputError(f"a frame of {height} x {width} pixels is too long and thin (limit {_MAX_ASPECT} : 1)")
    new_height = max(factor, round(height / factor) * factor)
    new_width = max(factor, round(width / factor) * factor)
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def visual_inputs(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], config: ModelConfig) -> VisualInputs:
    """Prepare the frames of one video for both encoders.

    Args:
        images: uint8 RGB, an even number of [H,W,3] of one size, in the order of time.
        config: gives patch size and bounds for the area.

    Raises:
        InputError: if there is no image, the number is odd (the official processor repeats the last frame for the 2D
            encoder alone, and its connector then fails), or sizes or dtypes differ.
    """
    frames = _stack(images)
    pair = config.vision.temporal_patch_size
    if len(frames) % pair:
        raise InputError(f"frames are merged {pair} by {pair}, so {len(frames)} cannot be used; drop or repeat one")
    height, width = frame_size(
        *frames.shape[1:3],
        min_pixels=config.min_pixels,
        max_pixels=config.max_pixels,
        factor=config.vision.patch_size * config.vision.spatial_merge_size,
    )
    frames = resize_as_torchvision(frames, height, width)
    pixel_values, grid = patches_from(frames, patch_size=config.vision.patch_size)
    video = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    return VisualInputs(pixel_values=pixel_values, grid_thw=grid, video=video)


def processor_patches(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], *, min_pixels: int, max_pixels: int, patch_size: int = 14
) -> tuple[Tensor, tuple[int, int, int]]:
    """Do what Qwen2.5-VL's own processor does with a video: resize as Pillow does, repeat an odd last frame.

    Returns:
        pixel_values float32 [N,1176] and the grid (t, h, w).
    """
    frames = _stack(images)
    height, width = frame_size(
        *frames.shape[1:3], min_pixels=min_pixels, max_pixels=max_pixels, factor=patch_size * _MERGE
    )
    resized = [resize_as_pillow(frame, height, width) for frame in frames]
    return patches_from(np.stack(resized + resized[-1:] * (len(resized) % 2)), patch_size=patch_size)


def patches_from(frames: NDArray[np.uint8], *, patch_size: int = 14) -> tuple[Tensor, tuple[int, int, int]]:
    """Normalise frames and cut them into patches of two frames.

    Args:
        frames: uint8 [T,H,W,3], T even, H and W multiples of twice the patch size.

    Returns:
        pixel_values float32 [N,1176], N = T/2 * H/14 * W/14; and the grid (T/2, H/14, W/14).

    Convention: rows are ordered by pair, then by square of 2 x 2 patches, then by patch in the square; the values of a
    row by channel, frame, pixel row, pixel column.
    """
    pairs, rows, columns = len(frames) // 2, frames.shape[1] // patch_size, frames.shape[2] // patch_size
    table = torch.from_numpy(_normalisation())
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).long()
    values = torch.stack([table[channel][pixels[..., channel]] for channel in range(3)])  # [3,T,H,W]
    blocks = values.reshape(
        3, pairs, 2, rows // _MERGE, _MERGE, patch_size, columns // _MERGE, _MERGE, patch_size
    )  # channel, pair, frame, square row, patch row, y, square column, patch column, x
    return blocks.permute(1, 3, 6, 4, 7, 0, 2, 5, 8).reshape(pairs * rows * columns, -1), (pairs, rows, columns)


def geometry_frames(
    images: Sequence[NDArray[np.uint8]], *, width: int = 518, patch_size: int = 14
) -> NDArray[np.uint8]:
    """Prepare images for VGGT as the official frame sampling does.

    Args:
        images: uint8 [H,W,3], or [H,W,4] with an alpha channel, which is laid over white. Sizes may differ.
        width: of the result, pixels; the height follows in multiples of the patch size.

    Returns:
        uint8 [T,H',width,3]. Portrait images are turned clockwise by 90 degrees; smaller ones are centred on white.
    """
    frames = []
    for image in images:
        _check_image(image, channels=(3, 4))
        image = _over_white(image) if image.shape[2] == 4 else image
        if image.shape[0] > image.shape[1]:
            image = np.rot90(image, k=-1)
        height = max(1, round(image.shape[0] * (width / image.shape[1]) / patch_size)) * patch_size
        frames.append(resize_as_pillow(image, height, width))
    tallest = max((len(frame) for frame in frames), default=0)
    if not frames:
        raise InputError("there is no image")
    return np.stack([_centred(frame, tallest) for frame in frames])


def _stack(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if len(images) == 0:
        raise InputError("there is no image")
    for image in images:
        _check_image(image, channels=(3,))
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1:
        raise InputError(f"the frames of one video must have one size, not {' and '.join(map(str, sizes))}")
    return np.stack([np.asarray(image) for image in images])


def _check_image(image: NDArray[np.uint8], *, channels: tuple[int, ...]) -> None:
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image must be a uint8 RGB array [H,W,3], not {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in channels:
        found = f"{image.dtype} {list(image.shape)}"
        raise InputError(f"an image must be uint8 RGB [H,W,3], not {found}")
    if 0 in image.shape:
        raise InputError(f"an image must not be empty, but its shape is {list(image.shape)}")


@functools.lru_cache(maxsize=1)
def _normalisation() -> NDArray[np.float32]:
    """What each of the 256 levels becomes, [3,256]; the arithmetic and its dtypes are the processor's."""
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, std = np.array(CLIP_MEAN, dtype=np.float32), np.array(CLIP_STD, dtype=np.float32)
    return (scaled - mean[:, None]) / std[:, None]


def _over_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay RGBA over white, with Pillow's rounding."""
    colour, alpha = image[..., :3].astype(np.int64), image[..., 3:].astype(np.int64)
    mixed = (colour * alpha + 255 * (255 - alpha) + 128) * 128
    return ((((mixed >> 8) + mixed) >> 8) >> 7).astype(np.uint8)


def _centred(frame: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    spare = height - len(frame)
    return np.pad(frame, ((spare // 2, spare - spare // 2), (0, 0), (0, 0)), constant_values=255)
