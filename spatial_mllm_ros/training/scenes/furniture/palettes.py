"""The colours of each category. Each has its own: at 112x84 pixels shape alone does not tell what a thing is."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.training.scenes.shapes import Colour

__all__ = ["PALETTES", "Palette"]


@dataclass(frozen=True)
class Palette:
    """The colours in which furniture of a category comes.

    Attributes:
        woods: stained or painted.
        fabrics: of covers and cushions.
        enamels: of painted and plastic surfaces.
    """

    woods: tuple[Colour, ...]
    fabrics: tuple[Colour, ...]
    enamels: tuple[Colour, ...]


PALETTES: dict[str, Palette] = {
    "bed": Palette(
        woods=((0.94, 0.89, 0.86), (0.86, 0.8, 0.9)),
        fabrics=((0.5, 0.36, 0.64), (0.66, 0.55, 0.82), (0.42, 0.3, 0.55)),
        enamels=((0.8, 0.72, 0.9), (0.6, 0.48, 0.74)),
    ),
    "bookshelf": Palette(
        woods=((0.3, 0.2, 0.14), (0.38, 0.25, 0.16)),
        fabrics=((0.4, 0.26, 0.18), (0.3, 0.18, 0.14)),
        enamels=((0.28, 0.2, 0.16), (0.36, 0.24, 0.18)),
    ),
    "cabinet": Palette(
        woods=((0.2, 0.5, 0.5), (0.28, 0.58, 0.55), (0.14, 0.4, 0.42)),
        fabrics=((0.2, 0.5, 0.48), (0.3, 0.6, 0.58)),
        enamels=((0.16, 0.44, 0.46), (0.26, 0.56, 0.56)),
    ),
    "chair": Palette(
        woods=((0.92, 0.58, 0.2), (0.86, 0.5, 0.14)),
        fabrics=((0.95, 0.6, 0.18), (0.9, 0.48, 0.12), (0.97, 0.68, 0.3)),
        enamels=((0.95, 0.55, 0.15), (0.98, 0.66, 0.28)),
    ),
    "lamp": Palette(
        woods=((0.88, 0.78, 0.24), (0.8, 0.7, 0.2)),
        fabrics=((0.97, 0.88, 0.36), (0.92, 0.82, 0.26)),
        enamels=((0.97, 0.87, 0.3), (0.9, 0.8, 0.22)),
    ),
    "plant": Palette(
        woods=((0.36, 0.5, 0.24), (0.44, 0.56, 0.3)),
        fabrics=((0.3, 0.52, 0.28), (0.4, 0.6, 0.32)),
        enamels=((0.3, 0.5, 0.26), (0.42, 0.6, 0.36)),
    ),
    "refrigerator": Palette(
        woods=((0.74, 0.86, 0.94), (0.84, 0.92, 0.97)),
        fabrics=((0.7, 0.84, 0.94), (0.82, 0.9, 0.96)),
        enamels=((0.7, 0.85, 0.95), (0.84, 0.93, 0.98), (0.6, 0.78, 0.9)),
    ),
    "sofa": Palette(
        woods=((0.16, 0.18, 0.34), (0.22, 0.24, 0.42)),
        fabrics=((0.2, 0.32, 0.66), (0.14, 0.22, 0.5), (0.28, 0.4, 0.74)),
        enamels=((0.18, 0.28, 0.6), (0.24, 0.36, 0.68)),
    ),
    "stool": Palette(
        woods=((0.76, 0.2, 0.16), (0.66, 0.14, 0.12)),
        fabrics=((0.78, 0.2, 0.18), (0.85, 0.28, 0.22), (0.66, 0.14, 0.14)),
        enamels=((0.8, 0.18, 0.16), (0.7, 0.14, 0.12)),
    ),
    "table": Palette(
        woods=((0.52, 0.14, 0.3), (0.6, 0.2, 0.38), (0.44, 0.1, 0.24)),
        fabrics=((0.55, 0.16, 0.34), (0.62, 0.24, 0.42)),
        enamels=((0.5, 0.12, 0.3), (0.6, 0.2, 0.4)),
    ),
    "trash bin": Palette(
        woods=((0.6, 0.78, 0.16), (0.7, 0.86, 0.26)),
        fabrics=((0.62, 0.8, 0.18), (0.72, 0.88, 0.3)),
        enamels=((0.62, 0.82, 0.14), (0.72, 0.9, 0.28), (0.52, 0.7, 0.1)),
    ),
    "tv": Palette(
        woods=((0.24, 0.24, 0.27), (0.32, 0.32, 0.35)),
        fabrics=((0.3, 0.3, 0.36), (0.22, 0.22, 0.26)),
        enamels=((0.2, 0.2, 0.23), (0.34, 0.34, 0.38)),
    ),
}
