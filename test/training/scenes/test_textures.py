"""Textures are computed, the same each time, and light enough for the paint's colour to show."""

import numpy as np
import pytest

from spatial_mllm_ros.training.scenes.textures import TEXTURES, draw_texture


@pytest.mark.parametrize("name", TEXTURES)
def test_texture_is_drawn_and_the_same_each_time(name):
    image = draw_texture(name)
    assert image.dtype == np.uint8 and image.shape[:2] == (256, 256) and image.shape[2] in (3, 4)
    assert np.array_equal(image, draw_texture(name))
    assert image.std() > 1


@pytest.mark.parametrize("name", [name for name, texture in TEXTURES.items() if texture.tile_m])
def test_tiled_texture_is_light(name):
    assert draw_texture(name).mean() > 150


@pytest.mark.parametrize("name", ["plaster", "carpet", "wood", "leather", "weave", "concrete"])
def test_tile_has_no_seam(name):
    image = draw_texture(name).astype(float)
    inside = np.abs(np.diff(image, axis=0)).mean()
    assert np.abs(image[0] - image[-1]).mean() < 2.5 * inside + 1


@pytest.mark.parametrize("name", ["contact", "crease"])
def test_soft_shadow_has_clear_borders_where_it_is_not_hidden(name):
    opacity = draw_texture(name)[..., 3]
    assert opacity[0].max() <= 2 and opacity.max() > 60
