"""Quality of service: one named profile per kind of topic, and words for what does not fit together."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = ["ANSWER", "CAMERA", "LATEST", "POSE", "SubscriptionEventCallbacks", "describe_publishers"]

# A camera is read best-effort: a lost image is made up for by the next one, and best-effort matches every publisher.
CAMERA = qos_profile_sensor_data

# Poses are small and interpolated between; a deeper queue rides out a busy moment.
POSE = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)

# Answers are few and each counts.
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


def describe_publishers(node: Node, topic: str) -> str:
    """Say who publishes on a resolved topic, and with which reliability and durability."""
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return "nobody publishes on it"
    words = []
    for publisher in publishers:
        profile = publisher.qos_profile
        name = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
        words.append(f"{name} ({profile.reliability.name.lower()}, {profile.durability.name.lower()})")
    return "published by " + ", ".join(sorted(words))
