"""Subscriptions of the memory path: colour, depth, calibration and pose become `Frame`s.

A callback decodes one message and hands it on; it waits for nothing. A message that cannot be used is dropped, counted
and reported once per reason. A colour image that the gate would refuse for coming too soon is not even decoded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame, FrameAssembler, FrameGate
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.ros.conversions import depth_from_msg, image_from_msg, stamp_ns_from_time
from spatial_mllm_ros.ros.mount_lookup import Tf2MountLookup
from spatial_mllm_ros.ros.qos import CAMERA, POSE, SubscriptionEventCallbacks, describe_publishers

__all__ = ["CameraInput"]

_log = logging.getLogger(__name__)


class CameraInput:
    """The camera's topics, from `open` to `close`.

    Args:
        node: on which to subscribe.
        config: gate, assembler, decoding and transport.
        on_frame: called with every frame that passes the gate; must return at once.
        on_time_jump: called when stamps go back (a bag that loops).
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        on_frame: Callable[[Frame], object],
        on_time_jump: Callable[[], object],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.qos_problems: dict[str, str] = {}
        self._node, self._config = node, config
        self._on_frame, self._on_time_jump = on_frame, on_time_jump
        self._mount_lookup = Tf2MountLookup(node)
        self._assembler = FrameAssembler(config.assembler, mount_lookup=self._mount_lookup.lookup)
        self._gate = FrameGate(config.gate)
        self._subscriptions: list[Subscription] = []
        self._lock = threading.Lock()  # orders what several callbacks release
        self._time_jumps = 0
        self._last_image_at: float | None = None
        self.image_topic = ""

    def open(self) -> None:
        """Subscribe. Colour, depth and pose are served in parallel, each in order."""
        compressed = self._config.node.image_transport == "compressed"
        topic, kind = ("~/image/compressed", CompressedImage) if compressed else ("~/image", Image)
        colour, depth, pose = (MutuallyExclusiveCallbackGroup() for _ in range(3))
        subscription = self._subscribe(kind, topic, self._on_image, CAMERA, colour)
        self.image_topic = subscription.topic_name
        self._subscribe(CameraInfo, "~/camera_info", self._on_camera_info, CAMERA, colour)
        self._subscribe(Image, "~/depth", self._on_depth, CAMERA, depth)
        self._subscribe(Odometry, "~/odometry", self._on_odometry, POSE, pose)
        self._subscribe(PoseStamped, "~/pose", self._on_pose, POSE, pose)
        self._mount_lookup.open()

    def close(self) -> None:
        """Unsubscribe, and forget what was waiting."""
        self._mount_lookup.close()
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self._assembler.clear()
        self._gate.reset()

    def reconfigure(self, config: Config) -> None:
        """Take over the live parameters."""
        self._config = config
        self._gate.config = config.gate

    def seconds_since_image(self) -> float | None:
        """Seconds since the last colour image arrived; None if there was none."""
        return None if self._last_image_at is None else time.monotonic() - self._last_image_at

    def release_waiting(self) -> None:
        """Let images go that wait for a depth image or a pose, once the camera has fallen silent."""
        self._hand_on(self._assembler.flush())

    def all_counts(self) -> Counter[str]:
        """Return the counts of messages, assembler and gate together."""
        counts = Counter(self.counts)
        for part, more in (("assembler", self._assembler.counts), ("gate", self._gate.counts)):
            counts.update({f"{part}_{reason}": number for reason, number in more.items()})
        return counts

    def _subscribe(
        self,
        kind: type,
        topic: str,
        callback: Callable,
        qos: QoSProfile,
        group: MutuallyExclusiveCallbackGroup,
    ) -> Subscription:
        resolved = self._node.resolve_topic_name(topic)
        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            qos,
            callback_group=group,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda info: self._on_bad_qos(resolved, info)),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._subscriptions.append(subscription)
        return subscription

    def _on_bad_qos(self, topic: str, info: object) -> None:
        policy = getattr(info.last_policy_kind, "name", info.last_policy_kind).lower()
        problem = (
            f"{topic}: a publisher's quality of service does not fit ({policy}): "
            f"{describe_publishers(self._node, topic)}; change it there, or set the parameter "
            f"qos_overrides.{topic}.subscription.{policy}"
        )
        self.qos_problems[topic] = problem
        _log.error("%s", problem)

    def _on_image(self, msg: Image | CompressedImage) -> None:
        self.counts["images_received"] += 1
        self._last_image_at = time.monotonic()
        stamp_ns = self._stamp_ns(msg)
        if self._gate.would_be_too_soon(stamp_ns):
            self.counts["images_too_soon"] += 1
            return
        try:
            image = image_from_msg(msg, use_cv_bridge=self._config.decoding.use_cv_bridge)
        except InputError as error:
            self._drop("images_unusable", self.image_topic, error)
            return
        frame_id = msg.header.frame_id
        self._hand_on(self._assembler.add_image(image, stamp_ns=stamp_ns, camera=self.image_topic, frame_id=frame_id))

    def _on_depth(self, msg: Image) -> None:
        self.counts["depth_received"] += 1
        try:
            depth_m = depth_from_msg(msg)
        except InputError as error:
            self._drop("depth_unusable", "~/depth", error)
            return
        frame_id = msg.header.frame_id
        self._hand_on(self._assembler.add_depth(depth_m, stamp_ns=self._stamp_ns(msg), frame_id=frame_id))

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._assembler.add_intrinsics(
            msg.k, p=msg.p, d=msg.d, width=msg.width, height=msg.height, frame_id=msg.header.frame_id
        )

    def _on_odometry(self, msg: Odometry) -> None:
        self._add_pose(msg, msg.pose.pose, msg.child_frame_id)

    def _on_pose(self, msg: PoseStamped) -> None:
        self._add_pose(msg, msg.pose, "")

    def _add_pose(self, msg: Odometry | PoseStamped, pose: object, child_frame_id: str) -> None:
        self.counts["poses_received"] += 1
        p, q = pose.position, pose.orientation
        frames = self._assembler.add_pose(
            (p.x, p.y, p.z),
            (q.x, q.y, q.z, q.w),
            stamp_ns=self._stamp_ns(msg),
            frame_id=msg.header.frame_id,
            child_frame_id=child_frame_id,
        )
        self._hand_on(frames)

    def _hand_on(self, frames: list[Frame]) -> None:
        with self._lock:
            time_jumps = self._assembler.counts["time_jump"]
            if time_jumps != self._time_jumps:
                self._time_jumps = time_jumps
                self._gate.reset()
                self._on_time_jump()
            for frame in frames:
                if self._gate.accept(frame):
                    self._on_frame(frame)

    def _stamp_ns(self, msg: object) -> int:
        """Return a message's stamp; the time of arrival for drivers that leave it empty."""
        return stamp_ns_from_time(msg.header.stamp) or self._node.get_clock().now().nanoseconds

    def _drop(self, reason: str, topic: str, error: InputError) -> None:
        self.counts[reason] += 1
        text = f"{topic}: dropped a message: {error}"
        if self.counts[reason] == 1:
            _log.warning("%s (said once; counted as %s)", text, reason)
        else:
            _log.debug("%s", text)
