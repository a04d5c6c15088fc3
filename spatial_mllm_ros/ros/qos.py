"""Quality of service: one named profile per kind of topic, and words for what does not fit together."""

from __future__ import annotations

import copy

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.topic_endpoint_info import TopicEndpointInfo

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = [
    "ANSWER",
    "CAMERA",
    "LATEST",
    "OVERRIDABLE",
    "POSE",
    "QUESTIONS",
    "SubscriptionEventCallbacks",
    "describe_publishers",
    "fresh",
    "misfits",
]

# A camera is read best-effort: a lost image is made up for by the next one, and best-effort fits every publisher.
# Deeper than rclpy's sensor profile (5), so that a second in which Python is busy costs no image at 30 Hz. Only images
# that wait take space: at worst 28 MB for raw 640x480, 187 MB for raw 1920x1080.
CAMERA = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=30,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

# Poses are small, come at up to some hundred hertz and are interpolated between: a second of them at 100 Hz.
POSE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

# Answers and diagnostics are few and each counts.
ANSWER = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)

# Who subscribes late still gets the present keyframes.
LATEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

# Requests and replies wait in queues of the middleware. rclpy's default of 10 loses the eleventh of a burst without a
# word, and its client waits forever; 256 clients at once are answered or told BUSY.
QUESTIONS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=256,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)

# What `qos_overrides.<topic>.subscription.<policy>` may set.
OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)


def fresh(profile: QoSProfile) -> QoSProfile:
    """Copy a profile; rclpy writes overrides into the one that it is given."""
    return copy.copy(profile)


def describe_publishers(node: Node, topic: str) -> str:
    """Say who publishes on a resolved topic, and with which reliability and durability."""
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return "nobody publishes on it"
    return "published by " + ", ".join(sorted(map(_describe, publishers)))


def misfits(node: Node, topic: str, asked: QoSProfile) -> list[str]:
    """Say which publishers of a resolved topic cannot be heard with the quality of service asked for, and why."""
    sentences = []
    for publisher in node.get_publishers_info_by_topic(topic):
        compatibility, reasons = qos_check_compatible(publisher.qos_profile, asked)
        if compatibility == QoSCompatibility.ERROR:
            why = "; ".join(reason.replace("ERROR: ", "").lower() for reason in reasons.split(";") if "ERROR" in reason)
            sentences.append(f"{_describe(publisher)} does not fit: {why}")
    return sorted(sentences)


def _describe(publisher: TopicEndpointInfo) -> str:
    profile = publisher.qos_profile
    name = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
    if "UNKNOWN" in publisher.node_name:  # rmw's name for a node that discovery has not told of yet, or a bare DDS one
        name = "a participant without a node name"
    return f"{name} ({profile.reliability.name.lower()}, {profile.durability.name.lower()})"
