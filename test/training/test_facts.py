"""The dense target: what is known of each category, wherever a question names it."""

import dataclasses

import numpy as np
import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.training.answers import Asked, pack
from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.facts import FACTS, FactProbe, facts_of, stacked_facts

SOFA, CHAIR, LAMP = (CATEGORIES.index(name) for name in ("sofa", "chair", "lamp"))
CHOSEN = np.array([0, 4, 8, 12])  # the chair shows from the tenth frame


def test_a_thing_that_shows_is_known_by_place_time_and_size():
    sofa = dict(zip(FACTS, facts_of(made_up(0), CHOSEN)[SOFA]))
    assert (sofa["shows"], sofa["pieces"], sofa["first"]) == (1, 0.25, 0)
    assert (sofa["ahead"], sofa["left"]) == pytest.approx((2.5 / 2, 0.5 / 2), abs=1e-5)
    assert sofa["near"] == pytest.approx(2.5 / 2, rel=0.1) and sofa["long"] == pytest.approx(np.log(1.6), rel=1e-5)


def test_a_thing_is_first_seen_in_the_frame_that_shows_it():
    assert facts_of(made_up(0), CHOSEN)[CHAIR, 2] == 3 / 4


def test_of_what_does_not_show_only_that_is_known():
    facts = facts_of(made_up(0), CHOSEN)
    assert facts[LAMP, :2].tolist() == [0, 0] and np.isnan(facts[LAMP, 2:]).all()
    assert np.isnan(facts_of(made_up(0), CHOSEN[:2])[CHAIR, 2:]).all()  # it is in the room, but not in these frames


def test_of_several_pieces_no_place_is_known():
    two = dataclasses.replace(made_up(0), categories=np.array([CHAIR, CHAIR], np.int8))
    facts = facts_of(two, CHOSEN)[CHAIR]
    assert facts[:3].tolist() == [1, 0.5, 0] and np.isnan(facts[3:]).all()


def test_every_mention_of_a_category_is_found(begun):
    model, question = begun[0], made_up(0).questions[2]
    packed = pack(model, [[], [Asked(question, question.prompt)]], (2, 6, 8))
    assert packed.mentions[:, 0].tolist() == [1] * 4
    names = [CATEGORIES[category] for category in packed.mentions[:, 2]]
    assert names == ["sofa", "chair", "lamp", "chair"]
    tokens = packed.input_ids[packed.mentions[:, 0], packed.mentions[:, 1]]
    assert [model.tokenizer.decode([token]) for token in tokens] == names


def test_facts_that_are_not_known_are_not_asked_for():
    """A probe that says 0 to all: it is wrong about what is known, and about nothing else."""
    probe, facts = FactProbe(4), stacked_facts([made_up(0)], [CHOSEN])
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
        states = torch.zeros(1, 4)
        assert float(probe.loss(states, facts, torch.tensor([[0, 0, LAMP]]))) == 0
        assert float(probe.loss(states, facts, torch.tensor([[0, 0, SOFA]]))) > 0.3
        assert float(probe.loss(states[:0], facts, torch.zeros(0, 3, dtype=torch.int64))) == 0
