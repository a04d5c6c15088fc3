"""Learning curves as a picture: one small chart per figure of a training log."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["draw_curves", "read_log"]

_WIDTH, _HEIGHT, _COLUMNS, _MARGIN = 300, 170, 3, 34  # of one chart, pixels
_COLOURS = ("#4c8dd6", "#c98a1b", "#8a8f98", "#2a9d5c", "#b04a5a", "#6a5acd")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a `log.jsonl`; a line that was cut short when its run was killed is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def draw_curves(title: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """Draw every figure over steps, as SVG text; figures that are grouped in the log share a chart.

    Values that are not finite are left out: a check may find nothing to measure.
    """
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in lines:
        for chart, curve, value in _figures(line):
            if math.isfinite(value):
                charts.setdefault(chart, {}).setdefault(curve, []).append((line["step"], value))
    rows = -(-len(charts) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, 40 + rows * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'style="font-family: system-ui, sans-serif; font-size: 11px">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, curves) in enumerate(charts.items()):
        left, top = index % _COLUMNS * _WIDTH, 40 + index // _COLUMNS * _HEIGHT
        parts += _chart(name, curves, left, top)
    return "\n".join([*parts, "</svg>", ""])


def _figures(line: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from ((name, curve, float(one)) for curve, one in value.items() if curve != "n")
        elif name not in ("step", "progress", "examples"):
            yield name, "", float(value)


def _chart(name: str, curves: Mapping[str, Sequence[tuple[float, float]]], left: float, top: float) -> list[str]:
    points = [point for curve in curves.values() for point in curve]
    last = max(step for step, _ in points) or 1
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = (high - low) or 1
    inner_width, inner_height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    parts = [f'<text x="{left + _MARGIN}" y="{top + 16}" font-weight="bold">{escape(name)}</text>']
    for value, y in ((high, top + _MARGIN), (low, top + _MARGIN + inner_height)):
        parts.append(f'<text x="{left + _MARGIN - 4}" y="{y + 4}" text-anchor="end">{value:.3g}</text>')
    for index, (curve, values) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(
            f"{left + _MARGIN + inner_width * step / last:.1f},"
            f"{top + _MARGIN + inner_height * (high - value) / span:.1f}"
            for step, value in values
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if curve:
            at = left + _MARGIN + 62 * index
            parts.append(f'<text x="{at}" y="{top + _HEIGHT - 10}" fill="{colour}">{escape(curve)}</text>')
    return parts
