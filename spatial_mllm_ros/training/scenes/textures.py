"""Procedural textures: every pattern of a generated room is computed here, none is a picture file.

A texture is uint8 [256,256,3] RGB and nearly white where the paint's colour shall show unchanged. Tiled ones repeat
seamlessly every `tile_m` metres; the others are stretched over the face that they are put on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ART", "RUGS", "SIZE", "TEXTURES", "Texture", "draw_texture"]

SIZE = 256
_Grey = NDArray[np.float64]


@dataclass(frozen=True)
class Texture:
    """A pattern: the function that draws it, and how many metres one tile measures (None: stretched over a face)."""

    draw: Callable[[np.random.Generator], NDArray]
    tile_m: float | None


def draw_texture(name: str) -> NDArray[np.uint8]:
    """Draw a texture: uint8 [256,256,3] RGB, the same on every call."""
    seed = list(TEXTURES).index(name)
    image = np.asarray(TEXTURES[name].draw(np.random.default_rng(seed)), np.float64)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, cells: float, stretch: float = 1.0, octaves: float = 1.0) -> _Grey:
    """Return tileable noise, mean 0 and deviation 1; about `cells` blobs across, `stretch` times longer along rows."""
    frequency = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(frequency[None, :] * stretch, frequency[:, None])
    low_pass = np.exp(-((radius / cells) ** 2) / 2) if octaves == 1 else 1 / (1 + (radius / cells) ** octaves)
    low_pass[0, 0] = 0
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIZE, SIZE))) * low_pass).real
    return field / field.std()


def _grid() -> tuple[_Grey, _Grey]:
    """Return u (along columns) and v (along rows), each in [0, 1)."""
    v, u = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return u, v


def _plaster(rng: np.random.Generator) -> _Grey:
    return 0.93 + 0.022 * _noise(rng, 60) + 0.02 * _noise(rng, 4)


def _concrete(rng: np.random.Generator) -> _Grey:
    return 0.85 + 0.035 * _noise(rng, 90) + 0.05 * _noise(rng, 5)


def _carpet(rng: np.random.Generator) -> _Grey:
    return 0.82 + 0.09 * _noise(rng, 100) + 0.03 * _noise(rng, 10)


def _wood(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    rings = np.sin(2 * np.pi * (9 * v + 0.22 * _noise(rng, 3, stretch=3)))
    return 0.83 + 0.06 * rings + 0.05 * _noise(rng, 60, stretch=14) + 0 * u


def _planks(rng: np.random.Generator) -> _Grey:
    rows, image = 8, np.empty((SIZE, SIZE))
    grain = 0.05 * _noise(rng, 70, stretch=16) + 0.03 * _noise(rng, 14, stretch=4)
    height = SIZE // rows
    for row in range(rows):
        shift = int(rng.integers(SIZE))
        tones = np.repeat(rng.uniform(0.72, 0.98, 2), SIZE // 2)
        band = np.tile(tones, (height, 1)) + np.roll(grain[row * height : (row + 1) * height], shift * 7 % SIZE, 1)
        band[:, [0, SIZE // 2]] *= 0.55
        band[0] *= 0.6
        image[row * height : (row + 1) * height] = np.roll(band, shift, axis=1)
    return image


def _basket(rng: np.random.Generator) -> _Grey:
    """Parquet of squares whose strips lie along and across in turn."""
    image, cell = np.empty((SIZE, SIZE)), SIZE // 4
    grain = 0.04 * _noise(rng, 70, stretch=14)
    for row in range(4):
        for column in range(4):
            tile = np.repeat(rng.uniform(0.72, 0.97, 4), cell // 4)[:, None] + grain[:cell, :cell]
            tile[:: cell // 4] *= 0.65
            tile[:, 0] *= 0.65
            tile = tile.T if (row + column) % 2 else tile
            image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = tile
    return image


def _tiles(rng: np.random.Generator) -> _Grey:
    image, cell = 0.02 * _noise(rng, 40), SIZE // 2
    for row in range(2):
        for column in range(2):
            image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] += rng.uniform(0.86, 0.97)
    for line in (0, 1, 2, cell, cell + 1, cell + 2):
        image[line] = image[:, line] = 0.6
    return image


def _checker(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    dark = ((u * 2).astype(int) + (v * 2).astype(int)) % 2
    return np.where(dark == 1, 0.5, 0.95) + 0.02 * _noise(rng, 30)


def _brick(rng: np.random.Generator) -> NDArray:
    rows, image = 8, np.empty((SIZE, SIZE, 3))
    height, width = SIZE // rows, SIZE // 4
    for row in range(rows):
        for column in range(4):
            tone = np.array([1.0, 0.93, 0.9]) * rng.uniform(0.7, 0.98)
            x = column * width + (width // 2 if row % 2 else 0)
            columns = np.arange(x, x + width) % SIZE
            image[row * height : (row + 1) * height, columns] = tone
            image[row * height : (row + 1) * height, columns[:3]] = 0.97
        image[row * height : row * height + 3] = 0.97
    return image + 0.03 * _noise(rng, 70)[..., None]


def _stripes(rng: np.random.Generator) -> _Grey:
    u, _ = _grid()
    return np.where((u * 8).astype(int) % 2 == 1, 0.84, 0.97) + 0.01 * _noise(rng, 50)


def _pinstripe(rng: np.random.Generator) -> _Grey:
    u, _ = _grid()
    return np.where((u * 16) % 1 < 0.12, 0.78, 0.96) + 0.01 * _noise(rng, 50)


def _motif(rng: np.random.Generator) -> _Grey:
    """Wallpaper with a small four-petalled figure on a diagonal grid."""
    u, v = _grid()
    petals = np.zeros((SIZE, SIZE))
    for shift in (0.0, 0.5):
        x, y = ((u * 4 + shift) % 1 - 0.5), ((v * 4 + shift) % 1 - 0.5)
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        petals = np.maximum(petals, (radius < 0.10 + 0.12 * np.abs(np.cos(2 * angle))).astype(float))
    return 0.96 - 0.14 * cv2.GaussianBlur(petals, (3, 3), 0) + 0.01 * _noise(rng, 50)


def _weave(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    threads = np.sin(2 * np.pi * 48 * u) * np.sin(2 * np.pi * 48 * v)
    return 0.86 + 0.06 * threads + 0.05 * _noise(rng, 24)


def _plaid(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    bands = np.where((u * 4) % 1 < 0.35, 0.8, 1.0) * np.where((v * 4) % 1 < 0.35, 0.8, 1.0)
    lines = np.where(((u * 4) % 1 > 0.62) & ((u * 4) % 1 < 0.67), 0.7, 1.0)
    lines *= np.where(((v * 4) % 1 > 0.62) & ((v * 4) % 1 < 0.67), 0.7, 1.0)
    return bands * lines * 0.97 + 0.02 * _noise(rng, 90)


def _leather(rng: np.random.Generator) -> _Grey:
    return 0.86 + 0.05 * np.tanh(_noise(rng, 34)) + 0.03 * _noise(rng, 5)


def _quilt(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    seams = np.minimum(np.abs((u * 5 + v * 5) % 1 - 0.5), np.abs((u * 5 - v * 5) % 1 - 0.5))
    return 0.78 + 0.2 * np.sqrt(np.clip(seams * 2.4, 0, 1)) + 0.015 * _noise(rng, 60)


def _dots(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    spot = np.zeros((SIZE, SIZE))
    for shift in (0.0, 0.5):
        spot = np.maximum(spot, np.hypot((u * 5 + shift) % 1 - 0.5, (v * 5 + shift) % 1 - 0.5) < 0.17)
    return 0.95 - 0.3 * cv2.GaussianBlur(spot.astype(float), (3, 3), 0) + 0.01 * _noise(rng, 60)


def _marble(rng: np.random.Generator) -> _Grey:
    veins = np.abs(_noise(rng, 5, octaves=2.4))
    return 0.96 - 0.22 * np.exp(-((veins / 0.12) ** 2)) + 0.02 * _noise(rng, 6)


def _brushed(rng: np.random.Generator) -> _Grey:
    return 0.88 + 0.045 * _noise(rng, 110, stretch=30)


def _slats(rng: np.random.Generator) -> _Grey:
    _, v = _grid()
    return np.where((v * 10) % 1 < 0.12, 0.5, 0.92) + 0.03 * _noise(rng, 60, stretch=14)


def _wicker(rng: np.random.Generator) -> _Grey:
    u, v = _grid()
    over = ((u * 12).astype(int) + (v * 12).astype(int)) % 2
    bulge = np.where(over == 1, np.sin(np.pi * ((u * 12) % 1)), np.sin(np.pi * ((v * 12) % 1)))
    return 0.55 + 0.4 * bulge + 0.03 * _noise(rng, 90)


def _books(rng: np.random.Generator) -> NDArray:
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


def _sky(rng: np.random.Generator) -> NDArray:
    """What a window shows: sky with clouds over trees."""
    _, v = _grid()
    image = (1 - v[..., None]) * np.array([0.45, 0.68, 0.95]) + v[..., None] * np.array([0.9, 0.96, 1.0])
    clouds = np.clip(_noise(rng, 6, stretch=0.5) * 0.5, 0, 1)[..., None]
    image = image * (1 - clouds) + clouds
    edge = 0.72 + 0.05 * _noise(rng, 6)[0][None, :] + 0.012 * _noise(rng, 30)[0][None, :]
    trees = np.array([0.25, 0.45, 0.2]) * (1 + 0.25 * _noise(rng, 30)[..., None])
    return np.where((v > edge)[..., None], trees, image)


def _screen(rng: np.random.Generator) -> NDArray:
    """A television that shows a landscape."""
    u, v = _grid()
    image = (1 - v[..., None]) * np.array([0.08, 0.16, 0.42]) + v[..., None] * np.array([0.98, 0.55, 0.25])
    image[np.hypot(u - 0.66, v - 0.5) < 0.09] = (1.0, 0.95, 0.7)
    for level, colour in ((0.58, (0.28, 0.2, 0.36)), (0.74, (0.12, 0.12, 0.22))):
        ridge = level + 0.05 * _noise(rng, 3)[0][None, :] + 0.01 * _noise(rng, 20)[0][None, :]
        image[v > ridge] = colour
    return image


def _landscape(rng: np.random.Generator) -> NDArray:
    _, v = _grid()
    image = (1 - v[..., None]) * np.array([0.95, 0.8, 0.55]) + v[..., None] * np.array([0.98, 0.93, 0.8])
    for level, colour in ((0.4, (0.55, 0.62, 0.7)), (0.55, (0.35, 0.5, 0.45)), (0.75, (0.3, 0.38, 0.2))):
        image[v > level + 0.06 * _noise(rng, 3)[0][None, :]] = colour
    return _framed(image)


def _abstract(rng: np.random.Generator) -> NDArray:
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


def _stripe_art(rng: np.random.Generator) -> NDArray:
    u, v = _grid()
    band = ((u + 0.6 * v + 0.04 * _noise(rng, 3)) * 7).astype(int) % 4
    palette = np.array([(0.1, 0.25, 0.4), (0.9, 0.75, 0.4), (0.85, 0.35, 0.25), (0.95, 0.92, 0.85)])
    return _framed(palette[band])


def _portrait(rng: np.random.Generator) -> NDArray:
    """A vase of flowers."""
    image = np.full((SIZE, SIZE, 3), (0.75, 0.82, 0.8)) + 0.02 * _noise(rng, 10)[..., None]
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


def _rug_bands(rng: np.random.Generator) -> NDArray:
    u, v = _grid()
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    image = np.full((SIZE, SIZE, 3), 0.95)
    for low, high, tone in ((0.0, 0.03, 0.55), (0.06, 0.12, 0.6), (0.15, 0.17, 0.7)):
        image[(edge >= low) & (edge < high)] = tone
    diamonds = (np.abs((u * 5) % 1 - 0.5) + np.abs((v * 5) % 1 - 0.5) < 0.3) & (edge > 0.2)
    image[diamonds] = (0.62, 0.7, 0.78)
    return image + 0.05 * _noise(rng, 100)[..., None]


def _rug_rings(rng: np.random.Generator) -> NDArray:
    u, v = _grid()
    ring = (np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)) * 12).astype(int)
    palette = np.array([(1.0, 1, 1), (0.7, 0.72, 0.78), (0.95, 0.9, 0.8)])
    return palette[ring % 3] + 0.05 * _noise(rng, 100)[..., None]


TEXTURES: dict[str, Texture] = {
    "plaster": Texture(_plaster, 1.6),
    "concrete": Texture(_concrete, 1.8),
    "stripes": Texture(_stripes, 0.9),
    "pinstripe": Texture(_pinstripe, 1.2),
    "motif": Texture(_motif, 0.9),
    "brick": Texture(_brick, 0.9),
    "carpet": Texture(_carpet, 0.8),
    "planks": Texture(_planks, 1.3),
    "basket": Texture(_basket, 1.0),
    "tiles": Texture(_tiles, 0.8),
    "checker": Texture(_checker, 0.9),
    "marble": Texture(_marble, 1.2),
    "wood": Texture(_wood, 0.7),
    "slats": Texture(_slats, 0.6),
    "weave": Texture(_weave, 0.5),
    "plaid": Texture(_plaid, 0.45),
    "leather": Texture(_leather, 0.5),
    "quilt": Texture(_quilt, 0.8),
    "dots": Texture(_dots, 0.5),
    "brushed": Texture(_brushed, 0.8),
    "wicker": Texture(_wicker, 0.4),
    "books": Texture(_books, None),
    "sky": Texture(_sky, None),
    "screen": Texture(_screen, None),
    "landscape": Texture(_landscape, None),
    "abstract": Texture(_abstract, None),
    "stripe_art": Texture(_stripe_art, None),
    "portrait": Texture(_portrait, None),
    "rug_bands": Texture(_rug_bands, None),
    "rug_rings": Texture(_rug_rings, None),
}
ART = ("landscape", "abstract", "stripe_art", "portrait")
RUGS = ("rug_bands", "rug_rings", "plaid", "dots")
