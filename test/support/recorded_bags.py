"""Write small ROS 2 bags for tests, with rosbags: a camera that moves along x, in either storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_HUMBLE)
STORAGES = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}
BEGIN_NS = 1_700_000_000_000_000_000
K = (20.0, 0.0, 16.0, 0.0, 20.0, 12.0, 0.0, 0.0, 1.0)
WIDTH, HEIGHT = 32, 24


@dataclass(frozen=True)
class Stored:
    """One message to write: topic, type, time after the begin in seconds, and the message or its raw bytes."""

    topic: str
    type: str
    time_s: float
    message: object


def message(name: str, **fields: object) -> object:
    """Make a message of a type such as "sensor_msgs/msg/Image"."""
    return TYPES.types[name](**fields)


def header(time_s: float, frame_id: str) -> object:
    stamp_ns = BEGIN_NS + round(time_s * 1e9)
    stamp = message("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def picture(index: int) -> np.ndarray:
    """A flat RGB image [24,32,3] whose colour tells its index."""
    return np.full((HEIGHT, WIDTH, 3), (5 * index, 200, 100), np.uint8)


def image(
    topic: str, time_s: float, rgb: np.ndarray, encoding: str = "rgb8", frame_id: str = "optical", **changes
) -> Stored:
    fields = {
        "header": header(time_s, frame_id), "height": rgb.shape[0], "width": rgb.shape[1], "encoding": encoding,
        "is_bigendian": 0, "step": rgb[0].nbytes, "data": np.ascontiguousarray(rgb).view(np.uint8).reshape(-1),
    }  # fmt: skip
    name = "sensor_msgs/msg/Image"
    return Stored(topic, name, time_s, message(name, **{**fields, **changes}))


def compressed(
    topic: str, time_s: float, rgb: np.ndarray, format: str = "rgb8; png compressed bgr8", frame_id: str = "optical"
):
    data = cv2.imencode(".png", rgb[..., ::-1] if rgb.ndim == 3 else rgb)[1].reshape(-1)
    name = "sensor_msgs/msg/CompressedImage"
    return Stored(topic, name, time_s, message(name, header=header(time_s, frame_id), format=format, data=data))


def camera_info(topic: str, time_s: float, frame_id: str = "optical") -> Stored:
    name = "sensor_msgs/msg/CameraInfo"
    roi = message("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    fields = {
        "header": header(time_s, frame_id), "height": HEIGHT, "width": WIDTH, "distortion_model": "plumb_bob",
        "d": np.zeros(5), "k": np.array(K), "r": np.eye(3).reshape(-1), "p": np.zeros(12),
        "binning_x": 0, "binning_y": 0, "roi": roi,
    }  # fmt: skip
    return Stored(topic, name, time_s, message(name, **fields))


def pose_at(x: float) -> object:
    position = message("geometry_msgs/msg/Point", x=x, y=0.0, z=0.0)
    return message(
        "geometry_msgs/msg/Pose",
        position=position,
        orientation=message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )


def odometry(topic: str, time_s: float, x: float, child_frame_id: str = "optical") -> Stored:
    name = "nav_msgs/msg/Odometry"
    zero = message("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    twist = message("geometry_msgs/msg/Twist", linear=zero, angular=zero)
    fields = {
        "header": header(time_s, "odom"), "child_frame_id": child_frame_id,
        "pose": message("geometry_msgs/msg/PoseWithCovariance", pose=pose_at(x), covariance=np.zeros(36)),
        "twist": message("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=np.zeros(36)),
    }  # fmt: skip
    return Stored(topic, name, time_s, message(name, **fields))


def pose_stamped(topic: str, time_s: float, x: float) -> Stored:
    name = "geometry_msgs/msg/PoseStamped"
    return Stored(topic, name, time_s, message(name, header=header(time_s, "map"), pose=pose_at(x)))


def tour(count: int = 10, rate_hz: float = 10.0, is_compressed: bool = False) -> list[Stored]:
    """A camera with depth, calibration (published once) and odometry; image n is `picture(n)`, at x = n metres."""
    stored: list[Stored] = [camera_info("/camera/color/camera_info", 0.0)]
    for index in range(count):
        time_s = index / rate_hz
        depth_mm = np.full((HEIGHT, WIDTH), 1000 + index, np.uint16)
        stored.append(odometry("/odom", time_s, float(index)))
        if is_compressed:
            stored.append(compressed("/camera/color/image_raw/compressed", time_s, picture(index)))
        else:
            stored.append(image("/camera/color/image_raw", time_s, picture(index)))
        stored.append(image("/camera/aligned_depth_to_color/image_raw", time_s, depth_mm, "16UC1"))
    return stored


def write_bag(path: Path, stored: list[Stored], storage: str = "sqlite3") -> Path:
    """Write messages in the order of their times and return the bag's folder."""
    with Writer(path, version=9, storage_plugin=STORAGES[storage]) as writer:
        connections = {}
        for entry in sorted(stored, key=lambda entry: entry.time_s):
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(entry.topic, entry.type, typestore=TYPES)
            data = entry.message
            if not isinstance(data, bytes):
                data = TYPES.serialize_cdr(entry.message, entry.type)
            writer.write(connections[entry.topic], BEGIN_NS + round(entry.time_s * 1e9), data)
    return path
