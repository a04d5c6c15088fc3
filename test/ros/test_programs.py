"""What is read from the output of a program."""

from __future__ import annotations

import pytest

from spatial_mllm_ros.ros.programs import COLOUR, ProgramError, frames_played


class Player:
    def __init__(self, text):
        self._text = text

    def text(self):
        return self._text

    tail = text


def test_the_players_last_words_tell_how_many_colour_frames_it_published():
    assert frames_played(Player(f"played 3 s: /odom 90, {COLOUR} 88, /tf 5")) == 88


def test_a_player_without_colour_is_an_error_that_shows_what_it_said():
    with pytest.raises(ProgramError, match=r"(?s)published nothing on /camera/color.*no such topic"):
        frames_played(Player("no such topic"))
