"""The query path: questions wait in a bounded line, and one thread answers them in order from the newest prefix.

While it answers, the same thread also ends the waiting questions whose deadline has passed or that were cancelled, so
every question ends in time whatever happens to the one before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial_mllm_ros.reasoning.answer import Answer, AnswerStatus
from spatial_mllm_ros.reasoning.config import ReasonerConfig
from spatial_mllm_ros.reasoning.prefix import PrefixSlots, VisualPrefix
from spatial_mllm_ros.reasoning.stage_clock import StageClock, StageStatistics
from spatial_mllm_ros.reasoning.stream import AnswerStream

if TYPE_CHECKING:
    from torch import Tensor

    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["AnswerWorker", "Question"]

_log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 0.05  # how often waiting questions are looked at while nothing else happens


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """A question in line.

    Attributes:
        stream: where its answer goes.
        ids: its tokens, int64 [1,L], from behind the visual prefix to the opening of the answer.
        asked_at: monotonic time of asking, s.
        deadline: monotonic time by which it must have ended, s.
        not_before: monotonic time at which the keyframes must last have been the right ones, s; -inf: any time.
    """

    stream: AnswerStream
    ids: Tensor
    asked_at: float
    deadline: float
    not_before: float


class AnswerWorker:
    """Answers questions one after the other.

    Args:
        model: the network.
        slots: where the newest visual prefix is.
        config: limits.
        backend: what runs the encoders, for the answers.
    """

    def __init__(self, model: SpatialMLLM, slots: PrefixSlots, config: ReasonerConfig, backend: str) -> None:
        self.ended: Counter[AnswerStatus] = Counter()
        self.statistics = StageStatistics()
        self.last_error = ""
        self._model, self._slots, self._config, self._backend = model, slots, config, backend
        self._line: deque[Question] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="spatial_mllm answer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def __len__(self) -> int:
        """Number of questions in line."""
        return len(self._line)

    def put(self, question: Question) -> None:
        """Put a question in line; if the line is full it ends BUSY at once."""
        with self._changed:
            if not self._is_closed and len(self._line) < self._config.queue_size:
                self._line.append(question)
                self._changed.notify_all()
                self._slots.wake()
                return
        if self._is_closed:
            self.end(question.stream, AnswerStatus.CANCELLED, "the reasoner is shut down")
        else:
            waiting = f"{self._config.queue_size} questions are waiting"
            self.end(question.stream, AnswerStatus.BUSY, f"{waiting}; ask again later")

    def end(self, stream: AnswerStream, status: AnswerStatus, message: str, **details: object) -> None:
        """End a question without a model's answer, and count it."""
        details = {"model": self._model.name, "backend": self._backend, **details}
        self.ended[status] += 1
        stream.fail(status, message, **details)

    def close(self) -> None:
        """Stop; questions in line end CANCELLED, the one being answered too, within one token."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._slots.wake()
        if self._thread.ident is not None:
            self._thread.join()
        while self._line:
            self.end(self._line.popleft().stream, AnswerStatus.CANCELLED, "the reasoner was shut down")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._line or self._is_closed)
                if self._is_closed:
                    return
                question = self._line.popleft()
            try:
                self._answer(question)
            except Exception as error:  # the edge of a thread: this question fails, the next ones are answered
                _log.exception("answering %r failed", question.stream.question)
                self.last_error = f"answering failed: {error}"
                message = f"the model failed: {error}; the node's log has the details"
                self.end(question.stream, AnswerStatus.INTERNAL_ERROR, message)

    def _answer(self, question: Question) -> None:
        stream, clock = question.stream, StageClock(question.asked_at)
        clock.lap("queue")
        if not self._wait_for_prefix(question):
            return
        clock.lap("wait_for_keyframes")
        with self._slots.serving() as prefix:
            if prefix is None:  # forgotten between waiting and borrowing
                self.end(stream, AnswerStatus.NOT_READY, "the keyframes were just forgotten; ask again")
                return
            self._decode(question, prefix, clock)

    def _wait_for_prefix(self, question: Question) -> bool:
        """Wait until keyframes are ready and fresh enough; if they do not come, end the question and return False."""
        while not self._end_if_due(question):
            if self._slots.wait_for_prefix(question.not_before, 0.0):
                return True
            question.stream.enter("encoding")
            self._slots.wait_for_prefix(question.not_before, _LOOK_AGAIN_S)
            self._end_waiting()
        return False

    def _decode(self, question: Question, prefix: VisualPrefix, clock: StageClock) -> None:
        stream, model, config = question.stream, self._model, self._config
        details = self._details(prefix, clock)
        stream.enter("prefill")
        state = model.prefill(question.ids, past=prefix.prefill)
        clock.lap("prefill")
        stream.enter("answering")
        text = model.text_stream()
        num_tokens = 0
        tokens = model.generate(
            state,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            repetition_penalty=config.repetition_penalty,
        )
        for token in tokens:
            num_tokens += 1
            if num_tokens == 1:
                clock.note("first_token", time.monotonic() - question.asked_at)
            stream.say(text.push(token), num_tokens)
            self._end_waiting()
            if self._end_if_due(question, **details, stage_times=clock.finish()):
                return
        stream.say(text.flush(), num_tokens)
        clock.lap("decode")
        times = clock.finish()
        self.statistics.add(times)
        self.ended[AnswerStatus.OK] += 1
        said, _ = stream.text_from(0)
        answer = Answer(
            query_id=stream.query_id,
            question=stream.question,
            status=AnswerStatus.OK,
            text=said,
            num_tokens=num_tokens,
            **details,
            stage_times=times,
        )
        stream.finish(answer)

    def _details(self, prefix: VisualPrefix, clock: StageClock) -> dict:
        selection = prefix.selection
        for stage, seconds in prefix.stage_times:
            clock.note(stage, seconds)
        return {
            "meaningful": self._model.is_trained,
            "keyframe_stamps_ns": tuple(frame.stamp_ns for frame in selection.frames),
            "frame_id": selection.world_frame_id,
            "coverage": selection.coverage if selection.window_voxels else float("nan"),
            "model": self._model.name,
            "backend": self._backend,
        }

    def _end_if_due(self, question: Question, **details: object) -> bool:
        """End a question that was cancelled, or whose time is up; say whether it has ended."""
        stream = question.stream
        if stream.is_cancelled or self._is_closed:
            why = "cancelled by the client" if stream.is_cancelled else "the reasoner was shut down"
            self.end(stream, AnswerStatus.CANCELLED, why, **details)
        elif time.monotonic() >= question.deadline:
            self.end(stream, *self._why_late(question), **details)
        return stream.is_done

    def _why_late(self, question: Question) -> tuple[AnswerStatus, str]:
        waited = f"{question.deadline - question.asked_at:.1f} s"
        if question.stream.stage == "answering":
            return AnswerStatus.TIMEOUT, f"stopped after {waited}; what was said until then is in the answer"
        if self._slots.newest is None:
            return AnswerStatus.NOT_READY, f"no keyframes within {waited}; is a camera publishing?"
        if self._slots.current_at < question.not_before:
            fresh = "no keyframes as fresh as asked for"
            return AnswerStatus.TIMEOUT, f"{fresh} within {waited}; is the camera publishing?"
        return AnswerStatus.TIMEOUT, f"not answered within {waited}; other questions came first"

    def _end_waiting(self) -> None:
        """End the questions in line that are cancelled or late."""
        if not self._line:
            return
        with self._changed:
            waiting = list(self._line)
        ended = [question for question in waiting if self._end_if_due(question)]
        if ended:
            with self._changed:
                for question in ended:
                    self._line.remove(question)
