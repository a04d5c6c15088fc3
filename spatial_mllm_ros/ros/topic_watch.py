"""Find out why a topic is silent: nobody publishes, a publisher does not fit, or it has stopped; and say so by name.

The most common trouble with a camera node is a topic that was not remapped or a quality of service that does not fit.
ROS says neither in a way that names the publisher, so both are looked up here, in the graph.
"""

from __future__ import annotations

import logging
import threading
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from spatial_mllm_ros.ros.qos import describe_publishers, misfits
from spatial_mllm_ros.ros.topics import topics_with_images

__all__ = ["ImageWatch", "QosWatch"]

_log = logging.getLogger(__name__)


class QosWatch:
    """Reports publishers that a subscription cannot hear, each once for as long as that lasts.

    Args:
        node: looks at the graph.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked: dict[str, QoSProfile] = {}
        self._lock = threading.Lock()
        self.problems: dict[str, str] = {}

    def add(self, subscription: Subscription) -> None:
        """Watch the topic of a subscription."""
        self._asked[subscription.topic_name] = subscription.qos_profile

    def check(self) -> None:
        """Bring `problems`, sentences by resolved topic, up to date; log those that are new."""
        with self._lock:
            problems = {}
            for topic, asked in self._asked.items():
                sentences = misfits(self._node, topic, asked)
                if sentences:
                    problems[topic] = (
                        f"{topic}: {', '.join(sentences)}; change the publisher's quality of service, or ours with the "
                        f"parameters qos_overrides.{topic}.subscription.*"
                    )
            for topic, problem in problems.items():
                if self.problems.get(topic) != problem:
                    _log.error("%s", problem)
            self.problems = problems


class ImageWatch:
    """Knows whether images come, and if not, why; logs when they fail to come and when they come again.

    Args:
        node: looks at the graph.
        topic: resolved name of the colour topic.
        kind: message type that is read from it, "Image" or "CompressedImage".
    """

    def __init__(self, node: Node, topic: str, kind: str) -> None:
        self.topic = topic
        self._node, self._kind = node, kind
        self._opened_at = time.monotonic()
        self._last_at: float | None = None
        self._is_reported = False

    def note(self) -> None:
        """Note that an image has just arrived."""
        self._last_at = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the last image, or since the beginning if there was none."""
        return time.monotonic() - (self._opened_at if self._last_at is None else self._last_at)

    def check(self, timeout_s: float) -> str:
        """Say why images do not come, if they have not for `timeout_s` seconds; else return ""."""
        is_silent = self.silent_s > timeout_s
        problem = self._explain() if is_silent else ""
        if is_silent and not self._is_reported:
            _log.warning("%s", problem)
        elif self._is_reported and not is_silent:
            _log.info("images are coming on %s", self.topic)
        self._is_reported = is_silent
        return problem

    def _explain(self) -> str:
        since = "yet" if self._last_at is None else f"for {self.silent_s:.0f} s"
        what = f"no image on {self.topic} {since}: {describe_publishers(self._node, self.topic)}"
        if self._node.count_publishers(self.topic):
            return what
        others = {topic: kind for topic, kind in topics_with_images(self._node).items() if topic != self.topic}
        if not others:
            return f"{what}, nor images on any other topic; is the camera running, in the same ROS_DOMAIN_ID?"
        named = ", ".join(f"{topic} ({kind})" for topic, kind in others.items())
        if self._kind in others.values():
            return f"{what}; there are images on {named}: is ~/image remapped?"
        return f"{what}; there are images on {named}: is ~/image remapped, and image_transport right?"
