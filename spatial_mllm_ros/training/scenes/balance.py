"""Thin out questions until their words do not tell the answer: the last step against learning from priors.

Balanced rooms draw sizes and counts the same way for every category, but what is seen, and so asked about, still
depends a little on it. Here questions are left out until every category has the same distribution of answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from spatial_mllm_ros.training.scenes.question import Question

__all__ = ["equalised"]

_SIZE_BIN_CM = 20.0


def equalised(questions: Sequence[Question], seed: int = 0) -> list[Question]:
    """Leave out questions so that answers are distributed alike.

    Counting and size: the same distribution for every category (sizes in bins of 20 cm). Directions: every direction
    equally often. Other kinds are returned as they are. The order is kept.

    Args:
        questions: of many rooms; a few hundred per category are needed for little to be lost.
        seed: of the choice what to leave out.
    """
    rng = np.random.default_rng(seed)
    kept: list[int] = []
    by_kind: dict[str, list[int]] = defaultdict(list)
    for index, question in enumerate(questions):
        by_kind[question.kind].append(index)
    for kind, indices in sorted(by_kind.items()):
        if kind in ("object_counting", "object_size_estimation"):
            kept += _alike(questions, indices, rng)
        elif kind.startswith("object_rel_direction"):
            cells = _cells(questions, indices)["",]
            least = min(len(cell) for cell in cells.values())
            kept += [index for cell in cells.values() for index in rng.permutation(cell)[:least]]
        else:
            kept += indices
    return [questions[index] for index in sorted(kept)]


def _alike(questions: Sequence[Question], indices: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Keep of every category as many as give it the answers in the shares that they have over all."""
    cells = _cells(questions, indices)
    totals: dict[Hashable, int] = defaultdict(int)
    for by_answer in cells.values():
        for answer, cell in by_answer.items():
            totals[answer] += len(cell)
    kept: list[int] = []
    for _, by_answer in sorted(cells.items()):
        scale = min(len(by_answer.get(answer, ())) / total for answer, total in totals.items())
        for answer, total in sorted(totals.items()):
            kept += [int(index) for index in rng.permutation(by_answer.get(answer, []))[: int(scale * total + 1e-9)]]
    return kept


def _cells(questions: Sequence[Question], indices: Sequence[int]) -> dict[tuple, dict[Hashable, list[int]]]:
    """Group by what the answers must not depend on, then by answer."""
    cells: dict[tuple, dict[Hashable, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in indices:
        question = questions[index]
        if question.kind == "object_size_estimation":
            answer: Hashable = int(float(question.answer) // _SIZE_BIN_CM)
        else:
            answer = question.chosen
        group = ("",) if question.options else question.categories
        cells[group][answer].append(index)
    return cells
