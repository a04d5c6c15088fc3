"""What comes out of the reasoning stage: an answer, its status, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Answer", "AnswerStatus"]


class AnswerStatus(IntEnum):
    """How a question ended; the numbers are those of `msg/SpatialAnswer.msg`."""

    OK = 0
    NOT_READY = 1
    BUSY = 2
    INVALID_QUESTION = 3
    TIMEOUT = 4
    CANCELLED = 5
    INTERNAL_ERROR = 6
    NOT_SUPPORTED = 7


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The end of one question.

    Attributes:
        query_id: as given with the question.
        question: as asked.
        text: the model's words; what was said until then for TIMEOUT and CANCELLED; empty for other failures.
        status: how it ended.
        message: one sentence about the status; empty for OK.
        meaningful: False while the model has random weights.
        keyframe_stamps_ns: stamps of the keyframes that the model saw, ascending.
        frame_id: world coordinate frame of the keyframes' geometry; empty if unknown.
        coverage: share of the window's known space that the keyframes see, 0..1; NaN if unknown.
        prefix_age_s: time since the keyframes were last known to be the right ones, when answering began; NaN if it
            did not begin.
        num_tokens: tokens in `text`.
        model: name of the checkpoint.
        backend: what ran the encoders: "torch", "onnxruntime" or "tensorrt"; empty if no keyframes were looked at.
        stage_times: (stage, seconds) in the order in which the stages ran. "queue" is the time until the model turned
            to the question; "prefix_…" stages ran in the background, mostly before it was asked; "first_token" and
            "total" count from the asking; "decode_per_token" is the mean of "decode" over the tokens.
    """

    query_id: str
    question: str
    status: AnswerStatus
    text: str = ""
    message: str = ""
    meaningful: bool = False
    keyframe_stamps_ns: tuple[int, ...] = ()
    frame_id: str = ""
    coverage: float = float("nan")
    prefix_age_s: float = float("nan")
    num_tokens: int = 0
    model: str = ""
    backend: str = ""
    stage_times: tuple[tuple[str, float], ...] = ()
