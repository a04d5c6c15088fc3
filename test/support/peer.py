"""A client of a `Graph`: a ROS node in the test's own process that asks, listens, and plays a camera gone wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.srv import SpatialQuery
from std_srvs.srv import Trigger

NODE = "/spatial_mllm"


def until(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> object:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.01)
    return result


class Peer:
    """Spins in a thread; keeps what /diagnostics says about the node."""

    def __init__(self, domain_id: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("peer", context=self.context)
        self.statuses: dict[str, object] = {}
        self._clients: dict[str, object] = {}
        self.listen("/diagnostics", DiagnosticArray, self._keep)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=5.0)
        self._thread.join(5.0)
        self.node.destroy_node()
        self.context.try_shutdown()

    def listen(self, topic: str, kind: type, on_message: Callable | None = None, *, raw: bool = False) -> list:
        """Subscribe; return the list to which messages are added, unless `on_message` takes them."""
        heard: list = []
        self.node.create_subscription(kind, topic, on_message or heard.append, QoSProfile(depth=1000), raw=raw)
        return heard

    def call(self, kind: type, name: str, request: object, timeout_s: float = 60.0) -> object:
        """Call a service and wait for its response."""
        future = self.send(kind, name, request)
        until(future.done, f"a response of {name}", timeout_s)
        return future.result()

    def send(self, kind: type, name: str, request: object) -> Future:
        client = self._clients.get(name) or self._clients.setdefault(name, self.node.create_client(kind, name))
        until(client.service_is_ready, f"the service {name}")
        return client.call_async(request)

    def answer(self, question: str = "what is here?", *, timeout: float = 30.0, **fields: object) -> SpatialAnswer:
        """Ask over the service and wait for the answer."""
        request = SpatialQuery.Request(question=question, timeout=timeout, **fields)
        return self.call(SpatialQuery, f"{NODE}/query", request, timeout + 15.0).answer

    def answer_from(self, num_keyframes: int) -> SpatialAnswer:
        """Ask until an answer rests on that many keyframes."""
        answers: list[SpatialAnswer] = []

        def is_full() -> bool:
            answers.append(self.answer())
            return len(answers[-1].keyframe_stamps) == num_keyframes

        until(is_full, f"an answer from {num_keyframes} keyframes")
        return answers[-1]

    def begin(self, question: str = "what is here?", timeout: float = 30.0) -> tuple[object, list]:
        """Ask over the action; return the goal's handle and the list to which feedback is added."""
        heard: list = []
        client = ActionClient(self.node, AskSpatial, f"{NODE}/ask")
        until(client.server_is_ready, "the action")
        goal = AskSpatial.Goal(question=question, timeout=timeout)
        sent = client.send_goal_async(goal, feedback_callback=lambda message: heard.append(message.feedback))
        until(sent.done, "the goal's response")
        assert sent.result().accepted
        self._clients[str(id(client))] = client  # rclpy drops feedback once nobody holds the client
        return sent.result(), heard

    def finish(self, handle: object, timeout_s: float = 60.0) -> tuple[int, SpatialAnswer]:
        """Wait for a goal's end; return its status and the answer."""
        future = handle.get_result_async()
        until(future.done, "the goal's result", timeout_s)
        return future.result().status, future.result().result.answer

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f"{NODE}/change_state", request).success

    def reset(self) -> None:
        assert self.call(Trigger, f"{NODE}/reset", Trigger.Request()).success

    def wait_for_status(self, part: str, accept: Callable[[object], object]) -> object:
        """Wait until the newest diagnostics of one part are as wanted, and return them."""
        name = f"{NODE[1:]}: {part}"
        try:
            until(lambda: name in self.statuses and accept(self.statuses[name]), f"diagnostics of {part}")
        except AssertionError as error:
            raise AssertionError(f"{error}; they were {self.statuses.get(name)}") from None
        return self.statuses[name]

    def count(self, part: str, key: str) -> int:
        """A number from the newest diagnostics of one part; 0 if it is not there."""
        status = self.wait_for_status(part, lambda status: True)
        return int({pair.key: pair.value for pair in status.values}.get(key, 0))

    def _keep(self, message: DiagnosticArray) -> None:
        self.statuses.update({status.name: status for status in message.status})
