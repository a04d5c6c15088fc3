"""The contact sheet holds every picture and curve, whatever their number and size."""

from __future__ import annotations

import numpy as np
import pytest

from spatial_mllm_ros.sampling.contact_sheet import draw_contact_sheet

RED = np.full((48, 64, 3), (250, 0, 0), np.uint8)
TALL_GREEN = np.full((90, 30, 3), (0, 250, 0), np.uint8)


def share_of(sheet, colour):
    return (sheet == colour).all(axis=-1).mean()


@pytest.mark.parametrize("count", [1, 4, 5, 16])
def test_every_image_is_on_the_sheet(count):
    sheet = draw_contact_sheet([RED] * count, ["0.0 s"] * count, title="tour", curves={})

    assert sheet.dtype == np.uint8
    assert sheet.shape[1:] == (1280, 3)
    cells = share_of(sheet, (250, 0, 0)) * sheet.shape[0] * sheet.shape[1]
    assert cells / count == pytest.approx(299 * 224, rel=0.01)


def test_images_of_other_shapes_keep_their_aspect_ratio():
    sheet = draw_contact_sheet([RED, RED, TALL_GREEN], ["", "", ""], title="", curves={})

    rows, columns = np.nonzero((sheet == (0, 250, 0)).all(axis=-1))
    assert np.ptp(rows) == pytest.approx(3 * np.ptp(columns), rel=0.03)


def test_the_chart_is_drawn_if_there_is_a_curve():
    without = draw_contact_sheet([RED], [""], title="", curves={"uniform": ()})
    with_curves = draw_contact_sheet([RED], [""], title="", curves={"space-aware": [0.5, 0.9], "uniform": [0.4, 0.5]})

    assert with_curves.shape[0] > without.shape[0]
    assert share_of(with_curves, (0, 114, 178)) > 0  # the first curve's blue
    assert share_of(with_curves, (213, 94, 0)) > 0  # the second's orange


def test_text_beyond_ascii_does_no_harm():
    assert draw_contact_sheet([], [], title="Küche → Büro", curves={}).shape[1] == 1280
