"""The limits of answering, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["ReasonerConfig"]


@dataclass(frozen=True, kw_only=True)
class ReasonerConfig:
    """How questions are queued and answered, and how often the visual prefix is renewed.

    Raises:
        InputError: naming the first value outside its limits.
    """

    queue_size: int = param(8, "Questions that may wait; further ones are answered BUSY", ge=1, le=64)
    timeout_s: float = param(30.0, "Time for a question that brings no deadline of its own, s", ge=0.1, le=3600.0)
    max_question_chars: int = param(1000, "Longest question, characters", ge=1, le=20000)
    max_new_tokens: int = param(128, "Longest answer, tokens", ge=1, le=4096)
    temperature: float = param(0.0, "Sampling temperature; 0 always takes the likeliest token", ge=0.0, le=2.0)
    top_p: float = param(1.0, "Share of probability that sampling draws from, likeliest first", ge=0.01, le=1.0)
    repetition_penalty: float = param(
        0.0, "Above 1, tokens already read or said become less likely; 0: as the checkpoint says", ge=0.0, le=2.0
    )
    min_refresh_s: float = param(1.0, "Least time between two encodings of keyframes, s", ge=0.0, le=600.0)
    max_duty: float = param(0.5, "Largest share of time spent encoding keyframes in the background", ge=0.05, le=1.0)
    encode_niceness: int = param(10, "Niceness of the encoding thread on a CPU (Linux), 0..19", ge=0, le=19)
    cache_bytes: int = param(512 << 20, "Most bytes of embeddings kept for images seen before", ge=0, le=64 << 30)

    def __post_init__(self) -> None:
        check_parameters(self)
        if 0 < self.repetition_penalty < 1:
            raise InputError(
                f"parameter repetition_penalty must be 0 or lie in [1, 2], not {self.repetition_penalty}: "
                "below 1 it would make an answer repeat itself"
            )
