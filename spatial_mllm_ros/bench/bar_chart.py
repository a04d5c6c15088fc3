"""A bar chart as SVG text: few bars, each with its value written beside it; linear, from zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "Group", "draw_bar_chart"]

_WIDTH, _LEFT, _RIGHT = 900, 300, 190  # pixels: all, of the labels, of the values
_BAR, _GAP, _HEAD = 20, 6, 34
_COLOURS = ("#8a8f98", "#4c8dd6", "#2a9d5c", "#c98a1b")
_STYLE = "font-family: system-ui, sans-serif; font-size: 13px"


@dataclass(frozen=True)
class Bar:
    """One bar: what it is, its length, and the text beside it."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Group:
    """Bars on one scale, under one heading."""

    heading: str
    bars: Sequence[Bar]


def draw_bar_chart(title: str, groups: Sequence[Group]) -> str:
    """Draw groups of horizontal bars below each other, each group on its own scale from zero."""
    height = 40 + sum(_HEAD + len(group.bars) * (_BAR + _GAP) for group in groups) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'style="{_STYLE}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    top = 40
    for group in groups:
        lines.append(f'<text x="16" y="{top + 22}" font-weight="bold">{escape(group.heading)}</text>')
        top += _HEAD
        longest = max((bar.value for bar in group.bars), default=0) or 1
        for index, bar in enumerate(group.bars):
            length = max(1.0, (_WIDTH - _LEFT - _RIGHT) * bar.value / longest)
            colour = _COLOURS[index % len(_COLOURS)]
            middle = top + _BAR - 5
            lines += [
                f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>',
                f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
                f'<text x="{_LEFT + length + 8:.1f}" y="{middle}">{escape(bar.text)}</text>',
            ]
            top += _BAR + _GAP
    return "\n".join([*lines, "</svg>", ""])
