"""Limits of answering are checked where they are set."""

import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.reasoning import ReasonerConfig


@pytest.mark.parametrize("penalty", [0.0, 1.0, 1.05, 2.0])
def test_penalty_for_repetition_is_off_or_at_least_one(penalty):
    assert ReasonerConfig(repetition_penalty=penalty).repetition_penalty == penalty


@pytest.mark.parametrize("penalty", [0.5, -1.0, 2.1])
def test_penalty_that_rewards_repetition_is_refused(penalty):
    with pytest.raises(InputError, match="repetition_penalty must"):
        ReasonerConfig(repetition_penalty=penalty)
