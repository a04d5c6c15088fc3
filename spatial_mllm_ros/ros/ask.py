"""Ask the running node: `ros2 run spatial_mllm_ros ask "How many chairs are in this room?"`.

Uses the service, or with `--stream` the action, which prints the answer as it is said and can be cancelled with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.ros.qos import QUESTIONS
from spatial_mllm_ros.srv import SpatialQuery

__all__ = ["AskError", "ask_action", "ask_service", "dict_from_answer", "main", "status_name"]

_MARGIN_S = 5.0  # how much longer than the question's own deadline a client waits for the node


class AskError(Exception):
    """The node cannot be reached, or did not answer; the message says what to look at."""


def ask_service(node: Node, name: str, question: str, *, timeout_s: float, **fields: Any) -> SpatialAnswer:
    """Ask over the service.

    Args:
        node: the client's node; must not be spinning elsewhere.
        name: the node to ask, such as "/spatial_mllm".
        question: plain words.
        timeout_s: deadline of the question; the client waits a little longer.
        fields: other fields of the request.

    Raises:
        AskError: if there is no such service, or no answer in time.
    """
    client = node.create_client(SpatialQuery, f"{name}/query", qos_profile=QUESTIONS)
    try:
        if not client.wait_for_service(timeout_s):
            raise AskError(f"no service {name}/query within {timeout_s:.0f} s; is the node running and configured?")
        future = client.call_async(SpatialQuery.Request(question=question, timeout=timeout_s, **fields))
        rclpy.spin_until_future_complete(node, future, timeout_sec=timeout_s + _MARGIN_S)
        if not future.done():
            raise AskError(f"{name} did not answer within {timeout_s + _MARGIN_S:.0f} s; is it still running?")
        return future.result().answer
    finally:
        node.destroy_client(client)


def ask_action(
    node: Node,
    name: str,
    question: str,
    *,
    timeout_s: float,
    on_feedback: Callable[[AskSpatial.Feedback], object] = lambda _: None,
    **fields: Any,
) -> SpatialAnswer:
    """Ask over the action; see `ask_service`. Ctrl-C cancels the question and gives what was said until then."""
    client = ActionClient(node, AskSpatial, f"{name}/ask")
    try:
        if not client.wait_for_server(timeout_s):
            raise AskError(f"no action {name}/ask within {timeout_s:.0f} s; is the node running and configured?")
        goal = AskSpatial.Goal(question=question, timeout=timeout_s, **fields)
        sent = client.send_goal_async(goal, feedback_callback=lambda message: on_feedback(message.feedback))
        rclpy.spin_until_future_complete(node, sent, timeout_sec=timeout_s)
        if not sent.done() or not sent.result().accepted:
            raise AskError(f"{name} did not accept the question")
        result = sent.result().get_result_async()
        try:
            rclpy.spin_until_future_complete(node, result, timeout_sec=timeout_s + _MARGIN_S)
        except KeyboardInterrupt:
            sent.result().cancel_goal_async()
            rclpy.spin_until_future_complete(node, result, timeout_sec=_MARGIN_S)
        if not result.done() or result.result().status == GoalStatus.STATUS_UNKNOWN:
            raise AskError(f"{name} did not answer within {timeout_s + _MARGIN_S:.0f} s; is it still running?")
        return result.result().result.answer
    finally:
        client.destroy()


def status_name(status: int) -> str:
    """Return the name of a status constant of `SpatialAnswer`, such as "OK"."""
    names = (name for name in dir(SpatialAnswer) if name.isupper() and getattr(SpatialAnswer, name) == status)
    return next(names, f"STATUS_{status}")


def dict_from_answer(answer: SpatialAnswer) -> dict[str, Any]:
    """Return an answer as JSON values: stamps and times in seconds."""
    return {
        "query_id": answer.query_id,
        "question": answer.question,
        "answer": answer.answer,
        "status": status_name(answer.status),
        "message": answer.message,
        "meaningful": answer.meaningful,
        "keyframe_stamps_s": [stamp.sec + stamp.nanosec / 1e9 for stamp in answer.keyframe_stamps],
        "keyframe_age_s": answer.keyframe_age,
        "oldest_keyframe_age_s": answer.oldest_keyframe_age,
        "coverage": answer.coverage,
        "num_tokens": answer.num_tokens,
        "model": answer.model,
        "backend": answer.backend,
        "stage_times_s": {time.stage: time.seconds for time in answer.stage_times},
    }


def main(argv: list[str] | None = None) -> int:
    """Ask as the command line says; return 0 answered, 1 not answered, 2 bad input."""
    argv = sys.argv if argv is None else argv
    parser = argparse.ArgumentParser(prog="ask", description="Ask the running node about the space around it.")
    parser.add_argument("question", help="plain words")
    parser.add_argument("--node", default="/spatial_mllm", help="name of the node (default /spatial_mllm)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="deadline, seconds (default 30)")
    parser.add_argument("--max-staleness", type=float, default=0.0, metavar="S", help="refresh older keyframes first")
    parser.add_argument("--stream", action="store_true", help="use the action: print the answer as it is said")
    parser.add_argument("--json", action="store_true", help="print everything about the answer as JSON")
    args = parser.parse_args(remove_ros_args(argv)[1:])
    if not args.timeout > 0:
        parser.error(f"--timeout must be above 0, not {args.timeout}")
    rclpy.init(args=argv)
    node = rclpy.create_node("ask_spatial_mllm")
    says_along = args.stream and not args.json
    options = {"timeout_s": args.timeout, "max_staleness": args.max_staleness}
    try:
        if args.stream:
            feedback = (lambda f: print(f.text, end="", flush=True)) if says_along else (lambda _: None)
            answer = ask_action(node, args.node, args.question, on_feedback=feedback, **options)
        else:
            answer = ask_service(node, args.node, args.question, **options)
    except AskError as error:
        print(f"ask: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    _print(answer, args.json, says_along)
    return 0 if answer.status == SpatialAnswer.OK else 1


def _print(answer: SpatialAnswer, as_json: bool, was_said: bool) -> None:
    if as_json:
        print(json.dumps(dict_from_answer(answer)))
        return
    print("" if was_said else answer.answer)
    if answer.status != SpatialAnswer.OK:
        print(f"{status_name(answer.status)}: {answer.message}", file=sys.stderr)
    elif not answer.meaningful:
        print("(the model has random weights: the words mean nothing)", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
