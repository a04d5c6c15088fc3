"""Which questions are asked about a keyframe set in training, and how the answers about other rooms are scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.answers import Asked, ask_packed, lessons, pack, worth_of_answers
from spatial_mllm_ros.training.examples import HEIGHT, WIDTH, Example
from spatial_mllm_ros.training.scenes import KINDS, Question, equalised
from spatial_mllm_ros.training.words import rephrased, without_options
from spatial_mllm_ros.training.workspace import groups

__all__ = ["Course", "Parts", "QuestionPool", "grid_of", "score_answers", "with_parts_left_out"]

_QUESTIONS, _LESSONS = 12, 3  # about a keyframe set, in one step
_CHECKED = 24  # questions about a room that is not trained on

Course = Literal["lessons", "by word", "all"]
"""What is asked: lessons alone; numbers and choices too, the latter by word; at last all, the latter by letter as well.

Asked for everything at once, a language model does not begin to look things up; asked for lessons, it does so at once.
"""
Parts = tuple[Tensor, Tensor]
"""What is read of scenes, [B,S,D] each: the 2D encoder's part and the connector's."""


def grid_of(frames: int) -> tuple[int, int, int]:
    """Give the grid (t, h, w) of a keyframe set of that many frames."""
    return frames // 2, HEIGHT // 14, WIDTH // 14


class QuestionPool:
    """The questions that may be asked about each example: those that `equalised` keeps, and lessons.

    Args:
        kinds: of questions that are asked; all if there are none.
    """

    def __init__(self, kinds: Sequence[str] = ()) -> None:
        self._kinds, self._num_known = frozenset(kinds or KINDS), 0
        self._kept: dict[int, list[int]] = {}

    def keep_up(self, examples: Sequence[Example]) -> None:
        """Choose anew when examples have been added."""
        if len(examples) == self._num_known:
            return
        self._num_known = len(examples)
        asked = [q for one in examples for q in one.questions if q.kind in self._kinds]
        kept = {id(question) for question in equalised(asked)}
        self._kept = {one.seed: [i for i, q in enumerate(one.questions) if id(q) in kept] for one in examples}

    def ask(
        self, example: Example, chosen: NDArray[np.int64], rng: np.random.Generator, course: Course = "all"
    ) -> list[Asked]:
        """Draw questions about a keyframe set, every kind alike.

        Args:
            example: the tour.
            chosen: which frames are shown.
            rng: what to draw with.
            course: see `Course`.
        """
        kept = [example.questions[i] for i in self._kept.get(example.seed, range(len(example.questions)))]
        kept = [question for question in kept if question.kind in self._kinds]
        choices, numbers = ([q for q in kept if bool(q.options) is is_choice] for is_choice in (True, False))
        taught, by_word = lessons(example, chosen), [without_options(question) for question in choices]
        if course == "lessons":
            drawn = _evenly(taught, _QUESTIONS, rng)
        elif course == "by word":
            drawn = _evenly(numbers + by_word + taught, _QUESTIONS + _LESSONS, rng)
        else:
            drawn = _evenly(numbers + choices + by_word, _QUESTIONS, rng) + _evenly(taught, _LESSONS, rng)
        return [Asked(question, rephrased(question, rng)) for question in drawn]


def _evenly(questions: Sequence[Question], count: int, rng: np.random.Generator) -> list[Question]:
    """Draw up to so many questions, every kind alike."""
    by_kind: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_kind[question.kind].append(question)
    queues = [rng.permutation(np.array(group, object)).tolist() for group in by_kind.values()]
    drawn: list[Question] = []
    while len(drawn) < count and any(queues):
        for queue in [queues[i] for i in rng.permutation(len(queues))]:
            if queue:
                drawn.append(queue.pop())
    return drawn[:count]


def with_parts_left_out(parts: Parts, rng: np.random.Generator) -> Tensor:
    """Add both parts; leave out one in a tenth of the scenes, the other in a tenth, and both in a tenth."""
    drawn = torch.from_numpy(rng.random(len(parts[0])).astype(np.float32))[:, None, None]
    has_visual = ((drawn >= 0.1) & (drawn < 0.2)) | (drawn >= 0.3)
    return parts[0] * has_visual + parts[1] * (drawn >= 0.2)


@torch.no_grad()
def score_answers(
    model: SpatialMLLM,
    examples: Sequence[Example],
    read: Callable[[Sequence[Example], Sequence[NDArray[np.int64]]], Parts],
) -> dict[str, Any]:
    """Score the answers to questions and lessons by kind, in per cent.

    Args:
        model: with its language model.
        examples: that are not trained on.
        read: gives what is read of keyframe sets of examples.

    Returns:
        by kind, "n" and the scores with the "right" room, the "wrong" one (another), "2D" and "3D" part only, "blind".
    """
    kept = {id(q) for q in equalised([question for one in examples for question in one.questions])}
    rng = np.random.default_rng(0)
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group in groups(examples, 8):
        sets = [np.sort(one.space_aware) for one in group]
        visual, spatial = read(group, sets)
        asked = [
            _all_asked(_evenly([q for q in one.questions if id(q) in kept], _CHECKED, rng), lessons(one, chosen))
            for one, chosen in zip(group, sets)
        ]
        packed = pack(model, asked, grid_of(len(sets[0])))
        shown = {"right": visual + spatial, "2D": visual, "3D": spatial, "blind": torch.zeros_like(visual)}
        shown["wrong"] = shown["right"].roll(1, 0)
        for name, fused in shown.items():
            worths = worth_of_answers(packed, ask_packed(model, packed, fused)[0])
            for kind, worth in zip(packed.kinds, worths):
                scores[kind][name].append(worth)
    return {
        kind: {"n": len(by_name["right"])}
        | {name: round(100 * float(np.mean(values)), 1) for name, values in by_name.items()}
        for kind, by_name in sorted(scores.items())
    }


def _all_asked(kept: Sequence[Question], taught: Sequence[Question]) -> list[Asked]:
    by_word = [without_options(question) for question in kept if question.options]
    return [Asked(q, q.prompt) for q in kept] + [Asked(q, q.text) for q in (*taught, *by_word)]
