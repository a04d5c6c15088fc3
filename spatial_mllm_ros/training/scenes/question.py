"""What a question is: its kind, its words, its options and its true answer.

Source: the tasks and templates of VSI-Bench (Yang et al., "Thinking in Space", arXiv 2412.14171).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHOICE_KINDS", "KINDS", "NUMBER_KINDS", "Question"]

NUMBER_KINDS = ("object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation")
CHOICE_KINDS = (
    "object_rel_distance",
    "object_rel_direction_easy",
    "object_rel_direction_medium",
    "object_rel_direction_hard",
    "obj_appearance_order",
)
KINDS = NUMBER_KINDS + CHOICE_KINDS
_NUMBER_HINT = "Please answer the question using a single word or phrase."
_CHOICE_HINT = "Answer with the option's letter from the given choices directly."


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and its true answer.

    Attributes:
        kind: one of `KINDS`, the name of its task in VSI-Bench.
        text: the question alone.
        answer: a number as text, or the letter of an option.
        options: what may be chosen, without letters; empty if a number is asked for.
        categories: the categories that it names, in order.
    """

    kind: str
    text: str
    answer: str
    options: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def chosen(self) -> str:
        """The answer in words: the option that the letter stands for, or the number."""
        return self.options["ABCD".index(self.answer)] if self.options else self.answer

    @property
    def prompt(self) -> str:
        """The question with its options and the hint how to answer, as VSI-Bench puts them to a model."""
        if not self.options:
            return f"{self.text}\n{_NUMBER_HINT}"
        options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", self.options))
        return f"{self.text}\nOptions:\n{options}\n{_CHOICE_HINT}"
