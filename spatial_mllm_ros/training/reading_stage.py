"""The stage in which the language model learns to answer from scenes that it is told: no encoder takes part.

At first there are lessons only, then choices are asked by word: which thing is nearest, not under which letter it
stands. Letters come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.answers import answer_loss, ask_packed, pack
from spatial_mllm_ros.training.asking import Course, Parts, QuestionPool, grid_of, score_answers, with_parts_left_out
from spatial_mllm_ros.training.batched import in_bfloat16
from spatial_mllm_ros.training.examples import CATEGORIES, Example
from spatial_mllm_ros.training.facts import FactProbe, stacked_facts
from spatial_mllm_ros.training.run import Run
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.targets import draw_set, truth_of
from spatial_mllm_ros.training.telling import Teller, told_places, told_shares
from spatial_mllm_ros.training.workspace import Workspace

__all__ = ["FACTS_WEIGHT", "ReadingStage", "frames_of_a_step", "likened"]

_SCENES = 12  # in a step
_COURSES: tuple[tuple[float, Course], ...] = ((0.08, "lessons"), (0.4, "by word"), (1.0, "all"))  # each until when
FACTS_WEIGHT = 5.0
_SHARPER = 1.6  # by which like finds like from the start
_LIKE_LAYERS = 2


class ReadingStage:
    """The language model, and the teller that it learns to read.

    Args:
        work: with examples.
        hours: budget.
        kinds: of questions that are asked; all if there are none.

    Attributes:
        run: see `Run`.
    """

    def __init__(self, work: Workspace, hours: float, kinds: Sequence[str] = ()) -> None:
        self._work, self._model = work, work.begin()
        self._teller = Teller(SIZES.hidden)
        likened(self._model, self._teller)
        self._probe = FactProbe(SIZES.hidden)
        modules = {"language": self._model.network.model, "teller": self._teller, "probe": self._probe}
        self.run = Run(work.folder / "reading", modules, learning_rate=4e-4, hours=hours)
        work.refresh()
        self._pool = QuestionPool(kinds)

    def step(self, rng: np.random.Generator) -> None:
        """Tell new scenes, ask about them, and learn."""
        self._pool.keep_up(self._work.examples)
        course = next((name for until, name in _COURSES if self.run.progress < until), "all")
        frames = frames_of_a_step(rng) if course == "all" else 8
        examples = self._work.draw(_SCENES * 8 // frames, rng)
        sets = [draw_set(one, frames, rng) for one in examples]
        asked = [self._pool.ask(one, chosen, rng, course) for one, chosen in zip(examples, sets)]
        packed = pack(self._model, asked, grid_of(frames))
        told = self._told(examples, sets)
        fused = with_parts_left_out(told, rng) if course == "all" else told[0] + told[1]
        with in_bfloat16():
            *logits, mentioned = (one.float() for one in ask_packed(self._model, packed, fused))
        loss, by_kind = answer_loss(self._model, packed, *logits)
        facts = self._probe.loss(mentioned, stacked_facts(examples, sets), packed.mentions)
        figures = {"facts": float(facts.detach())} | {f"loss_{kind}": value for kind, value in by_kind.items()}
        self.run.update(loss + FACTS_WEIGHT * facts, **figures)

    def check(self) -> dict[str, Any]:
        """Score the answers about rooms that are not trained on."""
        return score_answers(self._model, self._work.validation, self._told)

    def _told(self, examples: Sequence[Example], sets: Sequence[NDArray[np.int64]]) -> Parts:
        truth = truth_of(examples, sets)
        return self._teller(told_shares(truth), told_places(truth))


def frames_of_a_step(rng: np.random.Generator) -> int:
    """Draw how many keyframes the sets of a step have: mostly 8."""
    return int(rng.choice((4, 8, 16), p=(0.15, 0.7, 0.15)))


@torch.no_grad()
def likened(model: SpatialMLLM, teller: Teller) -> None:
    """Let an untrained teller say a category by its word, and the first layers find like by like."""
    words = model.network.model.embed_tokens.weight
    for index, category in enumerate(CATEGORIES):
        (token,) = model.tokenizer.encode(category)
        for frame in range(2):
            teller.words.weight[:, frame * len(CATEGORIES) + index] = words[token]
    nn.init.normal_(teller.places[-1].weight, std=0.02)
    for layer in model.network.model.layers[:_LIKE_LAYERS]:
        layer.self_attn.q_proj.weight.mul_(_SHARPER)
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
