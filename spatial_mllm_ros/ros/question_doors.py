"""The query path's doors: the service `~/query`, the action `~/ask`, and the topic `~/answer` where all answers go.

They stand open as long as the node lives: a question always gets an answer, if only one that says why there is none.

A question occupies one executor thread while it waits, which is why the reasoner's queue bounds the number of threads
(`threads_needed`): further questions are answered BUSY at once. Awaiting in a coroutine would need no thread, but
rclpy's executors do not resume a coroutine when what it awaits is done: they poll it, and only when they have been
woken by something else.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.reasoning import Answer, AnswerStatus, AnswerStream, Reasoner
from spatial_mllm_ros.ros.conversions import answer_msg_from_answer
from spatial_mllm_ros.ros.qos import ANSWER, QUESTIONS
from spatial_mllm_ros.srv import SpatialQuery

__all__ = ["QuestionDoors", "Unanswerable", "threads_needed"]

_LOOK_AGAIN_S = 0.1  # how soon a cancellation is noticed that came before there was an answer to cancel
_RESULT_KEPT_S = 10  # how long a client may take to fetch an action's result; Humble's 900 would pile them up
_CANCELLING_S = 1.0  # longest wait for rclpy to note a cancellation that it has already told us of

Request = SpatialQuery.Request | AskSpatial.Goal


class Unanswerable(Exception):
    """There is nobody to answer a question.

    Attributes:
        status: of the answer that says so.
    """

    def __init__(self, status: AnswerStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def threads_needed(queue_size: int) -> int:
    """Return how many executor threads questions can occupy at a time: those in line and the one being answered."""
    return queue_size + 1


class QuestionDoors:
    """Serves questions from `open` to `close`.

    Args:
        node: on which to serve.
        reasoner: gives the reasoner, or raises `Unanswerable`.
    """

    def __init__(self, node: Node, reasoner: Callable[[], Reasoner]) -> None:
        self._node, self._reasoner = node, reasoner
        self._group = ReentrantCallbackGroup()
        self._service = self._action = self._answers = None
        self._changed = threading.Condition()
        self._streams: dict[AnswerStream, str] = {}  # questions under way, and why we ended them ("" if we did not)
        self._goals: dict[bytes, AnswerStream] = {}  # of the action, by goal id
        self._cancelled: set[bytes] = set()  # goals that a client has cancelled

    def open(self) -> None:
        """Begin to serve."""
        self._answers = self._node.create_publisher(SpatialAnswer, "~/answer", ANSWER)
        self._service = self._node.create_service(
            SpatialQuery, "~/query", self._query, qos_profile=QUESTIONS, callback_group=self._group
        )
        self._action = ActionServer(
            self._node,
            AskSpatial,
            "~/ask",
            execute_callback=self._ask,
            goal_callback=lambda _: GoalResponse.ACCEPT,  # what is wrong with a question is said in its answer
            cancel_callback=self._cancel,
            callback_group=self._group,
            goal_service_qos_profile=QUESTIONS,
            result_service_qos_profile=QUESTIONS,
            cancel_service_qos_profile=QUESTIONS,
            feedback_pub_qos_profile=QUESTIONS,
            result_timeout=_RESULT_KEPT_S,
        )

    def close(self) -> None:
        """Stop serving; the executor must not be spinning any more."""
        self._action.destroy()
        self._node.destroy_service(self._service)
        self._node.destroy_publisher(self._answers)

    def end_all(self, why: str) -> None:
        """End the questions under way, CANCELLED."""
        with self._changed:
            for stream in self._streams:
                self._streams[stream] = why
                stream.cancel()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no question is under way; False if one still is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._streams, timeout_s)

    def _query(self, request: SpatialQuery.Request, response: SpatialQuery.Response) -> SpatialQuery.Response:
        response.answer = self._answer(request, AnswerStream.result)
        return response

    def _ask(self, goal: ServerGoalHandle) -> AskSpatial.Result:
        goal_id = bytes(goal.goal_id.uuid)

        def follow(stream: AnswerStream) -> Answer:
            with self._changed:
                self._goals[goal_id] = stream
            self._feed_back(goal, stream)
            return stream.result()

        answer = self._answer(goal.request, follow)
        if answer.status == SpatialAnswer.OK:
            goal.succeed()
        elif self._is_cancelled(goal, goal_id):
            goal.canceled()
        else:
            goal.abort()
        with self._changed:
            self._goals.pop(goal_id, None)
            self._cancelled.discard(goal_id)
        return AskSpatial.Result(answer=answer)

    def _answer(self, request: Request, follow: Callable[[AnswerStream], Answer]) -> SpatialAnswer:
        try:
            stream = self._begin(request)
        except Unanswerable as error:
            answer = Answer(
                query_id=request.query_id, question=request.question, status=error.status, message=str(error)
            )
        else:
            answer = self._follow(stream, follow)
        msg = answer_msg_from_answer(answer, self._node.get_clock().now().nanoseconds)
        self._answers.publish(msg)
        return msg

    def _begin(self, request: Request) -> AnswerStream:
        with self._changed:  # so that `end_all` misses none
            stream = self._reasoner().ask(
                request.question,
                query_id=request.query_id,
                timeout_s=request.timeout,
                max_staleness_s=request.max_staleness,
            )
            self._streams[stream] = ""
            return stream

    def _follow(self, stream: AnswerStream, follow: Callable[[AnswerStream], Answer]) -> Answer:
        try:
            answer = follow(stream)
        finally:
            with self._changed:
                why_ended = self._streams.pop(stream)
                self._changed.notify_all()
        if why_ended and answer.status == AnswerStatus.CANCELLED:
            answer = dataclasses.replace(answer, message=why_ended)
        return answer

    def _feed_back(self, goal: ServerGoalHandle, stream: AnswerStream) -> None:
        """Pass on stages and pieces as they come, until the answer has ended."""
        pieces, stage, is_told = 0, "", False
        while not (stream.is_done and is_told):
            is_told = stream.is_done
            if goal.is_cancel_requested:  # before the stream was there to be cancelled
                stream.cancel()
            text, pieces = stream.text_from(pieces)
            now = stream.stage if stream.stage != "done" else "answering"  # the last piece may come with the end
            if text or (now != stage and not is_told):
                stage = now
                goal.publish_feedback(AskSpatial.Feedback(stage=stage, text=text, num_tokens=stream.num_tokens))
            if not is_told:
                stream.wait_for_change(pieces, stage, _LOOK_AGAIN_S)

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        goal_id = bytes(goal.goal_id.uuid)
        with self._changed:
            stream = self._goals.get(goal_id)
            if stream is not None:
                self._cancelled.add(goal_id)
                stream.cancel()
        return CancelResponse.ACCEPT

    def _is_cancelled(self, goal: ServerGoalHandle, goal_id: bytes) -> bool:
        """Tell whether a client has cancelled a goal.

        rclpy changes the goal's state after it has called `_cancel`, and by then the answer may have ended.
        """
        deadline = time.monotonic() + _CANCELLING_S
        while goal_id in self._cancelled and not goal.is_cancel_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        return goal.is_cancel_requested
