"""The small model's vocabulary: what VSI-Bench's questions are made of, phrase by phrase, and bytes for the rest.

A phrase that stands in every question of a kind is one token, and so is every number that can be an answer: questions
are short, and the likeliest number is found by looking at one token. Any other text is read byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.model.small_tokenizer import save_tokenizer
from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.scenes import Question
from spatial_mllm_ros.training.scenes.question import CHOICE_HINT, NUMBER_HINT, SEVERAL_INSTANCES, WORDINGS

__all__ = [
    "LESSONS",
    "NUMBERS",
    "REPHRASINGS",
    "answer_words",
    "answer_worth",
    "rephrased",
    "scope_json",
    "without_options",
    "write_words",
]

NUMBERS: dict[str, tuple[str, ...]] = {
    "object_counting": tuple(str(count) for count in range(1, 9)),
    "object_abs_distance": tuple(f"{tenths / 10:.1f}" for tenths in range(1, 100)),
    "object_size_estimation": tuple(str(cm) for cm in range(40, 255, 5)),
    "room_size_estimation": tuple(str(area) for area in range(5, 81)),
}
"""What may be answered, by kind of question: counts, metres, centimetres, square metres."""

_DIRECTIONS = ("front-left", "front-right", "back-left", "back-right", "left", "right", "back")
_PLACES = tuple(f"{half / 2:+.1f}" for half in range(-14, 15))
LESSONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lesson_near": ("How near to the {0} was the camera?", NUMBERS["object_abs_distance"]),
    "lesson_ahead": ("How far ahead of the first view is the {0}?", _PLACES),
    "lesson_left": ("How far left of the first view is the {0}?", _PLACES),
    "lesson_first": ("Which pair of views is the first to show a {0}?", tuple(str(pair) for pair in range(9))),
    "lesson_nearest": ("", CATEGORIES),
    "lesson_direction": ("", _DIRECTIONS),
    "lesson_earliest": ("", CATEGORIES),
}
"""Asked in training only: what one has to know to answer the others. Wording and answers, by kind.

The last three have the wording of the choices that they prepare for, asked without options: see `without_options`.
"""


_WITHOUT_OPTIONS = {
    "object_rel_distance": "lesson_nearest",
    "obj_appearance_order": "lesson_earliest",
    **{f"object_rel_direction_{level}": "lesson_direction" for level in ("easy", "medium", "hard")},
}


@dataclass(frozen=True)
class Rephrasing:
    """Another way to put a question: `{0}` and `{1}` are its categories."""

    kind: str
    text: str


REPHRASINGS = (
    Rephrasing("object_counting", "How many {0}s are in this room?"),
    Rephrasing("object_counting", "How many {0}s are there?"),
    Rephrasing("object_abs_distance", "How far is the {0} from the {1}, in meters?"),
    Rephrasing("object_abs_distance", "What is the distance between the {0} and the {1}, in meters?"),
    Rephrasing("object_size_estimation", "How long is the longest side of the {0}, in centimeters?"),
    Rephrasing("room_size_estimation", "What is the size of this room (in square meters)?"),
    Rephrasing("room_size_estimation", "How large is this room, in square meters?"),
)

_FRAME = ("system\nYou are a helpful assistant.", "user\n", "assistant\n")  # of the chat template
_LETTERS = ("\nOptions:\nA. ", "\nB. ", "\nC. ", "\nD. ", ", ")
_HINTS = (f"\n{NUMBER_HINT}", f"\n{CHOICE_HINT}", SEVERAL_INSTANCES)


def write_words(folder: Path) -> dict[str, int]:
    """Write tokenizer.json and tokenizer_config.json, and give the number of every special token.

    Raises:
        DependencyError: if the tokenizers library is missing.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=letters, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    numbers = sorted({*_PLACES, *(number for group in NUMBERS.values() for number in group if len(number) > 1)})
    texts = [*WORDINGS.values(), *(way.text for way in REPHRASINGS), *(text for text, _ in LESSONS.values())]
    phrases = [phrase for text in texts for phrase in re.split(r"\{\d?\}", text)]
    words = dict.fromkeys((*_FRAME, *_LETTERS, *_HINTS, *_DIRECTIONS, *phrases, *CATEGORIES, *numbers))
    backend.add_tokens([AddedToken(word, normalized=False) for word in words if len(word) > 1])
    return save_tokenizer(backend, folder)


def without_options(question: Question) -> Question:
    """Ask a choice as a lesson: by word, not by letter. Of an order of appearance the first category is asked for."""
    kind, answer = _WITHOUT_OPTIONS[question.kind], question.chosen.partition(", ")[0]
    return Question(kind=kind, text=question.text, answer=answer, categories=question.categories)


def rephrased(question: Question, rng: np.random.Generator) -> str:
    """Put a question to a model: in VSI-Bench's words with its hint, without the hint, or in other words."""
    if question.kind in LESSONS:
        return question.text
    others = [way.text for way in REPHRASINGS if way.kind == question.kind]
    drawn = rng.random()
    if drawn < 0.6 or question.options:
        return question.prompt
    if drawn < 0.75 or not others:
        return question.text
    return others[rng.integers(len(others))].format(*question.categories)


def scope_json(kinds: Sequence[str]) -> dict[str, Any]:
    """Give the entry "answers" of config.json for kinds of question, in all wordings that are trained on."""
    others = {kind: [re.sub(r"\{\d\}", "{}", way.text) for way in REPHRASINGS if way.kind == kind] for kind in kinds}
    first = {kind: text[: text.index("?") + 1] for kind, text in WORDINGS.items()}  # the rest explains
    return {
        "things": list(CATEGORIES),
        "questions": {kind: [*dict.fromkeys((*others[kind], first[kind]))] for kind in kinds},
    }


def answer_words(kind: str) -> Sequence[str]:
    """Give what can be said to a question of a kind, one token each."""
    return LESSONS[kind][1] if kind in LESSONS else NUMBERS.get(kind, ("A", "B", "C", "D"))


def answer_worth(question: Question) -> NDArray[np.float32]:
    """Give the score of every one of `answer_words`: Mean Relative Accuracy, or 1 for the right letter and 0 else."""
    words = answer_words(question.kind)
    if question.options or question.kind in _WITHOUT_OPTIONS.values():
        return np.array([word == question.answer for word in words], np.float32)
    truth = float(question.answer)
    if question.kind in ("lesson_ahead", "lesson_left"):
        return np.exp(-np.square((np.array([float(word) for word in words]) - truth) / 0.6)).astype(np.float32)
    if question.kind == "lesson_first":
        return np.array([float(word) == truth for word in words], np.float32)
    error = np.abs(np.array([float(word) for word in words]) - truth) / max(abs(truth), 1e-9)
    return (error[:, None] < 1 - np.arange(0.5, 1.0, 0.05)).mean(1).astype(np.float32)
