"""Record a tour through a room as a ROS 2 bag, as a robot with a depth camera would have.

sqlite3 storage without compression, since rosbag2 of every distribution reads it. Topics and frames are those of a
RealSense camera; odometry gives the pose of the camera's optical frame itself, so no tf is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.parameters import check_parameters, param
from spatial_mllm_ros.training.scenes.renderer import RoomRenderer
from spatial_mllm_ros.training.scenes.room import Room
from spatial_mllm_ros.training.scenes.tour import Tour

__all__ = ["BEGIN_NS", "RecordingPlan", "record_bag"]

BEGIN_NS = 1_750_000_000_000_000_000  # a fixed time, so that the same seed gives the same bag
_OPTICAL = "camera_color_optical_frame"
_COLOUR = "/camera/color/image_raw/compressed"
_CAMERA_INFO = "/camera/color/camera_info"
_DEPTH = "/camera/aligned_depth_to_color/image_raw"
_ODOMETRY = "/odom"


@dataclass(frozen=True, kw_only=True)
class RecordingPlan:
    """Rates and qualities of a recording; colour images and odometry have the rate of the tour."""

    depth_every: int = param(6, "One depth image and calibration for so many colour images", ge=1, le=1000)
    depth_divisor: int = param(4, "Depth images are this many times smaller than colour images", ge=1, le=16)
    jpeg_quality: int = param(80, "JPEG quality of the colour images", ge=1, le=100)

    def __post_init__(self) -> None:
        check_parameters(self)


def record_bag(
    room: Room,
    tour: Tour,
    folder: Path,
    renderer: RoomRenderer,
    plan: RecordingPlan | None = None,
    on_frame: Callable[[int], object] = lambda _: None,
) -> None:
    """Render a tour and write it as a bag.

    Args:
        room: the room.
        tour: where the camera goes.
        folder: the bag's folder; must not exist.
        renderer: its size and field of view are those of the colour camera.
        plan: rates and qualities.
        on_frame: called with the index of every frame written.

    Raises:
        InputError: if the folder exists, or the images cannot be divided by the plan's depth divisor.
        DependencyError: if rosbags is missing.
    """
    plan = plan or RecordingPlan()
    if folder.exists():
        raise InputError(f"{folder} exists already; choose another name or remove it")
    if renderer.width % plan.depth_divisor or renderer.height % plan.depth_divisor:
        raise InputError(f"{renderer.width}x{renderer.height} cannot be divided by {plan.depth_divisor} for depth")
    try:
        from rosbags.rosbag2 import StoragePlugin, Writer
    except ImportError as error:
        raise DependencyError("writing a bag needs rosbags; install it with: pip install rosbags") from error
    messages = _Messages()
    renderer.show(room)
    with Writer(folder, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:  # version 8: Humble reads it
        recorder = _Recorder(writer, messages)
        for index, (time_s, world_from_camera) in enumerate(zip(tour.times_s, tour.world_from_camera)):
            stamp_ns = BEGIN_NS + round(time_s * 1e9)
            recorder.write(_ODOMETRY, stamp_ns, messages.odometry(stamp_ns, world_from_camera))
            if index % plan.depth_every == 0:
                depth_m, _ = renderer.geometry(world_from_camera, plan.depth_divisor)
                recorder.write(_CAMERA_INFO, stamp_ns, messages.camera_info(stamp_ns, renderer))
                recorder.write(_DEPTH, stamp_ns, messages.depth(stamp_ns, depth_m))
            jpeg = messages.jpeg(stamp_ns, renderer.image(world_from_camera), plan.jpeg_quality)
            recorder.write(_COLOUR, stamp_ns, jpeg)
            on_frame(index)
    for database in folder.glob("*.db3"):
        _pack(database)


def _pack(database: Path) -> None:
    """Rewrite a database in small pages: a blob ends in a half-empty page, so small ones save 15 % of a bag."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA page_size = 512")
    connection.execute("VACUUM")
    connection.close()


class _Recorder:
    """Writes messages to topics of a bag, each with the type of its first message."""

    def __init__(self, writer: Any, messages: _Messages) -> None:
        self._writer, self._store = writer, messages.store
        self._connections: dict[str, Any] = {}

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
        self._writer.write(self._connections[topic], stamp_ns, self._store.serialize_cdr(message, kind))


class _Messages:
    """Makes the messages of a camera."""

    def __init__(self) -> None:
        from rosbags.typesys import Stores, get_typestore

        self.store = get_typestore(Stores.ROS2_HUMBLE)

    def _make(self, name: str, **fields: Any) -> Any:
        package, kind = name.split("/")
        return self.store.types[f"{package}/msg/{kind}"](**fields)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        time = self._make("builtin_interfaces/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self._make("std_msgs/Header", stamp=time, frame_id=frame_id)

    def jpeg(self, stamp_ns: int, image: NDArray[np.uint8], quality: int) -> Any:
        data = cv2.imencode(
            ".jpg",
            image[..., ::-1],
            [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        )[1].reshape(-1)
        header = self._header(stamp_ns, _OPTICAL)
        return self._make("sensor_msgs/CompressedImage", header=header, format="rgb8; jpeg compressed bgr8", data=data)

    def depth(self, stamp_ns: int, depth_m: NDArray[np.float32]) -> Any:
        depth_mm = np.where(depth_m < 10.0, np.round(depth_m * 1000), 0).astype("<u2")
        height, width = depth_mm.shape
        return self._make(
            "sensor_msgs/Image",
            header=self._header(stamp_ns, _OPTICAL),
            height=height,
            width=width,
            encoding="16UC1",
            is_bigendian=0,
            step=2 * width,
            data=depth_mm.view(np.uint8).reshape(-1),
        )

    def camera_info(self, stamp_ns: int, renderer: RoomRenderer) -> Any:
        intrinsics = renderer.intrinsics
        roi = self._make("sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        return self._make(
            "sensor_msgs/CameraInfo",
            header=self._header(stamp_ns, _OPTICAL),
            height=renderer.height,
            width=renderer.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=intrinsics.reshape(-1),
            r=np.eye(3).reshape(-1),
            p=np.concatenate([intrinsics, np.zeros((3, 1))], axis=1).reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )

    def odometry(self, stamp_ns: int, world_from_camera: NDArray[np.float64]) -> Any:
        x, y, z = world_from_camera[:3, 3]
        qx, qy, qz, qw = _quaternion(world_from_camera[:3, :3])
        pose = self._make(
            "geometry_msgs/Pose",
            position=self._make("geometry_msgs/Point", x=x, y=y, z=z),
            orientation=self._make("geometry_msgs/Quaternion", x=qx, y=qy, z=qz, w=qw),
        )
        zero = self._make("geometry_msgs/Vector3", x=0.0, y=0.0, z=0.0)
        twist = self._make("geometry_msgs/Twist", linear=zero, angular=zero)
        covariance = np.zeros(36)
        return self._make(
            "nav_msgs/Odometry",
            header=self._header(stamp_ns, "odom"),
            child_frame_id=_OPTICAL,
            pose=self._make("geometry_msgs/PoseWithCovariance", pose=pose, covariance=covariance),
            twist=self._make("geometry_msgs/TwistWithCovariance", twist=twist, covariance=covariance),
        )


def _quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return x, y, z, w of a rotation matrix (Rodrigues' vector by OpenCV, then half the angle)."""
    vector = cv2.Rodrigues(rotation)[0].reshape(-1)
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return 0.0, 0.0, 0.0, 1.0
    x, y, z = vector / angle * np.sin(angle / 2)
    return float(x), float(y), float(z), float(np.cos(angle / 2))
