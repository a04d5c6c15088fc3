"""Pictures that are stretched over one face: books, paintings, a screen, the view from a window, rugs, soft shadows.

All take a random generator and return values in about [0, 1], float64 [256,256,3], or [256,256,4] with opacity.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.training.scenes.patterns import SIZE, grid, noise


def books(rng: np.random.Generator) -> NDArray:
    """A row of book backs of many colours, heights and thicknesses."""
    image = np.full((SIZE, SIZE, 3), 0.08)
    x = 0
    while x < SIZE - 6:
        width = int(rng.integers(9, 26))
        top = int(rng.integers(0, SIZE // 3))
        colour = np.clip(_hue(rng.random(), rng.uniform(0.25, 0.8), rng.uniform(0.35, 0.9)), 0, 1)
        image[top:, x : x + width - 1] = colour
        for y in (0.2, 0.75):
            row = int(top + (SIZE - top) * y)
            image[row : row + 5, x : x + width - 1] = np.clip(colour * 1.5 + 0.1, 0, 1)
        x += width
    return image


def _hue(hue: float, saturation: float, value: float) -> NDArray:
    swatch = np.array([[[hue * 360, saturation, value]]], np.float32)
    return cv2.cvtColor(swatch, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def sky(rng: np.random.Generator) -> NDArray:
    """What a window shows: sky with clouds over trees."""
    _, v = grid()
    image = (1 - v[..., None]) * np.array([0.45, 0.68, 0.95]) + v[..., None] * np.array([0.9, 0.96, 1.0])
    clouds = np.clip(noise(rng, 6, stretch=0.5) * 0.5, 0, 1)[..., None]
    image = image * (1 - clouds) + clouds
    edge = 0.72 + 0.05 * noise(rng, 6)[0][None, :] + 0.012 * noise(rng, 30)[0][None, :]
    trees = np.array([0.27, 0.45, 0.22]) * (1 + 0.13 * noise(rng, 14)[..., None])
    return np.where((v > edge)[..., None], trees, image)


def screen(rng: np.random.Generator) -> NDArray:
    """A television that shows a landscape."""
    u, v = grid()
    image = (1 - v[..., None]) * np.array([0.08, 0.16, 0.42]) + v[..., None] * np.array([0.98, 0.55, 0.25])
    image[np.hypot(u - 0.66, v - 0.5) < 0.09] = (1.0, 0.95, 0.7)
    for level, colour in ((0.58, (0.28, 0.2, 0.36)), (0.74, (0.12, 0.12, 0.22))):
        ridge = level + 0.05 * noise(rng, 3)[0][None, :] + 0.01 * noise(rng, 20)[0][None, :]
        image[v > ridge] = colour
    return image


def landscape(rng: np.random.Generator) -> NDArray:
    _, v = grid()
    image = (1 - v[..., None]) * np.array([0.95, 0.8, 0.55]) + v[..., None] * np.array([0.98, 0.93, 0.8])
    for level, colour in ((0.4, (0.55, 0.62, 0.7)), (0.55, (0.35, 0.5, 0.45)), (0.75, (0.3, 0.38, 0.2))):
        image[v > level + 0.06 * noise(rng, 3)[0][None, :]] = colour
    return _framed(image)


def abstract(rng: np.random.Generator) -> NDArray:
    image = np.full((SIZE, SIZE, 3), 0.93)
    for hue in (0.0, 0.12, 0.58, 0.97, 0.45):
        centre = tuple(int(c) for c in rng.integers(50, SIZE - 50, 2))
        colour = tuple(float(c) for c in _hue(hue, 0.75, 0.85))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(25, 60)), colour, -1, cv2.LINE_AA)
        else:
            angle, size = float(rng.uniform(0, 90)), tuple(float(s) for s in rng.uniform(40, 110, 2))
            corners = cv2.boxPoints((tuple(map(float, centre)), size, angle)).astype(np.int32)
            cv2.fillPoly(image, [corners], colour, cv2.LINE_AA)
    return _framed(image)


def stripe_art(rng: np.random.Generator) -> NDArray:
    u, v = grid()
    band = ((u + 0.6 * v + 0.04 * noise(rng, 3)) * 7).astype(int) % 4
    palette = np.array([(0.1, 0.25, 0.4), (0.9, 0.75, 0.4), (0.85, 0.35, 0.25), (0.95, 0.92, 0.85)])
    return _framed(palette[band])


def portrait(rng: np.random.Generator) -> NDArray:
    """A vase of flowers."""
    image = np.full((SIZE, SIZE, 3), (0.75, 0.82, 0.8)) + 0.02 * noise(rng, 10)[..., None]
    cv2.ellipse(image, (128, 190), (34, 48), 0, 0, 360, (0.25, 0.35, 0.6), -1, cv2.LINE_AA)
    for _ in range(16):
        x, y = (int(c) for c in rng.normal((128, 92), (34, 26)))
        cv2.line(image, (128, 160), (x, y), (0.2, 0.45, 0.2), 3, cv2.LINE_AA)
        radius = int(rng.integers(9, 18))
        petals = tuple(map(float, _hue(rng.uniform(-0.1, 0.15) % 1, 0.7, 0.95)))
        cv2.circle(image, (x, y), radius, petals, -1)
        cv2.circle(image, (x, y), 4, (0.98, 0.9, 0.4), -1, cv2.LINE_AA)
    return _framed(image)


def _framed(image: NDArray) -> NDArray:
    """Put a white mount and a dark frame around a picture."""
    image = np.clip(np.array(image, np.float64), 0, 1)
    for width, tone in ((30, 0.96), (12, 0.16)):
        image[:width] = image[-width:] = tone
        image[:, :width] = image[:, -width:] = tone
    return image


def rug_bands(rng: np.random.Generator) -> NDArray:
    u, v = grid()
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    image = np.full((SIZE, SIZE, 3), 0.95)
    for low, high, tone in ((0.0, 0.03, 0.55), (0.06, 0.12, 0.6), (0.15, 0.17, 0.7)):
        image[(edge >= low) & (edge < high)] = tone
    diamonds = (np.abs((u * 5) % 1 - 0.5) + np.abs((v * 5) % 1 - 0.5) < 0.3) & (edge > 0.2)
    image[diamonds] = (0.62, 0.7, 0.78)
    return image + 0.05 * noise(rng, 100)[..., None]


def rug_rings(rng: np.random.Generator) -> NDArray:
    u, v = grid()
    ring = (np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)) * 12).astype(int)
    palette = np.array([(1.0, 1, 1), (0.7, 0.72, 0.78), (0.95, 0.9, 0.8)])
    return palette[ring % 3] + 0.05 * noise(rng, 100)[..., None]


def contact(_: np.random.Generator) -> NDArray:
    """What furniture keeps dark around its foot: opaque inside, fading out to the border."""
    u, v = grid()
    outside = np.hypot(np.clip(np.abs(2 * u - 1) - 0.5, 0, None), np.clip(np.abs(2 * v - 1) - 0.5, 0, None)) / 0.5
    return _shade(np.clip(1 - outside, 0, 1) ** 1.6 * 0.5)


def crease(_: np.random.Generator) -> NDArray:
    """What two surfaces keep dark where they meet, at 85 % of the way down; below that it vanishes, out of sight.

    Both ends are clear, since textures repeat and filtering brings one end to the other.
    """
    _, v = grid()
    return _shade(np.where(v < 0.85, (v / 0.85) ** 3, np.clip((0.97 - v) / 0.12, 0, 1)) * 0.34)


def _shade(opacity: NDArray) -> NDArray:
    return np.concatenate([np.full((SIZE, SIZE, 3), 0.03), opacity[..., None]], axis=2)
