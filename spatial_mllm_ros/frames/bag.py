"""Read one camera's frames from a ROS 2 bag (sqlite3 or MCAP), with depth, intrinsics and pose put to them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.assembler import AssemblerConfig, FrameAssembler
from spatial_mllm_ros.frames.bag_file import BagFile, BagTopic, StoredMessage
from spatial_mllm_ros.frames.bag_topics import (
    COMPRESSED_IMAGE,
    IMAGE,
    BagTopics,
    TopicSummary,
    choose_topics,
)
from spatial_mllm_ros.frames.compressed import decode_compressed, decode_compressed_depth
from spatial_mllm_ros.frames.decoding import decode_depth, decode_image
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.reader import FrameReader, Span

__all__ = ["BagReader"]

logger = logging.getLogger(__name__)

_LEAD_NS = 500_000_000  # depth and poses are read from this long before the span, for its first images
_PEEKS = 3  # messages tried to learn a topic's encoding


class BagReader(FrameReader):
    """Frames of one camera of a bag, in the order of recording.

    A message that cannot be decoded is skipped, counted and reported once. A bag that is cut off gives the frames
    before the damage and a warning.

    Args:
        path: a bag folder, an .mcap or a .db3 file.
        span: the part to read, in time of recording.
        topic, depth_topic, camera_info_topic, pose_topic: names; None: found by `choose_topics`; "" (not for
            `topic`): none.
        camera: `Frame.camera`; the topic's name if empty.
        assembler: tolerances, and the camera's mount.

    Attributes:
        topics: the topics chosen.

    Raises:
        InputError: if the bag cannot be opened, or its topics leave open which camera is meant.
        DependencyError: if `rosbags` is not installed.
    """

    def __init__(
        self,
        path: Path,
        span: Span | None = None,
        *,
        topic: str | None = None,
        depth_topic: str | None = None,
        camera_info_topic: str | None = None,
        pose_topic: str | None = None,
        camera: str = "",
        assembler: AssemblerConfig | None = None,
    ) -> None:
        super().__init__(path, logger)
        self._span = Span() if span is None else span
        self._bag = BagFile(path)
        try:
            summaries = [self._summary_of(stored) for stored in self._bag.topics]
            self.topics = choose_topics(
                summaries, image=topic, depth=depth_topic, camera_info=camera_info_topic, pose=pose_topic
            )
        except InputError as error:
            self._bag.close()
            raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
        for note in self.topics.notes:
            logger.warning("%s: %s", path, note)
        self._camera = camera or self.topics.image.camera
        expected = [stream for stream in ("depth", "pose") if getattr(self.topics, stream) is not None]
        self._assembler = FrameAssembler(assembler, expected=expected)
        self.len_hint = self._span.count_of(self.topics.image.count, self._bag.length_s)

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts: frames, skipped messages by reason, and those of the assembler."""
        return Counter({**self._assembler.counts, **self._tally.counts})

    def close(self) -> None:
        """Let go of the file; the iterator then ends."""
        super().close()
        self._bag.close()

    def _read(self) -> Iterator[Frame]:
        self._learn_calibration()
        begin_ns, end_ns = self._bag.start_ns, self._span.end_ns
        index = count = 0
        try:
            for message in self._bag.messages(
                _names(self.topics),
                start_ns=begin_ns + self._span.start_ns - _LEAD_NS,
                stop_ns=None if end_ns is None else begin_ns + end_ns,
            ):
                if message.topic == self.topics.image.name:
                    if not self._span.contains(message.recorded_ns - begin_ns):
                        continue
                    index += 1
                    if (index - 1) % self._span.stride:
                        continue
                for frame in self._take(message):
                    count += 1
                    yield frame
        except InputError as error:
            if not count:
                raise
            self._tally.add("cut_off", "%s (after %d frames, which are used)", error, count)
        yield from self._assembler.flush()

    def _take(self, message: StoredMessage) -> list[Frame]:
        """Hand one message to the assembler; return the frames that it completes."""
        role = next(
            role for role in ("image", "depth", "camera_info", "pose") if message.topic == _name(self.topics, role)
        )
        try:
            return self._add(role, message)
        except InputError as error:
            self._tally.add(f"{role}_unreadable", "%s: skipped a message on %s: %s", self.path, message.topic, error)
            return []

    def _add(self, role: str, message: StoredMessage) -> list[Frame]:
        fields = self._bag.deserialize(message)
        header = fields.header
        # A driver that sets no stamp leaves 0; the time of recording is then the best there is.
        stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec or message.recorded_ns
        if role == "image":
            return self._assembler.add_image(
                _colour(fields), stamp_ns=stamp_ns, camera=self._camera, frame_id=header.frame_id
            )
        if role == "depth":
            return self._assembler.add_depth(_depth(fields), stamp_ns=stamp_ns, frame_id=header.frame_id)
        if role == "camera_info":
            self._assembler.add_intrinsics(
                fields.k, p=fields.p, d=fields.d, width=fields.width, height=fields.height, frame_id=header.frame_id
            )
            return []
        pose = getattr(fields.pose, "pose", fields.pose)  # PoseStamped has no covariance around it
        return self._assembler.add_pose(
            (pose.position.x, pose.position.y, pose.position.z),
            (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w),
            stamp_ns=stamp_ns,
            frame_id=header.frame_id,
            child_frame_id=getattr(fields, "child_frame_id", ""),
        )

    def _learn_calibration(self) -> None:
        """Take the bag's first camera_info: it is often published once, before the span that is read."""
        if self.topics.camera_info is not None:
            first = next(self._bag.messages([self.topics.camera_info.name]), None)
            if first is not None:
                self._take(first)

    def _summary_of(self, stored: BagTopic) -> TopicSummary:
        encoding = ""
        if stored.type in (IMAGE, COMPRESSED_IMAGE):
            for message in islice(self._bag.messages([stored.name]), _PEEKS):
                try:
                    fields = self._bag.deserialize(message)
                except InputError:
                    continue
                encoding = fields.format if stored.type == COMPRESSED_IMAGE else fields.encoding
                break
        return TopicSummary(stored.name, stored.type, stored.count, encoding)


def _name(topics: BagTopics, role: str) -> str | None:
    chosen = getattr(topics, role)
    return None if chosen is None else chosen.name


def _names(topics: BagTopics) -> list[str]:
    return [
        chosen.name for chosen in (topics.image, topics.depth, topics.camera_info, topics.pose) if chosen is not None
    ]


def _raw_fields(fields: Any) -> dict[str, Any]:
    names = ("encoding", "width", "height", "step", "is_bigendian")
    return {name: getattr(fields, name) for name in names}


def _colour(fields: Any) -> Any:
    if hasattr(fields, "format"):
        return decode_compressed(fields.data, format=fields.format)
    return decode_image(fields.data, **_raw_fields(fields))


def _depth(fields: Any) -> Any:
    if hasattr(fields, "format"):
        return decode_compressed_depth(fields.data, format=fields.format)
    return decode_depth(fields.data, **_raw_fields(fields))
