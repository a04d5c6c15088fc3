"""What a question is: its kind, its words, its options and its true answer.

Source: the tasks and templates of VSI-Bench (Yang et al., "Thinking in Space", arXiv 2412.14171).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CHOICE_HINT",
    "CHOICE_KINDS",
    "KINDS",
    "NUMBER_HINT",
    "NUMBER_KINDS",
    "SEVERAL_INSTANCES",
    "WORDINGS",
    "Question",
]

NUMBER_KINDS = ("object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation")
CHOICE_KINDS = (
    "object_rel_distance",
    "object_rel_direction_easy",
    "object_rel_direction_medium",
    "object_rel_direction_hard",
    "obj_appearance_order",
)
KINDS = NUMBER_KINDS + CHOICE_KINDS
WORDINGS = {
    "object_counting": "How many {}(s) are in this room?",
    "object_abs_distance": "Measuring from the closest point of each object, what is the direct distance between the "
    "{} and the {} (in meters)?",
    "object_size_estimation": "What is the length of the longest dimension (length, width, or height) of the {}, "
    "measured in centimeters?",
    "room_size_estimation": "What is the size of this room (in square meters)? If multiple rooms are shown, estimate "
    "the size of the combined space.",
    "object_rel_distance": "Measuring from the closest point of each object, which of these objects ({}, {}, {}, {}) "
    "is the closest to the {}?",
    "object_rel_direction_easy": "If I am standing by the {} and facing the {}, is the {} to the left or the right of "
    "the {}?",
    "object_rel_direction_medium": "If I am standing by the {} and facing the {}, is the {} to my left, right, or "
    "back? An object is to my back if I would have to turn at least 135 degrees in order to face it.",
    "object_rel_direction_hard": "If I am standing by the {} and facing the {}, is the {} to my front-left, "
    "front-right, back-left, or back-right? The directions refer to the quadrants of a Cartesian plane (if I am "
    "standing at the origin and facing along the positive y-axis).",
    "obj_appearance_order": "What will be the first-time appearance order of the following categories in the video: "
    "{}, {}, {}, {}?",
}
"""The text of each kind of question, with `{}` for each thing that it names."""
SEVERAL_INSTANCES = " If there are multiple instances of an object category, measure to the closest."
NUMBER_HINT = "Please answer the question using a single word or phrase."
CHOICE_HINT = "Answer with the option's letter from the given choices directly."


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
            return f"{self.text}\n{NUMBER_HINT}"
        options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", self.options))
        return f"{self.text}\nOptions:\n{options}\n{CHOICE_HINT}"
