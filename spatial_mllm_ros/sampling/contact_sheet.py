"""Draw keyframes and what they cover on one page, to judge a sampling at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_contact_sheet"]

_WIDTH = 1280
_MARGIN = 24
_GAP = 12
_COLUMNS = 4
_CAPTION = 30
_CHART = 300
_AXIS_LEFT = 64
_PAPER, _INK, _PALE, _RULE = (255, 255, 255), (40, 40, 40), (130, 130, 130), (225, 225, 225)
# Colours that stay apart for colour-blind readers (Okabe and Ito 2008), RGB.
_CURVES = ((0, 114, 178), (213, 94, 0), (0, 158, 115))


def draw_contact_sheet(
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    *,
    title: str,
    curves: Mapping[str, Sequence[float]],
) -> NDArray[np.uint8]:
    """Draw thumbnails in rows of four, and below them how coverage grows with the number of keyframes.

    Args:
        images: uint8 RGB [H,W,3], any sizes.
        captions: one line under each image.
        title: one line at the top.
        curves: name -> share covered, in [0, 1], by the first, the first two, ... keyframes. The first curve is drawn
            in front. No chart is drawn if there is none with a point.

    Returns:
        uint8 RGB [H,1280,3].
    """
    cell = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
    picture_height = round(cell * np.median([image.shape[0] / image.shape[1] for image in images])) if images else 0
    row_height = picture_height + _CAPTION + _GAP
    num_rows = -(-len(images) // _COLUMNS)
    curves = {name: list(curve) for name, curve in curves.items() if len(curve)}
    top = _MARGIN + 44
    height = top + num_rows * row_height + (_CHART + _GAP if curves else 0) + _MARGIN
    sheet = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    _write(sheet, title, (_MARGIN, _MARGIN + 20), scale=0.75, thickness=2)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x = _MARGIN + (number % _COLUMNS) * (cell + _GAP)
        y = top + (number // _COLUMNS) * row_height
        sheet[y : y + picture_height, x : x + cell] = _fitted(image, picture_height, cell)
        _write(sheet, caption, (x, y + picture_height + 20), scale=0.48)
    if curves:
        _draw_chart(sheet[top + num_rows * row_height : height - _MARGIN, _MARGIN : _WIDTH - _MARGIN], curves)
    return sheet


def _fitted(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Scale an image into a box, with bars where the aspect ratio differs."""
    scale = min(height / image.shape[0], width / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    box = np.full((height, width, 3), _RULE, np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    box[y : y + size[1], x : x + size[0]] = small
    return box


def _draw_chart(area: NDArray[np.uint8], curves: dict[str, list[float]]) -> None:
    """Draw the coverage curves into a part of the sheet, with axes, a grid and a name at each curve's end."""
    height, width = area.shape[:2]
    left, right, top, bottom = _AXIS_LEFT, width - 230, 16, height - 52
    most = max(len(curve) for curve in curves.values())

    def place(count: float, share: float) -> tuple[int, int]:
        return round(left + (right - left) * count / most), round(bottom - (bottom - top) * share)

    for percent in range(0, 101, 25):
        start, end = place(0, percent / 100), place(most, percent / 100)
        cv2.line(area, start, end, _RULE, 1)
        _write(area, f"{percent} %", (start[0] - 10, start[1] + 5), scale=0.45, colour=_PALE, align="right")
    step = max(1, -(-most // 16))
    for count in range(step, most + 1, step):
        x, y = place(count, 0)
        _write(area, str(count), (x, y + 20), scale=0.45, colour=_PALE, align="middle")
    _write(
        area,
        "share of all voxels that the first keyframes see, in the order picked",
        ((left + right) // 2, height - 10),
        scale=0.5,
        align="middle",
    )
    drawn = list(zip(curves.items(), _CURVES * len(curves), strict=False))
    names_below = 0
    for (_, curve), colour in reversed(drawn):  # the first in front
        points = [place(0, 0)] + [place(count, share) for count, share in enumerate(curve, start=1)]
        cv2.polylines(area, [np.array(points)], False, colour, 2, cv2.LINE_AA)
        for point in points[1:]:
            cv2.circle(area, point, 4, colour, -1, cv2.LINE_AA)
    for (name, curve), colour in sorted(drawn, key=lambda item: -item[0][1][-1]):  # names do not overlap
        y = max(place(0, curve[-1])[1] + 5, names_below)
        _write(area, f"{name} {100 * curve[-1]:.1f} %", (right + 14, y), scale=0.52, colour=colour)
        names_below = y + 22


def _write(
    area: NDArray[np.uint8],
    text: str,
    place: tuple[int, int],
    *,
    scale: float,
    colour: tuple[int, int, int] = _INK,
    thickness: int = 1,
    align: str = "left",
) -> None:
    """Write one line; `place` is its baseline's left end, middle or right end. Hershey fonts know ASCII only."""
    text = text.encode("ascii", "replace").decode()
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x = place[0] - {"left": 0, "middle": width // 2, "right": width}[align]
    cv2.putText(area, text, (x, place[1]), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
