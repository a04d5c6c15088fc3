import pytest
import torch

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.generation import GenerationRule

LOGITS = torch.tensor([[1.0, 3.0, 2.0, -1.0]])
NONE_SEEN = torch.zeros(1, 0, dtype=torch.int64)


def draws(rule, count=400, logits=LOGITS, seen=NONE_SEEN):
    generator = torch.Generator().manual_seed(0)
    return [rule.choose(logits, seen, generator) for _ in range(count)]


def test_greedy_takes_the_best_and_the_first_of_equals():
    assert GenerationRule().choose(LOGITS, NONE_SEEN) == 1
    assert GenerationRule().choose(torch.tensor([[0.0, 5.0, 5.0]]), NONE_SEEN) == 1


def test_a_penalty_divides_positive_and_multiplies_negative_logits():
    rule = GenerationRule(repetition_penalty=2.0)
    assert rule.choose(LOGITS, torch.tensor([[1, 1, 1]])) == 2  # 3 / 2 < 2; once, however often it was seen
    assert rule.choose(torch.tensor([[-1.0, -1.5]]), torch.tensor([[0]])) == 1  # -1 * 2 < -1.5


def test_chance_follows_the_softmax_at_its_temperature():
    counts = torch.bincount(torch.tensor(draws(GenerationRule(temperature=2.0), 4000)), minlength=4) / 4000
    torch.testing.assert_close(counts, (LOGITS[0] / 2).softmax(-1), atol=0.03, rtol=0)


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    # Probabilities are 0.09, 0.66, 0.24, 0.01.
    assert set(draws(GenerationRule(temperature=1.0, top_p=0.6))) == {1}
    assert set(draws(GenerationRule(temperature=1.0, top_p=0.7))) == {1, 2}
    assert set(draws(GenerationRule(temperature=1.0, top_p=0.95))) == {0, 1, 2}
    assert set(draws(GenerationRule(temperature=1.0, top_p=1e-9))) == {1}


def test_the_official_settings_are_greedy_in_effect():
    assert set(draws(GenerationRule(temperature=0.1, top_p=0.001))) == {1}


@pytest.mark.parametrize(
    "wrong", [{"temperature": -0.1}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}, {"repetition_penalty": 0.0}]
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        GenerationRule(**wrong)
