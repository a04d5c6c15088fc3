"""Names of topics: the form of an image topic that a transport uses, and topics that someone may have meant."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

__all__ = ["IMAGE_TYPES", "image_topic", "is_depth_published", "topics_with_images"]

IMAGE_TYPES = {"raw": Image, "compressed": CompressedImage, "compressedDepth": CompressedImage}
"""Message type by transport."""


def image_topic(node: Node, base: str, transport: str) -> str:
    """Name the topic that carries an image in a transport's form, as image_transport does.

    Args:
        node: for its namespace and remappings.
        base: the raw topic, such as "~/image".
        transport: a key of `IMAGE_TYPES`.

    Returns:
        A name to subscribe to. `~/image:=/camera/image_raw` also moves `~/image/compressed`, to
        `/camera/image_raw/compressed`, unless that has a remapping of its own.
    """
    if transport == "raw":
        return base
    own = f"{base}/{transport}"
    if node.resolve_topic_name(own) != node.resolve_topic_name(own, only_expand=True):
        return own
    return f"{node.resolve_topic_name(base)}/{transport}"


def is_depth_published(node: Node, depth_transport: str) -> bool:
    """Say whether someone publishes all that point maps from depth need: depth, calibration and pose.

    As far as the node has found out: it takes some tenths of a second to find publishers that were there before it.
    """
    depth, info = image_topic(node, "~/depth", depth_transport), "~/camera_info"
    has_pose = any(node.count_publishers(node.resolve_topic_name(name)) for name in ("~/odometry", "~/pose"))
    return has_pose and all(node.count_publishers(node.resolve_topic_name(name)) for name in (depth, info))


def topics_with_images(node: Node) -> dict[str, str]:
    """Find the topics on the graph that someone publishes images on: message type by resolved name."""
    names = {"sensor_msgs/msg/Image": "Image", "sensor_msgs/msg/CompressedImage": "CompressedImage"}
    found = {}
    for topic, types in node.get_topic_names_and_types():
        kinds = [names[kind] for kind in types if kind in names]
        if kinds and node.count_publishers(topic):
            found[topic] = kinds[0]
    return dict(sorted(found.items()))
