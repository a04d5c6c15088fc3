"""What is told stands in the order of the tokens that encoders make, so that they can be fitted to it."""

import numpy as np
import torch
from support.made_up import made_up

from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.targets import truth_of
from spatial_mllm_ros.training.telling import Teller, told_places, told_shares

CHOSEN = np.array([0, 5, 12, 19])


def test_a_token_tells_what_shows_in_its_square_in_both_frames():
    truth = truth_of([made_up(0)], [CHOSEN])
    told = told_shares(truth)
    assert told.shape == (1, 24, 24)
    for pair in range(2):
        for square in range(12):
            both = torch.cat([truth.shares[0, 2 * pair, square], truth.shares[0, 2 * pair + 1, square]])
            torch.testing.assert_close(told[0, 12 * pair + square], both)
    sofa = CATEGORIES.index("sofa")
    assert told[0, 0, sofa] == 1 == told[0, 0, 12 + sofa]


def test_a_token_tells_where_its_patches_lie():
    truth = truth_of([made_up(0)], [CHOSEN])
    told = told_places(truth).unflatten(-1, (2, 4, 8))  # [1,S,frame,patch,values]
    for pair, row, column in ((0, 0, 0), (1, 2, 3), (1, 1, 0)):
        for frame in range(2):
            patches = [(2 * row + y) * 8 + 2 * column + x for y in range(2) for x in range(2)]
            places = truth.points[0, 2 * pair + frame, patches].mean(1) / 2
            torch.testing.assert_close(told[0, 12 * pair + 4 * row + column, frame, :, :3], places)


def test_a_token_tells_which_piece_shows_and_how_long_it_is():
    told = told_places(truth_of([made_up(0)], [CHOSEN])).unflatten(-1, (2, 4, 8))
    patch = told[0, 4, 0, 1]  # second row of squares, to the left: the sofa
    assert patch[3] == 1
    torch.testing.assert_close(patch[4:7] * 2, torch.tensor([-0.5, -0.4, 2.5]), atol=1e-5, rtol=0)  # right, down, ahead
    assert float(patch[7].exp()) == float(torch.tensor(1.6))
    nothing = told[0, 3, 0, 1]
    assert not nothing[3:].any()


def test_a_teller_gives_both_parts_apart():
    truth, teller = truth_of([made_up(0)], [CHOSEN]), Teller(16)
    words, places = teller(told_shares(truth), told_places(truth))
    assert words.shape == places.shape == (1, 24, 16)
    torch.testing.assert_close(words[0, 3], torch.zeros(16))  # nothing shows there
