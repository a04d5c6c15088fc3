import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.model.resample import resize_as_pillow, resize_as_torchvision


def noise(height, width, seed=0):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (height, width, 3), dtype=np.uint8)


# (source size, target size) -> SHA-256 of the pixels that Pillow 12.0.0 gave.
PILLOW = {
    ((60, 80), (42, 56)): "6db36fd9c383a226169cbf54839669bb6f9ca35e4b730a49dd4b238809dc02d9",
    ((60, 80), (98, 126)): "4ea5b08b9a8ea2adc30053cb8c5bcbb14f39d4e021a1173c36cee9bf8788e389",
    ((37, 91), (84, 28)): "a94efb08e05b67eb0d190317751cb60eac55d6ed2f4263c31df836ca4ca3918f",
    ((50, 50), (50, 70)): "1dd0b0c1988199694e5ddd12494fadf8eba9129ed262e00381dd1c86c15f590a",
}


@pytest.mark.parametrize(("source", "target"), PILLOW)
def test_equal_to_pillow_bit_for_bit(source, target):
    pixels = resize_as_pillow(noise(*source), *target)
    assert pixels.shape == (*target, 3)
    assert hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest() == PILLOW[source, target]


@given(sizes=st.tuples(*[st.integers(1, 60)] * 4), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_equal_to_an_installed_pillow_at_any_size(sizes, seed):
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed; compared by checksum above")
    if int(image_module.__version__.split(".")[0]) >= 13:
        pytest.skip("Pillow 13 takes the columns first where that is quicker, which rounds otherwise")
    pixels = noise(*sizes[:2], seed)
    height, width = sizes[2:]
    expected = image_module.fromarray(pixels).resize((width, height), image_module.Resampling.BICUBIC)
    assert np.array_equal(resize_as_pillow(pixels, height, width), np.asarray(expected))


@pytest.mark.parametrize("resize", [resize_as_pillow, lambda i, h, w: resize_as_torchvision(i[None], h, w)[0]])
def test_a_flat_image_stays_flat_and_a_same_size_is_untouched(resize):
    flat = np.full((30, 40, 3), 200, dtype=np.uint8)
    assert (resize(flat, 56, 28) == 200).all()
    image = noise(30, 40)
    assert np.array_equal(resize(image, 30, 40), image)


def test_both_agree_to_a_level_where_nothing_is_clipped():
    image = noise(60, 80) // 2 + 64
    one, other = resize_as_pillow(image, 42, 56), resize_as_torchvision(image[None], 42, 56)[0]
    assert np.abs(one.astype(int) - other).max() == 1


def test_torchvision_style_keeps_frames_apart():
    frames = np.stack([noise(60, 80, seed) for seed in range(3)])
    together = resize_as_torchvision(frames, 84, 112)
    assert together.dtype == np.uint8 and together.shape == (3, 84, 112, 3)
    for frame, resized in zip(frames, together):
        assert np.array_equal(resize_as_torchvision(frame[None], 84, 112)[0], resized)
