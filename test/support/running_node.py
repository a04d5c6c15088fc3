"""The node in this process, on a ROS domain of its own, with a second node beside it that plays camera and client."""

from __future__ import annotations

import array
import itertools
import os
import threading
import time
from collections.abc import Callable

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from spatial_mllm_ros.srv import SpatialQuery
from support.fake_model import FakeModel

from spatial_mllm_ros.ros.node import SpatialMLLMNode
from spatial_mllm_ros.ros.qos import QUESTIONS

_domains = itertools.count(os.getpid() * 7)
QUICK = {
    "diagnostics_period_s": 0.1,
    "frames.max_rate_hz": 0.0,
    "frames.min_sharpness": 0.0,
    "frames.min_motion": 0.0,
    "frames.use_cv_bridge": False,
    "geometry.provider": "none",  # "auto" takes a second to look for depth
    "sampling.num_keyframes": 2,
    "reasoning.min_refresh_s": 0.0,
    "reasoning.max_duty": 1.0,
}


def next_domain() -> int:
    """Return a ROS domain of one's own."""
    return 1 + next(_domains) % 100


def until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> object:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.01)
    return result


class RunningNode:
    """`node` spins in threads; `peer` does too, and keeps what /diagnostics says."""

    def __init__(self, *, load=None, autostart=True, remap=(), **parameters):
        self.model = FakeModel()
        self.context = Context()
        rclpy.init(context=self.context, domain_id=next_domain())
        values = {**QUICK, **{name.replace("__", "."): value for name, value in parameters.items()}}
        self.node = SpatialMLLMNode(
            context=self.context,
            cli_args=["--ros-args", *(word for rule in remap for word in ("-r", rule))],
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
            load=load or (lambda _: self.model),
        )
        self.peer = rclpy.create_node("peer", context=self.context)
        self.statuses = {}
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", self._keep_diagnostics, 10)
        self.executors = [
            MultiThreadedExecutor(self.node.num_threads, context=self.context),
            SingleThreadedExecutor(context=self.context),
        ]
        self.threads = []
        for executor, node in zip(self.executors, (self.node, self.peer), strict=True):
            executor.add_node(node)
            self.threads.append(threading.Thread(target=executor.spin, daemon=True))
            self.threads[-1].start()
        if autostart:
            assert self.node.start()

    def close(self):
        self.model.may_speak.set()
        self.model.may_encode.set()
        self.node.stop()
        for executor, thread in zip(self.executors, self.threads, strict=True):
            executor.shutdown(timeout_sec=5.0)
            thread.join(5.0)
        self.node.destroy_node()
        self.peer.destroy_node()
        self.context.try_shutdown()

    def camera(self, topic="/spatial_mllm/image", qos=10, kind=Image):
        """A publisher that the node has found."""
        publisher = self.peer.create_publisher(kind, topic, qos)
        until(publisher.get_subscription_count, f"a subscription to {topic}")
        return publisher

    def feed(self, publisher, condition, what, *, first_s=100.0, **fields):
        """Publish images of growing stamps until a condition holds."""
        stamps = itertools.count()

        def publish_and_look():
            publisher.publish(image_msg(first_s + 0.1 * next(stamps), **fields))
            time.sleep(0.02)
            return condition()

        return until(publish_and_look, what)

    def ask(self, question, **fields):
        """Ask over the service; return the future of its response."""
        # All clients of a service get all of its responses; with the default depth of 10 a burst hides one's own.
        client = self.peer.create_client(SpatialQuery, "/spatial_mllm/query", qos_profile=QUESTIONS)
        assert client.wait_for_service(10.0)
        return client.call_async(SpatialQuery.Request(question=question, **fields))

    def answer(self, question, **fields):
        """Ask over the service and wait for the answer."""
        future = self.ask(question, **fields)
        until(future.done, f"an answer to {question!r}")
        return future.result().answer

    def make_ready(self, publisher=None):
        """Let the node see enough to answer."""
        publisher = publisher or self.camera()
        self.feed(publisher, lambda: self.reasoning().is_ready, "keyframes")
        return publisher

    def reasoning(self):
        until(lambda: self.node._pipeline.reasoner, "a model")
        return self.node._pipeline.reasoner.diagnostics()

    def values(self, part):
        """The newest values of one part of /diagnostics."""
        status = until(lambda: self.statuses.get(f"spatial_mllm: {part}"), f"diagnostics of {part}")
        return {pair.key: pair.value for pair in status.values}

    def message(self, part):
        """The newest sentence of one part of /diagnostics."""
        return until(lambda: self.statuses.get(f"spatial_mllm: {part}"), f"diagnostics of {part}").message

    def _keep_diagnostics(self, array_msg):
        self.statuses = {status.name: status for status in array_msg.status}


def image_msg(stamp_s, *, width=32, height=24, encoding="rgb8", data=None, frame_id="camera"):
    """A grey image whose brightness grows with its stamp."""
    if data is None:
        data = np.full((height, width, 3), int(stamp_s * 10) % 256, np.uint8).tobytes()
    msg = Image(width=width, height=height, encoding=encoding, step=3 * width)
    msg.header.frame_id = frame_id
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(round(stamp_s * 1e9), 10**9)
    msg.data = array.array("B", data)
    return msg
