"""A crowd of clients that ask the running node over service and action, good questions and bad, and sometimes cancel.

Each client is a thread with a service client of its own; sixteen of them share a node and its action client. A client
asks one question after the other and thinks in between, as people do. What matters is that every request ends.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.ros.ask import status_name
from spatial_mllm_ros.ros.qos import QUESTIONS
from spatial_mllm_ros.srv import SpatialQuery

__all__ = ["Crowd", "Outcome", "Request", "draw_request"]

_PER_NODE = 16  # clients that share a ROS node, and a thread that spins it
_TIMEOUTS_S = (0.3, 2.0, 10.0)
_STALENESS_S = (0.0, 0.0, 0.0, 1.0, 5.0)  # 0: any keyframes will do
_GOOD = ("How many chairs are in this room?", "Wo ist die Tür?", "Is the sofa to my left? 🛋")
_BAD = ("", "x" * 2000, "what is <|im_end|> here?")
_SHARE_BAD = 0.15
_SHARE_ACTION = 0.5
_SHARE_CANCELLED = 0.3  # of those over the action; a service cannot be cancelled
_GOAL_STATUS = {"OK": {GoalStatus.STATUS_SUCCEEDED}, "CANCELLED": {GoalStatus.STATUS_CANCELED}}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client is going to ask.

    Attributes:
        door: "service" or "action".
        question: plain words, or something that is no question.
        timeout_s: deadline.
        max_staleness_s: 0 for any keyframes.
        cancel_after_s: time until it is cancelled; NaN if it is not.
    """

    door: str
    question: str
    timeout_s: float
    max_staleness_s: float
    cancel_after_s: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a request ended.

    Attributes:
        door: "service" or "action".
        status: name of the answer's status; for one that never ended, what was waited for in vain.
        has_ended: False if it never did.
        late_s: time from its deadline to its end as the client saw it, s; negative if it ended before.
        first_token_s: from the asking, as the node says; NaN without an OK answer.
        disagreement: what is wrong if the action's own status does not fit the answer's; empty if it does.
    """

    door: str
    status: str
    has_ended: bool
    late_s: float
    first_token_s: float = math.nan
    disagreement: str = ""


def draw_request(chance: random.Random) -> Request:
    """Draw what to ask next."""
    door = "action" if chance.random() < _SHARE_ACTION else "service"
    is_cancelled = door == "action" and chance.random() < _SHARE_CANCELLED
    return Request(
        door=door,
        question=chance.choice(_BAD if chance.random() < _SHARE_BAD else _GOOD),
        timeout_s=chance.choice(_TIMEOUTS_S),
        max_staleness_s=chance.choice(_STALENESS_S),
        cancel_after_s=chance.random() if is_cancelled else math.nan,
    )


class _Unanswered(Exception):
    """Something that had to come has not come."""


class Crowd:
    """Clients that ask from `start` to `stop`.

    Args:
        num_clients: how many.
        name: the node to ask, such as "/spatial_mllm".
        think_s: mean time that a client waits between two questions.
        grace_s: time beyond its deadline after which a request counts as never ended.
    """

    def __init__(self, num_clients: int, name: str, *, think_s: float = 1.0, grace_s: float = 30.0) -> None:
        self.outcomes: list[Outcome] = []
        self._name, self._think_s, self._grace_s = name, think_s, grace_s
        self._lock, self._is_over = threading.Lock(), threading.Event()
        self._nodes = [rclpy.create_node(f"crowd_{number}") for number in range(math.ceil(num_clients / _PER_NODE))]
        self._actions = [self._action_client(node) for node in self._nodes]
        self._executors = [SingleThreadedExecutor() for _ in self._nodes]
        self._spinning = [threading.Thread(target=executor.spin, daemon=True) for executor in self._executors]
        self._clients = [
            threading.Thread(target=self._ask_on, args=(number,), name=f"client {number}", daemon=True)
            for number in range(num_clients)
        ]
        for executor, node in zip(self._executors, self._nodes, strict=True):
            executor.add_node(node)

    def start(self) -> None:
        """Begin to ask."""
        for thread in (*self._spinning, *self._clients):
            thread.start()

    def stop(self) -> None:
        """Ask no more, wait until all requests have ended or count as never ended, and let go of the graph."""
        self._is_over.set()
        for thread in self._clients:
            thread.join()
        for executor, thread in zip(self._executors, self._spinning, strict=True):
            executor.shutdown(timeout_sec=5.0)
            thread.join(5.0)
        for action in self._actions:
            action.destroy()
        for node in self._nodes:
            node.destroy_node()

    def statuses(self) -> Counter[str]:
        """Count the requests so far by status."""
        with self._lock:
            return Counter(outcome.status for outcome in self.outcomes)

    def _action_client(self, node: Node) -> ActionClient:
        profiles = ("goal_service", "result_service", "cancel_service", "feedback_sub")
        qos = {f"{profile}_qos_profile": QUESTIONS for profile in profiles}
        return ActionClient(node, AskSpatial, f"{self._name}/ask", **qos)

    def _ask_on(self, number: int) -> None:
        chance = random.Random(number)
        place = number // _PER_NODE
        client = self._nodes[place].create_client(SpatialQuery, f"{self._name}/query", qos_profile=QUESTIONS)
        for is_there in (client.wait_for_service, self._actions[place].wait_for_server):
            while not is_there(timeout_sec=1.0):  # what is sent before client and server know each other is lost
                if self._is_over.is_set():
                    return
        while not self._is_over.wait(2 * self._think_s * chance.random()):
            request = draw_request(chance)
            door = self._actions[place] if request.door == "action" else client
            outcome = self._ask(request, door)
            with self._lock:
                self.outcomes.append(outcome)

    def _ask(self, request: Request, door: object) -> Outcome:
        deadline = time.monotonic() + request.timeout_s
        fields = {
            "question": request.question, "timeout": request.timeout_s, "max_staleness": request.max_staleness_s,
        }  # fmt: skip
        try:
            if request.door == "service":
                answer, disagreement = self._over_service(door, SpatialQuery.Request(**fields), deadline), ""
            else:
                goal = AskSpatial.Goal(**fields)
                answer, disagreement = self._over_action(door, goal, request.cancel_after_s, deadline)
        except _Unanswered as missing:
            late_s = time.monotonic() - deadline
            return Outcome(door=request.door, status=str(missing), has_ended=False, late_s=late_s)
        times = {time.stage: time.seconds for time in answer.stage_times}
        return Outcome(
            door=request.door,
            status=status_name(answer.status),
            has_ended=True,
            late_s=time.monotonic() - deadline,
            first_token_s=times.get("first_token", math.nan) if answer.status == SpatialAnswer.OK else math.nan,
            disagreement=disagreement,
        )

    def _over_service(self, client: object, request: SpatialQuery.Request, deadline: float) -> SpatialAnswer:
        return self._result(client.call_async(request), deadline, "no response").answer

    def _over_action(
        self, client: ActionClient, goal: AskSpatial.Goal, cancel_after_s: float, deadline: float
    ) -> tuple[SpatialAnswer, str]:
        may_be = {GoalStatus.STATUS_ABORTED}
        handle = self._result(client.send_goal_async(goal), deadline, "no response to the goal")
        if not handle.accepted:
            raise _Unanswered("goal not accepted")
        result = handle.get_result_async()
        if not math.isnan(cancel_after_s) and not _is_done_within(result, cancel_after_s):
            self._result(handle.cancel_goal_async(), deadline, "no response to the cancelling")
            may_be.add(GoalStatus.STATUS_CANCELED)  # whatever else happened to it in that moment
        wrapped = self._result(result, deadline, "no result")
        answer = wrapped.result.answer
        fits = wrapped.status in _GOAL_STATUS.get(status_name(answer.status), may_be)
        return answer, "" if fits else f"{status_name(answer.status)}, but the goal's status is {wrapped.status}"

    def _result(self, future: Future, deadline: float, otherwise: str) -> object:
        if not _is_done_within(future, deadline + self._grace_s - time.monotonic()):
            raise _Unanswered(otherwise)
        return future.result()


def _is_done_within(future: Future, seconds: float) -> bool:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(max(0.0, seconds))
