"""Score replies as VSI-Bench does: Mean Relative Accuracy for numbers, accuracy for choices."""

from __future__ import annotations

import re

import numpy as np

from spatial_mllm_ros.training.scenes.question import Question

__all__ = ["choice_accuracy", "mean_relative_accuracy", "score"]

_THRESHOLDS = np.arange(0.5, 1.0, 0.05)  # 0.50, 0.55, ... 0.95
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LETTER = re.compile(r"^\W*([A-Da-d])(?:\W|$)")
_WORDS = {word: index for index, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))}  # fmt: skip


def mean_relative_accuracy(predicted: float, truth: float) -> float:
    """Return the share of thresholds t in 0.50, 0.55, ... 0.95 for which |predicted - truth| / |truth| < 1 - t.

    Source: Yang et al., arXiv 2412.14171, equation 1. A truth of 0 counts as 1 if met exactly, else 0.
    """
    if truth == 0:
        return float(predicted == 0)
    error = abs(predicted - truth) / abs(truth)
    return float(np.mean([error < 1 - threshold for threshold in _THRESHOLDS]))


def choice_accuracy(question: Question, reply: str) -> float:
    """Return 1 if a reply names the right option, by its letter or in its words, else 0."""
    words = reply.strip().rstrip(".").lower()
    named = [letter for letter, option in zip("ABCD", question.options) if option.lower() == words]
    match = _LETTER.match(reply)
    chosen = named[0] if named else match.group(1).upper() if match else ""
    return float(chosen == question.answer)


def score(question: Question, reply: str) -> float:
    """Return how right a reply in words is, from 0 to 1; a reply without a number or letter is worth 0."""
    if question.options:
        return choice_accuracy(question, reply)
    match = _NUMBER.search(reply)
    if match:
        return mean_relative_accuracy(float(match.group()), float(question.answer))
    spelled = [_WORDS[word] for word in re.findall(r"[a-z]+", reply.lower()) if word in _WORDS]
    return mean_relative_accuracy(float(spelled[0]), float(question.answer)) if spelled else 0.0
