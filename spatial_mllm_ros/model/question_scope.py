"""Which questions a checkpoint has learnt to answer, as its config.json says; others it refuses.

The released model answers anything. A small one that was trained on a few kinds of question would answer others from
habit, which looks like an answer and is none.

In config.json: `"spatial_mllm_ros": {"answers": {"things": ["bed", ...], "questions": {"object_counting":
["How many {}(s) are in this room?", ...], ...}}}`. `{}` is a thing; the question may go on behind its first sentences,
with options or with a hint how to answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spatial_mllm_ros.errors import CheckpointError

__all__ = ["QuestionScope", "scope_from_json"]

_MAX_QUESTION_CHARS = 4000


@dataclass(frozen=True, kw_only=True, eq=False)
class QuestionScope:
    """The questions that a checkpoint answers.

    Attributes:
        things: what a question may be about.
        templates: by kind of question, its wordings with `{}` for a thing.
    """

    things: tuple[str, ...]
    templates: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        things = "(?:" + "|".join(re.escape(thing) for thing in sorted(self.things, key=len, reverse=True)) + ")"
        patterns = {
            kind: [
                re.compile(things.join(re.escape(part) for part in template.split("{}")), re.IGNORECASE)
                for template in templates
            ]
            for kind, templates in self.templates.items()
        }
        object.__setattr__(self, "_patterns", patterns)

    def kind_of(self, question: str) -> str | None:
        """Give the kind of a question; None if it is not one of those that were learnt."""
        question = question.strip()[:_MAX_QUESTION_CHARS]
        for kind, patterns in self._patterns.items():
            if any(pattern.match(question) for pattern in patterns):
                return kind
        return None

    def refusal(self) -> str:
        """Say in one sentence what it does answer."""
        examples = "; ".join(f'"{templates[0]}"' for templates in self.templates.values())
        return f"not trained for this question; it answers {examples}, with {{}} one of {', '.join(self.things)}"


def scope_from_json(answers: Any, source: str) -> QuestionScope | None:
    """Read the entry "answers"; None if there is none, so that every question is answered.

    Raises:
        CheckpointError: if it is not what the head of this module says.
    """
    if answers is None:
        return None
    try:
        things, questions = answers["things"], answers["questions"]
        templates = {kind: tuple(texts) for kind, texts in questions.items()}
        if not things or not all(templates.values()) or not all(isinstance(thing, str) for thing in things):
            raise ValueError("things and wordings must be there, as text")
        return QuestionScope(things=tuple(things), templates=templates)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{source}: "answers" must hold "things" and "questions": {error}') from error
