"""Procedural textures: every pattern of a generated room is computed here, none is a picture file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes import patterns, pictures

__all__ = ["TEXTURES", "Texture", "draw_texture"]


@dataclass(frozen=True)
class Texture:
    """A pattern: the function that draws it, and how many metres one tile measures (None: stretched over a face)."""

    draw: Callable[[np.random.Generator], NDArray]
    tile_m: float | None


TEXTURES: dict[str, Texture] = {
    "plaster": Texture(patterns.plaster, 1.6),
    "concrete": Texture(patterns.concrete, 1.8),
    "stripes": Texture(patterns.stripes, 0.9),
    "pinstripe": Texture(patterns.pinstripe, 1.2),
    "motif": Texture(patterns.motif, 0.9),
    "brick": Texture(patterns.brick, 0.9),
    "carpet": Texture(patterns.carpet, 0.8),
    "planks": Texture(patterns.planks, 1.3),
    "basket": Texture(patterns.basket, 1.0),
    "tiles": Texture(patterns.tiles, 0.8),
    "checker": Texture(patterns.checker, 0.9),
    "marble": Texture(patterns.marble, 1.2),
    "wood": Texture(patterns.wood, 0.7),
    "slats": Texture(patterns.slats, 0.6),
    "weave": Texture(patterns.weave, 0.5),
    "plaid": Texture(patterns.plaid, 0.45),
    "leather": Texture(patterns.leather, 0.5),
    "quilt": Texture(patterns.quilt, 0.8),
    "dots": Texture(patterns.dots, 0.5),
    "brushed": Texture(patterns.brushed, 0.8),
    "wicker": Texture(patterns.wicker, 0.4),
    "books": Texture(pictures.books, None),
    "sky": Texture(pictures.sky, None),
    "screen": Texture(pictures.screen, None),
    "landscape": Texture(pictures.landscape, None),
    "abstract": Texture(pictures.abstract, None),
    "stripe_art": Texture(pictures.stripe_art, None),
    "portrait": Texture(pictures.portrait, None),
    "rug_bands": Texture(pictures.rug_bands, None),
    "rug_rings": Texture(pictures.rug_rings, None),
    "contact": Texture(pictures.contact, None),
    "crease": Texture(pictures.crease, None),
}


def draw_texture(name: str) -> NDArray[np.uint8]:
    """Draw a texture: uint8 [256,256,3] RGB, or [256,256,4] with opacity; the same on every call."""
    image = np.asarray(TEXTURES[name].draw(np.random.default_rng(list(TEXTURES).index(name))), np.float64)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.clip(image * 255, 0, 255).astype(np.uint8)
