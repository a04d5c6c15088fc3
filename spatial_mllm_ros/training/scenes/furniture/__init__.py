"""Furniture by category: twelve named categories, nine looks each, the last of which is held out for testing.

A look builds one piece from primitives in its local frame, at any scale; `make_piece` scales it to the wanted length
and measures it, so the size that a room reports is that of what is drawn.
"""

from __future__ import annotations

from spatial_mllm_ros.training.scenes.furniture.catalogue import CATALOGUE, Category, Piece, looks_of, make_piece

__all__ = ["CATALOGUE", "Category", "Piece", "looks_of", "make_piece"]
