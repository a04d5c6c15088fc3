"""A question on its way: its pieces of text as they come, and its end.

`AnswerStream` is what `Reasoner.ask` gives back. One thread (the answer worker) feeds it; any thread may read, cancel
or listen. A listener is called from the worker's thread, so a ROS node needs no thread per question.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from spatial_mllm_ros.reasoning.answer import Answer, AnswerStatus

__all__ = ["AnswerStream"]

_log = logging.getLogger(__name__)


class AnswerStream:
    """The text of one answer, piece by piece.

    Iterating gives pieces of valid UTF-8 until the answer ends; `result` gives the `Answer`.

    Args:
        query_id: comes back in the answer.
        question: comes back in the answer.
    """

    def __init__(self, query_id: str, question: str) -> None:
        self.query_id = query_id
        self.question = question
        self._pieces: list[str] = []
        self._num_tokens = 0
        self._stage = "queued"
        self._answer: Answer | None = None
        self._is_cancelled = threading.Event()
        self._changed = threading.Condition()
        self._listeners: list[Callable[[AnswerStream], object]] = []

    @property
    def stage(self) -> str:
        """What is being done: "queued", "encoding" (no prefix yet), "prefill", "answering" or "done"."""
        return self._stage

    @property
    def num_tokens(self) -> int:
        """Tokens said so far."""
        return self._num_tokens

    @property
    def is_cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._is_cancelled.is_set()

    @property
    def is_done(self) -> bool:
        """True once there is a result."""
        return self._answer is not None

    def cancel(self) -> None:
        """Ask for an end: the answer ends CANCELLED within one token, with what was said until then."""
        self._is_cancelled.set()

    def result(self, timeout_s: float | None = None) -> Answer | None:
        """Wait for the answer; None if it has not ended within `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None, timeout_s)
            return self._answer

    def text_from(self, piece: int) -> tuple[str, int]:
        """Return the text said since the given piece, and the number of pieces so far."""
        with self._changed:
            return "".join(self._pieces[piece:]), len(self._pieces)

    def wait_for_change(self, piece: int, stage: str, timeout_s: float) -> None:
        """Wait for more than `piece` pieces or another stage than `stage`, at most `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pieces) > piece or self._stage != stage, timeout_s)

    def add_listener(self, listener: Callable[[AnswerStream], object]) -> None:
        """Call `listener(self)` after every change of stage, piece and at the end; at once if it has already ended.

        The listener runs in the worker's thread: it must return quickly. What it raises is logged and forgotten.
        """
        with self._changed:
            self._listeners.append(listener)
            is_done = self._answer is not None
        if is_done:
            self._call(listener)

    def __iter__(self) -> Iterator[str]:
        read = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._pieces) > read or self._answer is not None)  # noqa: B023
                new, read = self._pieces[read:], len(self._pieces)
                is_done = self._answer is not None
            yield from new
            if is_done and not new:
                return

    # What follows is for the answer worker.

    def enter(self, stage: str) -> None:
        """Say what is being done now; listeners hear of it if it is something else."""
        with self._changed:
            if stage == self._stage:
                return
            self._stage = stage
            self._changed.notify_all()
        self._notify()

    def say(self, text: str, num_tokens: int) -> None:
        """Add a piece of text; `num_tokens` counts all tokens so far."""
        with self._changed:
            self._num_tokens = num_tokens
            if text:
                self._pieces.append(text)
                self._changed.notify_all()
        if text:
            self._notify()

    def end(self, status: AnswerStatus, message: str = "", **details: object) -> bool:
        """End the stream; False if it had ended before, which changes nothing.

        Args:
            status, message: of the answer.
            details: further fields of `Answer`. Text and number of tokens are those said; INTERNAL_ERROR has none.
        """
        with self._changed:
            if self._answer is not None:
                return False
            said = {} if status == AnswerStatus.INTERNAL_ERROR else {"text": "".join(self._pieces)}
            if said:
                said["num_tokens"] = self._num_tokens
            self._answer = Answer(
                query_id=self.query_id, question=self.question, status=status, message=message, **said, **details
            )
            self._stage = "done"
            self._changed.notify_all()
        self._notify()
        return True

    def _notify(self) -> None:
        with self._changed:
            listeners = tuple(self._listeners)
        for listener in listeners:
            self._call(listener)

    def _call(self, listener: Callable[[AnswerStream], object]) -> None:
        try:
            listener(self)
        except Exception:  # a listener belongs to someone else; the worker must outlive it
            _log.exception("a listener of question %s failed", self.query_id)
