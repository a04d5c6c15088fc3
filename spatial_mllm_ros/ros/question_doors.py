"""The query path's doors: the service `~/query` and the action `~/ask`.

A question occupies one executor thread while it waits, which is why the reasoner's queue bounds the number of threads
(`threads_needed`): further questions are answered BUSY at once. Awaiting in a coroutine would need no thread, but
rclpy's executors run a waiting coroutine over and over, at the cost of a whole core.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.reasoning import Answer, AnswerStatus, AnswerStream, Reasoner
from spatial_mllm_ros.ros.conversions import answer_msg_from_answer
from spatial_mllm_ros.srv import SpatialQuery

__all__ = ["QuestionDoors", "threads_needed"]

_LOOK_AGAIN_S = 1.0


def threads_needed(queue_size: int) -> int:
    """Return how many executor threads questions can occupy at a time: those in line and the one being answered."""
    return queue_size + 1


class QuestionDoors:
    """Serves questions from `open` to `close`.

    Args:
        node: on which to serve.
        reasoner: gives the reasoner, or None while there is none yet.
        on_answer: called with every answer message before it is returned.
    """

    def __init__(
        self,
        node: Node,
        reasoner: Callable[[], Reasoner | None],
        on_answer: Callable[[SpatialAnswer], object],
    ) -> None:
        self._node, self._reasoner, self._on_answer = node, reasoner, on_answer
        self._group = ReentrantCallbackGroup()
        self._service = self._action = None
        self._streams: dict[bytes, AnswerStream] = {}  # of the action's goals, by goal id

    def open(self) -> None:
        """Begin to serve."""
        self._service = self._node.create_service(SpatialQuery, "~/query", self._query, callback_group=self._group)
        self._action = ActionServer(
            self._node,
            AskSpatial,
            "~/ask",
            execute_callback=self._ask,
            goal_callback=lambda _: GoalResponse.ACCEPT,  # what is wrong with a question is said in its answer
            cancel_callback=self._cancel,
            callback_group=self._group,
        )

    def close(self) -> None:
        """Stop serving."""
        if self._action is not None:
            self._action.destroy()
        if self._service is not None:
            self._node.destroy_service(self._service)
        self._service = self._action = None

    def _query(self, request: SpatialQuery.Request, response: SpatialQuery.Response) -> SpatialQuery.Response:
        stream = self._begin(request)
        response.answer = self._end(request, stream.result() if stream else None)
        return response

    def _ask(self, goal: ServerGoalHandle) -> AskSpatial.Result:
        stream = self._begin(goal.request)
        if stream is not None:
            goal_id = bytes(goal.goal_id.uuid)
            self._streams[goal_id] = stream
            self._feed_back(goal, stream)
            del self._streams[goal_id]
        answer = self._end(goal.request, stream.result() if stream else None)
        if answer.status == SpatialAnswer.OK:
            goal.succeed()
        elif answer.status == SpatialAnswer.CANCELLED and goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return AskSpatial.Result(answer=answer)

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        stream = self._streams.get(bytes(goal.goal_id.uuid))
        if stream is not None:
            stream.cancel()
        return CancelResponse.ACCEPT

    def _feed_back(self, goal: ServerGoalHandle, stream: AnswerStream) -> None:
        """Pass on stages and pieces as they come, until the answer has ended."""
        pieces, stage, told = 0, "", False
        while not (stream.is_done and told):
            told = stream.is_done
            if goal.is_cancel_requested:  # before the stream was there to be cancelled
                stream.cancel()
            text, pieces = stream.text_from(pieces)
            if text or stream.stage not in (stage, "done"):
                stage = stream.stage
                goal.publish_feedback(AskSpatial.Feedback(stage=stage, text=text, num_tokens=stream.num_tokens))
            if not told:
                stream.wait_for_change(pieces, stage, _LOOK_AGAIN_S)

    def _begin(self, request: SpatialQuery.Request | AskSpatial.Goal) -> AnswerStream | None:
        reasoner = self._reasoner()
        if reasoner is None:
            return None
        return reasoner.ask(
            request.question,
            query_id=request.query_id,
            timeout_s=request.timeout,
            max_staleness_s=request.max_staleness,
        )

    def _end(self, request: SpatialQuery.Request | AskSpatial.Goal, answer: Answer | None) -> SpatialAnswer:
        if answer is None:
            answer = Answer(
                query_id=request.query_id,
                question=request.question,
                status=AnswerStatus.NOT_READY,
                message="the node is not active, or its model is still being loaded; see /diagnostics",
            )
        msg = answer_msg_from_answer(answer, self._node.get_clock().now().nanoseconds)
        self._on_answer(msg)
        return msg
