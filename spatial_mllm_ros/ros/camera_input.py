"""Subscriptions of the memory path: colour, depth, calibration and pose become `Frame`s.

One thread of their own serves them all, each in order of arrival, so that nothing else that the node does holds up the
camera. A callback decodes one message and hands it on; it waits for nothing. A message that cannot be used is dropped,
counted and reported once per reason. A colour image that the gate would refuse for coming too soon is not even decoded.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame, FrameAssembler, FrameGate
from spatial_mllm_ros.frames.tally import Tally
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.ros.conversions import depth_from_msg, image_from_msg, stamp_ns_from_time
from spatial_mllm_ros.ros.mount_lookup import Tf2MountLookup
from spatial_mllm_ros.ros.qos import (
    CAMERA,
    OVERRIDABLE,
    POSE,
    SubscriptionEventCallbacks,
    describe_publishers,
    fresh,
)
from spatial_mllm_ros.ros.subscription_thread import SubscriptionThread, UnexecutedGroup
from spatial_mllm_ros.ros.topic_watch import ImageWatch, QosWatch
from spatial_mllm_ros.ros.topics import IMAGE_TYPES, image_topic

__all__ = ["CameraInput", "CameraState"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CameraState:
    """What is known about the camera's topics.

    Attributes:
        topic: resolved name of the colour topic.
        publishers: who publishes on it, in words.
        silence: why no image comes; empty while images come.
        image_problem: why the newest image could not be used; empty if it could.
        image_age_s: age of the newest image by its stamp and the node's clock; NaN before the first.
        counts: of messages by outcome.
        qos_problems: by resolved topic, in words.
    """

    topic: str
    publishers: str
    silence: str
    image_problem: str
    image_age_s: float
    counts: Counter[str]
    qos_problems: Mapping[str, str]


class CameraInput:
    """The camera's topics, from `open` to `close`.

    Args:
        node: on which to subscribe.
        config: gate, assembler, decoding and transports.
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
        self._node, self._config = node, config
        self._on_frame, self._on_time_jump = on_frame, on_time_jump
        self._mount_lookup = Tf2MountLookup(node)
        self._assembler = FrameAssembler(config.assembler, mount_lookup=self._mount_lookup.lookup)
        self._gate = FrameGate(config.gate)
        self._tally = Tally(_log)
        self._subscriptions: list[Subscription] = []
        self._thread: SubscriptionThread | None = None
        self._qos_watch = QosWatch(node)
        self._images: ImageWatch | None = None
        self._lock = threading.Lock()  # orders what several callbacks release
        self._time_jumps = 0
        self._image_stamp_ns: int | None = None
        self._image_problem = ""

    @property
    def image_topic(self) -> str:
        """Resolved name of the colour topic; empty before `open`."""
        return "" if self._images is None else self._images.topic

    def open(self) -> None:
        """Subscribe, and begin to take in messages."""
        config = self._config.node
        kind = IMAGE_TYPES[config.image_transport]
        topic = image_topic(self._node, "~/image", config.image_transport)
        self._images = ImageWatch(self._node, self._node.resolve_topic_name(topic), kind.__name__)
        self._subscribe(kind, topic, self._on_image, CAMERA)
        self._subscribe(CameraInfo, "~/camera_info", self._on_camera_info, CAMERA)
        depth_topic = image_topic(self._node, "~/depth", config.depth_transport)
        self._subscribe(IMAGE_TYPES[config.depth_transport], depth_topic, self._on_depth, CAMERA)
        self._subscribe(Odometry, "~/odometry", self._on_odometry, POSE)
        self._subscribe(PoseStamped, "~/pose", self._on_pose, POSE)
        self._mount_lookup.open()
        self._thread = SubscriptionThread(self._node, self._subscriptions, f"{self._node.get_name()} camera")

    def close(self) -> None:
        """Unsubscribe, and forget what was waiting. Frames are handed on no more after that."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        self._mount_lookup.close()
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self.forget()

    def forget(self) -> None:
        """Forget images, depth and poses that wait for each other, as after a jump of the clock."""
        with self._lock:
            self._assembler.clear()
            self._gate.reset()

    def reconfigure(self, config: Config) -> None:
        """Take over the live parameters."""
        self._config = config
        self._gate.config = config.gate

    def check(self) -> CameraState:
        """Look at what has arrived and at the graph; log what is wrong, and return the state for diagnostics.

        If the camera has fallen silent, images that wait for a depth image or a pose are released.
        """
        self._qos_watch.check()
        silent_s = self._images.silent_s
        if silent_s > self._config.assembler.max_delay_s:
            self._hand_on(self._assembler.flush())
        counts = self._tally.counts
        counts.setdefault("images_received", 0)
        for part, more in (("assembler", self._assembler.counts), ("gate", self._gate.counts)):
            counts.update({f"{part}_{reason}": number for reason, number in more.items()})
        return CameraState(
            topic=self.image_topic,
            publishers=describe_publishers(self._node, self.image_topic),
            silence=self._images.check(self._config.node.camera_timeout_s),
            image_problem=self._image_problem,
            image_age_s=self._image_age_s(),
            counts=counts,
            qos_problems=dict(self._qos_watch.problems),
        )

    def _subscribe(self, kind: type, topic: str, callback: Callable, qos: QoSProfile) -> None:
        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            fresh(qos),
            callback_group=UnexecutedGroup(),
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),  # `check` looks for misfits
            qos_overriding_options=QoSOverridingOptions(OVERRIDABLE),
        )
        self._subscriptions.append(subscription)
        self._qos_watch.add(subscription)

    def _on_image(self, msg: Image | CompressedImage) -> None:
        self._tally.add("images_received")
        self._images.note()
        self._image_stamp_ns = stamp_ns = self._stamp_ns(msg)
        if self._gate.would_be_too_soon(stamp_ns, may_have_depth=self._assembler.may_have_depth(stamp_ns)):
            self._tally.add("images_too_soon")
            return
        try:
            image = image_from_msg(msg, use_cv_bridge=self._config.decoding.use_cv_bridge)
        except InputError as error:
            self._image_problem = str(error)
            self._tally.add("images_unusable", "%s: dropped an image: %s", self.image_topic, error)
            return
        self._image_problem = ""
        frame_id = msg.header.frame_id
        self._hand_on(self._assembler.add_image(image, stamp_ns=stamp_ns, camera=self.image_topic, frame_id=frame_id))

    def _on_depth(self, msg: Image | CompressedImage) -> None:
        self._tally.add("depth_received")
        try:
            depth_m = depth_from_msg(msg)
        except InputError as error:
            self._tally.add("depth_unusable", "dropped a depth image: %s", error)
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
        self._tally.add("poses_received")
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

    def _image_age_s(self) -> float:
        if self._image_stamp_ns is None:
            return float("nan")
        return (self._node.get_clock().now().nanoseconds - self._image_stamp_ns) / 1e9
