"""The query path: questions wait in a bounded line, and one thread answers them from the newest prefix.

First come, first served, among the questions that can be served: one that waits for fresher keyframes does not hold up
those behind it. Between the model's steps the same thread ends the questions in line that were cancelled or are late,
so each ends on time to within one step.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial_mllm_ros.reasoning.answer import AnswerStatus
from spatial_mllm_ros.reasoning.compute import ahead_of_others, settle
from spatial_mllm_ros.reasoning.config import ReasonerConfig
from spatial_mllm_ros.reasoning.fault_log import FaultLog
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

    Attributes:
        statistics: of the stages of answers that ended OK.
        faults: what went wrong.
    """

    def __init__(self, model: SpatialMLLM, slots: PrefixSlots, config: ReasonerConfig) -> None:
        self.statistics = StageStatistics()
        self.faults = FaultLog(_log)
        self._model, self._slots, self._config = model, slots, config
        self._changed = slots.changed  # guards the line and the counts as well
        self._line: list[Question] = []
        self._ended: Counter[AnswerStatus] = Counter()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="spatial_mllm answer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def __len__(self) -> int:
        """Number of questions in line."""
        return len(self._line)

    @property
    def ended(self) -> Counter[AnswerStatus]:
        """A copy of the numbers of questions ended, by status."""
        with self._changed:
            return self._ended.copy()

    def put(self, question: Question) -> None:
        """Put a question in line; if the line is full it ends BUSY at once."""
        with self._changed:
            has_room = not self._is_closed and len(self._line) < self._config.queue_size
            if has_room:
                self._line.append(question)
                self._changed.notify_all()
        if self._is_closed and not has_room:
            self.end(question.stream, AnswerStatus.CANCELLED, "the reasoner is shut down")
        elif not has_room:
            waiting = f"{self._config.queue_size} questions are waiting"
            self.end(question.stream, AnswerStatus.BUSY, f"{waiting}; ask again later")

    def end(self, stream: AnswerStream, status: AnswerStatus, message: str = "", **details: object) -> None:
        """End a question, and count it if it had not ended before."""
        if stream.end(status, message, **{"model": self._model.name, **details}):
            with self._changed:
                self._ended[status] += 1

    def close(self) -> None:
        """Stop; questions in line end CANCELLED, the one being answered too, within one token."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for question in self._line:
            self._end_if_due(question)
        self._line.clear()

    def _run(self) -> None:
        with ahead_of_others(self._model.device):
            while (question := self._next()) is not None:
                try:
                    self._answer(question)
                except Exception as error:  # the edge of a thread: this question fails, the next ones are answered
                    self.faults.report("answering", error)
                    message = f"the model failed: {str(error) or type(error).__name__}; the log has the details"
                    self.end(question.stream, AnswerStatus.INTERNAL_ERROR, message)

    def _next(self) -> Question | None:
        """Wait for a question that can be answered; None if closed."""
        while True:
            self._end_waiting()
            with self._changed:
                if self._is_closed:
                    return None
                ready = next((question for question in self._line if self._slots.is_ready(question.not_before)), None)
                if ready is not None:
                    self._line.remove(ready)
                    return ready
                waiting = list(self._line)
            for question in waiting:
                question.stream.enter("encoding")
            with self._changed:
                if not self._is_closed and self._line == waiting:
                    self._changed.wait(_LOOK_AGAIN_S if waiting else None)

    def _answer(self, question: Question) -> None:
        clock = StageClock(question.asked_at)
        clock.lap("queue")
        with self._slots.serving() as prefix:
            if prefix is None:  # forgotten since it was found ready
                self.end(question.stream, AnswerStatus.NOT_READY, "the keyframes were just forgotten; ask again")
                return
            try:
                self._decode(question, prefix, clock)
            finally:
                settle(self._model.device)

    def _decode(self, question: Question, prefix: VisualPrefix, clock: StageClock) -> None:
        stream, model, config = question.stream, self._model, self._config
        prefix_age_s = max(0.0, time.monotonic() - self._slots.current_at)
        details = {**self._details(prefix, clock), "prefix_age_s": prefix_age_s}
        stream.enter("prefill")
        state = model.prefill(question.ids, past=prefix.prefill)
        settle(model.device)
        clock.lap("prefill")
        stream.enter("answering")
        text = model.text_stream()
        num_tokens = 0
        tokens = model.generate(
            state,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            repetition_penalty=config.repetition_penalty or model.config.repetition_penalty,
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
        clock.lap("decode", num_tokens)
        times = clock.finish()
        self.statistics.add((*times, ("prefix_age", prefix_age_s)))
        self.end(stream, AnswerStatus.OK, **details, stage_times=times)

    def _details(self, prefix: VisualPrefix, clock: StageClock) -> dict:
        selection = prefix.selection
        for stage, seconds in prefix.stage_times:
            clock.note(stage, seconds)
        return {
            "backend": prefix.backend,
            "meaningful": self._model.is_trained,
            "keyframe_stamps_ns": tuple(frame.stamp_ns for frame in selection.frames),
            "frame_id": selection.world_frame_id,
            "coverage": selection.coverage if selection.window_voxels else float("nan"),
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
        waited = f"{question.deadline - question.asked_at:.3g} s"
        if question.stream.stage == "answering":
            return AnswerStatus.TIMEOUT, f"stopped after {waited}; what was said until then is in the answer"
        if self._slots.newest is None:
            return AnswerStatus.NOT_READY, f"no keyframes within {waited}; is a camera publishing?"
        if not self._slots.is_ready(question.not_before):
            fresh = "no keyframes as fresh as asked for"
            return AnswerStatus.TIMEOUT, f"{fresh} within {waited}; is the camera publishing?"
        return AnswerStatus.TIMEOUT, f"not answered within {waited}; other questions came first"

    def _end_waiting(self) -> None:
        """End the questions in line that are cancelled or late."""
        with self._changed:
            waiting = list(self._line)
        ended = [question for question in waiting if self._end_if_due(question)]
        if ended:
            with self._changed:
                self._line = [question for question in self._line if question not in ended]
