"""Choose the topics of a bag that make up one camera's frames: colour, depth, calibration and pose.

A pure function on the list of topics: what the caller names is taken, what it does not name is found by type,
encoding and ROS naming conventions, and where that leaves a choice, the caller is asked (colour) or told (the rest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spatial_mllm_ros.errors import InputError

__all__ = ["CAMERA_INFO", "COMPRESSED_IMAGE", "IMAGE", "POSE_TYPES", "BagTopics", "TopicSummary", "choose_topics"]

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POSE_TYPES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
)
_DEPTH_ENCODINGS = ("16UC1", "32FC1")
_COLOURED_PREFIXES = ("rgb", "bgr", "bayer_", "yuv", "uyvy", "yuyv", "nv", "8UC3", "8UC4")
_GREY_ENCODINGS = ("mono8", "mono16", "8UC1")


@dataclass(frozen=True)
class TopicSummary:
    """What is known of a topic: name, type, number of messages, and for images the encoding or format of the first."""

    name: str
    type: str
    count: int
    encoding: str = ""

    @property
    def is_image(self) -> bool:
        """True for raw and compressed images, depth included."""
        return self.type in (IMAGE, COMPRESSED_IMAGE)

    @property
    def is_depth(self) -> bool:
        """True for a depth image, by its encoding; mono16 is depth if the name says so."""
        is_depth = self._source in _DEPTH_ENCODINGS or (self._source == "mono16" and self._is_named_depth)
        return self.is_image and is_depth

    @property
    def is_coloured(self) -> bool:
        """True for an image whose encoding says that it has colours."""
        return self.is_image and self._source.startswith(_COLOURED_PREFIXES)

    @property
    def is_viewable(self) -> bool:
        """True for an image to look at, grey included; an unspecific picture on a depth topic is none."""
        return self.is_image and not self.is_depth and (self.is_coloured or not self._is_named_depth)

    @property
    def _source(self) -> str:
        """The encoding; of a compressed image that before compression, or its codec if that is all that it says."""
        return self.encoding.partition(";")[0].strip()

    @property
    def _is_named_depth(self) -> bool:
        return any("depth" in word for word in self.camera.lower().split("/")[-2:])

    @property
    def camera(self) -> str:
        """The name without the suffix that image_transport adds: raw and compressed topics of one camera share it."""
        for suffix in ("/compressedDepth", "/compressed"):
            if self.name.endswith(suffix):
                return self.name[: -len(suffix)]
        return self.name


@dataclass(frozen=True)
class BagTopics:
    """The chosen topics; None where there is none. `notes` are sentences about choices that could not be made."""

    image: TopicSummary
    depth: TopicSummary | None
    camera_info: TopicSummary | None
    pose: TopicSummary | None
    notes: tuple[str, ...] = ()


def choose_topics(
    topics: Sequence[TopicSummary],
    *,
    image: str | None = None,
    depth: str | None = None,
    camera_info: str | None = None,
    pose: str | None = None,
) -> BagTopics:
    """Choose the topics to read.

    Args:
        topics: all topics of the bag.
        image, depth, camera_info, pose: names given by the user. None: find one; "" (not for `image`): use none. An
            image topic may be named without "/compressed".

    Raises:
        InputError: if a named topic does not exist or has another type, there is no image topic, or several cameras are
            equally good; the message lists what there is.
    """
    topics = [topic for topic in topics if topic.count > 0]
    notes: list[str] = []
    chosen = _named(topics, image, (IMAGE, COMPRESSED_IMAGE)) if image else _find_colour(topics)
    return BagTopics(
        image=chosen,
        depth=_choose(topics, depth, (IMAGE, COMPRESSED_IMAGE), _depths(topics, chosen), notes, "depth"),
        camera_info=_choose(topics, camera_info, (CAMERA_INFO,), _camera_infos(topics, chosen), notes, "camera_info"),
        pose=_choose(topics, pose, POSE_TYPES, _poses(topics), notes, "pose"),
        notes=tuple(notes),
    )


def _named(topics: Sequence[TopicSummary], name: str, types: Sequence[str]) -> TopicSummary:
    for candidate in (name, f"{name.rstrip('/')}/compressed", f"{name.rstrip('/')}/compressedDepth"):
        for topic in topics:
            if topic.name == candidate and topic.type in types:
                return topic
    there = next((topic for topic in topics if topic.name == name), None)
    found = f"it is a {there.type}" if there else "it is not in the bag or has no messages"
    fitting = [topic for topic in topics if topic.type in types]
    raise InputError(f"topic {name!r} cannot be used as {types[0]}: {found}; fitting topics are {_listed(fitting)}")


def _find_colour(topics: Sequence[TopicSummary]) -> TopicSummary:
    images = [topic for topic in topics if topic.is_viewable]
    if not images:
        raise InputError(f"this bag has no topic with colour images; its topics are {_listed(topics)}")
    likely = [topic for topic in images if not topic.encoding.startswith(_GREY_ENCODINGS)]
    best = _one_per_camera(likely or images)
    if len(best) > 1:
        raise InputError(f"this bag has several cameras, choose one with `topic`: {_listed(best)}")
    return best[0]


def _choose(
    topics: Sequence[TopicSummary],
    name: str | None,
    types: Sequence[str],
    candidates: Sequence[TopicSummary],
    notes: list[str],
    role: str,
) -> TopicSummary | None:
    if name:
        return _named(topics, name, types)
    if name == "" or not candidates:
        return None
    if len(candidates) > 1:
        notes.append(f"no {role} is used, as several topics could be it; name one of {_listed(candidates)}")
        return None
    return candidates[0]


def _depths(topics: Sequence[TopicSummary], image: TopicSummary) -> list[TopicSummary]:
    depths = _one_per_camera([topic for topic in topics if topic.is_depth and topic.camera != image.camera])
    registered = [topic for topic in depths if "aligned" in topic.name or "registered" in topic.name]
    return registered or depths


def _camera_infos(topics: Sequence[TopicSummary], image: TopicSummary) -> list[TopicSummary]:
    infos = [topic for topic in topics if topic.type == CAMERA_INFO]
    namespace = image.camera.rpartition("/")[0]
    return [topic for topic in infos if topic.name == f"{namespace}/camera_info"] or infos


def _poses(topics: Sequence[TopicSummary]) -> list[TopicSummary]:
    by_type = ([topic for topic in topics if topic.type == kind] for kind in POSE_TYPES)
    return next((found for found in by_type if found), [])


def _one_per_camera(images: Sequence[TopicSummary]) -> list[TopicSummary]:
    """Keep for each camera the topic with the most messages, the raw one of two with as many."""
    best: dict[str, TopicSummary] = {}
    for topic in sorted(images, key=lambda topic: (-topic.count, topic.type == COMPRESSED_IMAGE, topic.name)):
        best.setdefault(topic.camera, topic)
    return sorted(best.values(), key=lambda topic: topic.name)


def _listed(topics: Sequence[TopicSummary]) -> str:
    return ", ".join(f"{topic.name} ({topic.type})" for topic in topics) or "none"
