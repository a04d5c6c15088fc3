"""Tiled patterns for walls, floors and furniture: each function draws one seamless tile.

All take a random generator and return values in about [0, 1], float64 [256,256] or [256,256,3], nearly white where the
paint's colour shall show unchanged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 256  # pixels along a texture's edge
Grey = NDArray[np.float64]


def noise(rng: np.random.Generator, cells: float, stretch: float = 1.0, octaves: float = 1.0) -> Grey:
    """Return tileable noise, mean 0 and deviation 1; about `cells` blobs across, `stretch` times longer along rows."""
    frequency = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(frequency[None, :] * stretch, frequency[:, None])
    low_pass = np.exp(-((radius / cells) ** 2) / 2) if octaves == 1 else 1 / (1 + (radius / cells) ** octaves)
    low_pass[0, 0] = 0
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIZE, SIZE))) * low_pass).real
    return field / field.std()


def grid() -> tuple[Grey, Grey]:
    """Return u (along columns) and v (along rows), each in [0, 1)."""
    v, u = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return u, v


def plaster(rng: np.random.Generator) -> Grey:
    return 0.94 + 0.01 * noise(rng, 60) + 0.02 * noise(rng, 4)


def concrete(rng: np.random.Generator) -> Grey:
    return 0.85 + 0.035 * noise(rng, 90) + 0.05 * noise(rng, 5)


def carpet(rng: np.random.Generator) -> Grey:
    return 0.84 + 0.055 * noise(rng, 70) + 0.03 * noise(rng, 10)


def wood(rng: np.random.Generator) -> Grey:
    u, v = grid()
    rings = np.sin(2 * np.pi * (9 * v + 0.22 * noise(rng, 3, stretch=3)))
    return 0.83 + 0.06 * rings + 0.05 * noise(rng, 60, stretch=14) + 0 * u


def planks(rng: np.random.Generator) -> Grey:
    rows, image = 8, np.empty((SIZE, SIZE))
    grain = 0.05 * noise(rng, 70, stretch=16) + 0.03 * noise(rng, 14, stretch=4)
    height = SIZE // rows
    for row in range(rows):
        shift = int(rng.integers(SIZE))
        tones = np.repeat(rng.uniform(0.72, 0.98, 2), SIZE // 2)
        band = np.tile(tones, (height, 1)) + np.roll(grain[row * height : (row + 1) * height], shift * 7 % SIZE, 1)
        band[:, [0, SIZE // 2]] *= 0.55
        band[0] *= 0.6
        image[row * height : (row + 1) * height] = np.roll(band, shift, axis=1)
    return image


def basket(rng: np.random.Generator) -> Grey:
    """Parquet of squares whose strips lie along and across in turn."""
    image, cell = np.empty((SIZE, SIZE)), SIZE // 4
    grain = 0.04 * noise(rng, 70, stretch=14)
    for row in range(4):
        for column in range(4):
            tile = np.repeat(rng.uniform(0.72, 0.97, 4), cell // 4)[:, None] + grain[:cell, :cell]
            tile[:: cell // 4] *= 0.65
            tile[:, 0] *= 0.65
            tile = tile.T if (row + column) % 2 else tile
            image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = tile
    return image


def tiles(rng: np.random.Generator) -> Grey:
    image, cell = 0.02 * noise(rng, 40), SIZE // 2
    for row in range(2):
        for column in range(2):
            image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] += rng.uniform(0.86, 0.97)
    for line in (0, 1, 2, cell, cell + 1, cell + 2):
        image[line] = image[:, line] = 0.6
    return image


def checker(rng: np.random.Generator) -> Grey:
    u, v = grid()
    dark = ((u * 2).astype(int) + (v * 2).astype(int)) % 2
    return np.where(dark == 1, 0.5, 0.95) + 0.02 * noise(rng, 30)


def brick(rng: np.random.Generator) -> NDArray:
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
    return image + 0.03 * noise(rng, 70)[..., None]


def stripes(rng: np.random.Generator) -> Grey:
    u, _ = grid()
    return np.where((u * 8).astype(int) % 2 == 1, 0.84, 0.97) + 0.006 * noise(rng, 40)


def pinstripe(rng: np.random.Generator) -> Grey:
    u, _ = grid()
    return np.where((u * 16) % 1 < 0.12, 0.78, 0.96) + 0.006 * noise(rng, 40)


def motif(rng: np.random.Generator) -> Grey:
    """Wallpaper with a small four-petalled figure on a diagonal grid."""
    u, v = grid()
    petals = np.zeros((SIZE, SIZE))
    for shift in (0.0, 0.5):
        x, y = ((u * 4 + shift) % 1 - 0.5), ((v * 4 + shift) % 1 - 0.5)
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        petals = np.maximum(petals, (radius < 0.10 + 0.12 * np.abs(np.cos(2 * angle))).astype(float))
    return 0.96 - 0.14 * cv2.GaussianBlur(petals, (3, 3), 0) + 0.006 * noise(rng, 40)


def weave(rng: np.random.Generator) -> Grey:
    u, v = grid()
    threads = np.sin(2 * np.pi * 48 * u) * np.sin(2 * np.pi * 48 * v)
    return 0.86 + 0.06 * threads + 0.05 * noise(rng, 24)


def plaid(rng: np.random.Generator) -> Grey:
    u, v = grid()
    bands = np.where((u * 4) % 1 < 0.35, 0.8, 1.0) * np.where((v * 4) % 1 < 0.35, 0.8, 1.0)
    lines = np.where(((u * 4) % 1 > 0.62) & ((u * 4) % 1 < 0.67), 0.7, 1.0)
    lines *= np.where(((v * 4) % 1 > 0.62) & ((v * 4) % 1 < 0.67), 0.7, 1.0)
    return bands * lines * 0.97 + 0.02 * noise(rng, 90)


def leather(rng: np.random.Generator) -> Grey:
    return 0.86 + 0.05 * np.tanh(noise(rng, 34)) + 0.03 * noise(rng, 5)


def quilt(rng: np.random.Generator) -> Grey:
    u, v = grid()
    seams = np.minimum(np.abs((u * 5 + v * 5) % 1 - 0.5), np.abs((u * 5 - v * 5) % 1 - 0.5))
    return 0.78 + 0.2 * np.sqrt(np.clip(seams * 2.4, 0, 1)) + 0.015 * noise(rng, 60)


def dots(rng: np.random.Generator) -> Grey:
    u, v = grid()
    spot = np.zeros((SIZE, SIZE))
    for shift in (0.0, 0.5):
        spot = np.maximum(spot, np.hypot((u * 5 + shift) % 1 - 0.5, (v * 5 + shift) % 1 - 0.5) < 0.17)
    return 0.95 - 0.3 * cv2.GaussianBlur(spot.astype(float), (3, 3), 0) + 0.01 * noise(rng, 60)


def marble(rng: np.random.Generator) -> Grey:
    veins = np.abs(noise(rng, 5, octaves=2.4))
    return 0.96 - 0.22 * np.exp(-((veins / 0.12) ** 2)) + 0.02 * noise(rng, 6)


def brushed(rng: np.random.Generator) -> Grey:
    return 0.88 + 0.045 * noise(rng, 110, stretch=30)


def slats(rng: np.random.Generator) -> Grey:
    _, v = grid()
    return np.where((v * 10) % 1 < 0.12, 0.5, 0.92) + 0.03 * noise(rng, 60, stretch=14)


def wicker(rng: np.random.Generator) -> Grey:
    u, v = grid()
    over = ((u * 12).astype(int) + (v * 12).astype(int)) % 2
    bulge = np.where(over == 1, np.sin(np.pi * ((u * 12) % 1)), np.sin(np.pi * ((v * 12) % 1)))
    return 0.55 + 0.4 * bulge + 0.03 * noise(rng, 90)
