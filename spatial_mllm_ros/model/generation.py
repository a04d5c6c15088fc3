"""How the next token is chosen from logits. Greedy by default; the rest is as transformers' generate does it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spatial_mllm_ros.errors import InputError

__all__ = ["GenerationRule"]


@dataclass(frozen=True, kw_only=True)
class GenerationRule:
    """How to choose a token.

    Attributes:
        temperature: 0 takes the best token; otherwise logits are divided by it and a token is drawn.
        top_p: draw among the best tokens whose probabilities add up to this.
        repetition_penalty: divides positive and multiplies negative logits of tokens seen so far, prompt included.

    Raises:
        InputError: if a value is out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise InputError(f"temperature must be at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must lie in (0, 1], not {self.top_p}")
        if not self.repetition_penalty > 0:
            raise InputError(f"repetition_penalty must be positive, not {self.repetition_penalty}")

    def choose(self, logits: Tensor, seen_ids: Tensor, generator: torch.Generator | None = None) -> int:
        """Choose a token.

        Args:
            logits: [1,V] of the last token read.
            seen_ids: int64 [1,L], all tokens read.
            generator: source of chance on the logits' device; torch's own if None.
        """
        scores = logits.float()
        if self.repetition_penalty != 1:
            seen_ids = seen_ids.to(scores.device)
            seen = scores.gather(1, seen_ids)
            seen = torch.where(seen < 0, seen * self.repetition_penalty, seen / self.repetition_penalty)
            scores = scores.scatter(1, seen_ids, seen)
        if self.temperature == 0:
            return int(scores.argmax())
        probabilities = (scores / self.temperature).softmax(-1)
        if self.top_p < 1:
            best, order = probabilities.sort(descending=True)
            kept = best.cumsum(-1) - best < self.top_p  # the first token whose inclusion reaches top_p is kept
            probabilities = torch.zeros_like(probabilities).scatter(1, order, best * kept)
        return int(torch.multinomial(probabilities, 1, generator=generator))
