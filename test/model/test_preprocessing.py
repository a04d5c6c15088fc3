import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.preprocessing import (
    frame_size,
    geometry_frames,
    patches_from,
    processor_patches,
    visual_inputs,
)

INFERENCE = {"min_pixels": 128 * 28 * 28, "max_pixels": 768 * 28 * 28}
TRAINING = {"min_pixels": 293_216, "max_pixels": 324_576}


def images(count, height=84, width=112, seed=0):
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


# Given by the official video path (qwen_vl_utils 0.0.14) for frames of these sizes.
@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 640, (476, 644)),
        (1440, 1920, (672, 896)),
        (720, 1280, (560, 1008)),
        (968, 1296, (644, 896)),
        (1920, 1440, (896, 672)),
        (256, 256, (336, 336)),
        (100, 150, (280, 392)),
        (28, 28, (336, 336)),
        (2160, 3840, (560, 1008)),
        (504, 616, (504, 616)),
    ],
)
def test_sizes_are_those_of_the_official_video_path(height, width, expected):
    assert frame_size(height, width, **INFERENCE) == expected


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(480, 640, (476, 644)), (720, 1280, (420, 756)), (1080, 1920, (420, 756)), (240, 320, (476, 644))],
)
def test_sizes_within_the_bounds_of_training(height, width, expected):
    assert frame_size(height, width, **TRAINING) == expected


@given(height=st.integers(1, 4000), aspect=st.floats(0.1, 10))
def test_sides_are_whole_tokens_and_the_area_stays_in_bounds(height, aspect):
    width = max(1, int(height * aspect))
    if max(height, width) > 200 * min(height, width):
        return
    new_height, new_width = frame_size(height, width, **INFERENCE)
    assert new_height % 28 == 0 and new_width % 28 == 0
    assert INFERENCE["min_pixels"] <= new_height * new_width <= INFERENCE["max_pixels"]


def test_a_frame_like_a_thread_is_refused():
    with pytest.raises(InputError, match="too long and thin"):
        frame_size(10, 2001, **INFERENCE)


def test_one_patch_by_hand():
    """The first row is the upper left patch of the first pair: channel, then frame, then pixels."""
    frames = images(2, 28, 28)
    values, grid = patches_from(frames)
    assert grid == (1, 2, 2) and values.shape == (4, 1176)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    expected = (frames[:, :14, :14] / 255 - mean) / std  # [2,14,14,3]
    np.testing.assert_allclose(values[0].numpy(), expected.transpose(3, 0, 1, 2).ravel(), atol=1e-6)
    second = (frames[:, :14, 14:] / 255 - mean) / std
    np.testing.assert_allclose(values[1].numpy(), second.transpose(3, 0, 1, 2).ravel(), atol=1e-6)


def test_squares_of_patches_come_before_rows():
    """With 4 x 4 patches the fifth row is the first patch of the second square, at patch column 2."""
    frames = images(2, 56, 56)
    values, grid = patches_from(frames)
    alone, _ = patches_from(frames[:, :28, 28:])
    assert grid == (1, 4, 4)
    assert torch.equal(values[4:8], alone)


def test_both_encoders_get_the_same_pixels(golden_model):
    config = dataclasses.replace(golden_model.config, min_pixels=84 * 84, max_pixels=84 * 112)
    inputs = visual_inputs(images(4, 60, 80), config)
    assert inputs.grid_thw == (2, 6, 8)
    assert inputs.pixel_values.shape == (96, 1176) and inputs.pixel_values.dtype == torch.float32
    assert inputs.video.shape == (4, 3, 84, 112)
    frames = (inputs.video * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert torch.equal(patches_from(frames)[0], inputs.pixel_values)


def test_frames_of_the_right_size_are_not_resampled(golden_model):
    config = dataclasses.replace(golden_model.config, min_pixels=84 * 84, max_pixels=84 * 112)
    frames = images(2)
    assert torch.equal(visual_inputs(frames, config).video, torch.from_numpy(frames).permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "there is no image"),
        (images(3), "so 3 cannot be used; drop or repeat one"),
        ([*images(1), *images(1, 56, 84)], r"must have one size, not \(56, 84\) and \(84, 112\)"),
        (images(2).astype(np.float32), r"must be uint8 RGB \[H,W,3\], not float32"),
        (images(2)[..., 0], r"not uint8 \[84, 112\]"),
        (np.zeros((2, 84, 112, 4), dtype=np.uint8), r"not uint8 \[84, 112, 4\]"),
        ([[1, 2], [3, 4]], "must be a uint8 RGB array .* not list"),
        (np.zeros((2, 0, 5, 3), dtype=np.uint8), "must not be empty"),
    ],
)
def test_what_cannot_be_prepared_is_refused(golden_model, given, message):
    with pytest.raises(InputError, match=message):
        visual_inputs(given, golden_model.config)


def test_the_processor_repeats_an_odd_last_frame():
    frames = images(3, 100, 150)
    odd, grid = processor_patches(frames, min_pixels=3136, max_pixels=12_845_056)
    even, _ = processor_patches([*frames, frames[2]], min_pixels=3136, max_pixels=12_845_056)
    assert grid == (2, 8, 10)
    assert torch.equal(odd, even)



def test_geometry_frames_of_a_landscape_image():
    """518 wide, and a height in multiples of 14: 120 x 160 becomes 392 x 518."""
    assert geometry_frames(list(images(2, 120, 160))).shape == (2, 392, 518, 3)


def test_geometry_frames_turn_portraits_clockwise():
    portrait = images(1, 160, 120)[0]
    turned = np.rot90(portrait, k=-1)
    assert np.array_equal(geometry_frames([portrait]), geometry_frames([turned]))


def test_geometry_frames_centre_smaller_images_on_white():
    frames = geometry_frames([images(1, 120, 160)[0], np.zeros((90, 160, 3), dtype=np.uint8)])
    assert frames.shape == (2, 392, 518, 3)
    assert (frames[1, :49] == 255).all() and (frames[1, 49:343] == 0).all() and (frames[1, 343:] == 255).all()


def test_transparency_is_laid_over_white():
    rgba = np.zeros((28, 28, 4), dtype=np.uint8)
    rgba[..., 0], rgba[:14, :, 3], rgba[14:, :, 3] = 100, 255, 0
    frames = geometry_frames([rgba], width=28)
    assert frames[0, 2, 0].tolist() == [100, 0, 0]
    assert frames[0, -3, 0].tolist() == [255, 255, 255]


def test_geometry_needs_an_image():
    with pytest.raises(InputError, match="there is no image"):
        geometry_frames([])
