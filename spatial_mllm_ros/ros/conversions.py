"""Messages to arrays and dataclasses, and back. Pure functions; names are `<target>_from_<source>`."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from spatial_mllm_ros.frames import decode_compressed, decode_compressed_depth, decode_depth, decode_image
from spatial_mllm_ros.msg import Keyframes, SpatialAnswer, StageTime
from spatial_mllm_ros.reasoning import Answer
from spatial_mllm_ros.sampling import Selection

__all__ = [
    "answer_msg_from_answer",
    "depth_from_msg",
    "image_from_msg",
    "keyframes_msg_from_selection",
    "point_cloud_from_centres",
    "stamp_ns_from_time",
    "time_from_stamp_ns",
]


def stamp_ns_from_time(time: Time) -> int:
    """Return a stamp in nanoseconds."""
    return time.sec * 1_000_000_000 + time.nanosec


def time_from_stamp_ns(stamp_ns: int) -> Time:
    """Return a stamp as a message; negative times become 0, which a message cannot go below."""
    seconds, nanoseconds = divmod(max(stamp_ns, 0), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def image_from_msg(msg: Image | CompressedImage, *, use_cv_bridge: bool = True) -> NDArray[np.uint8]:
    """Decode a colour image message to uint8 [H,W,3] RGB; a view on the message where that is possible.

    Raises:
        InputError: if encoding, size, step and data do not agree, or the data is damaged.
    """
    if isinstance(msg, CompressedImage):
        return decode_compressed(msg.data, format=msg.format)
    return decode_image(
        msg.data,
        encoding=msg.encoding,
        width=msg.width,
        height=msg.height,
        step=msg.step,
        is_bigendian=bool(msg.is_bigendian),
        use_cv_bridge=use_cv_bridge,
    )


def depth_from_msg(msg: Image | CompressedImage) -> NDArray[np.float32]:
    """Decode a depth image message to float32 [H,W] in metres; 0, NaN or Inf where there is no depth (REP 118).

    Raises:
        InputError: as `image_from_msg`.
    """
    if isinstance(msg, CompressedImage):
        return decode_compressed_depth(msg.data, format=msg.format)
    return decode_depth(
        msg.data,
        encoding=msg.encoding,
        width=msg.width,
        height=msg.height,
        step=msg.step,
        is_bigendian=bool(msg.is_bigendian),
    )


def answer_msg_from_answer(answer: Answer, now_ns: int) -> SpatialAnswer:
    """Put an answer into a message; ages are counted from the keyframes' stamps to `now_ns` (ROS time)."""
    stamps = answer.keyframe_stamps_ns
    newest, oldest = (stamps[-1], stamps[0]) if stamps else (None, None)
    return SpatialAnswer(
        header=Header(stamp=time_from_stamp_ns(now_ns), frame_id=answer.frame_id),
        query_id=answer.query_id,
        question=answer.question,
        answer=answer.text,
        status=int(answer.status),
        message=answer.message,
        meaningful=answer.meaningful,
        keyframe_stamps=[time_from_stamp_ns(stamp) for stamp in stamps],
        keyframe_age=_age_s(newest, now_ns),
        oldest_keyframe_age=_age_s(oldest, now_ns),
        coverage=answer.coverage,
        num_tokens=answer.num_tokens,
        model=answer.model,
        backend=answer.backend,
        stage_times=[StageTime(stage=stage, seconds=seconds) for stage, seconds in answer.stage_times],
    )


def keyframes_msg_from_selection(selection: Selection) -> Keyframes:
    """Put a set of keyframes into a message."""
    stamps = [frame.stamp_ns for frame in selection.frames]
    gain_at = dict(zip(selection.order, selection.gains, strict=True))
    has_geometry = selection.window_voxels > 0
    return Keyframes(
        header=Header(stamp=time_from_stamp_ns(stamps[-1]), frame_id=selection.world_frame_id),
        version=selection.version,
        method=selection.method,
        stamps=[time_from_stamp_ns(stamp) for stamp in stamps],
        frame_ids=[frame.frame_id for frame in selection.frames],
        gains=[gain_at.get(index, 0) for index in selection.indices],
        covered_voxels=selection.covered_voxels,
        window_voxels=selection.window_voxels,
        coverage=selection.coverage if has_geometry else float("nan"),
        voxel_size=selection.voxel_size if has_geometry else 0.0,
        window_frames=selection.window_frames,
    )


def point_cloud_from_centres(centres: NDArray[np.float32], stamp_ns: int, frame_id: str) -> PointCloud2:
    """Make an unordered point cloud.

    Args:
        centres: float32 [V,3], metres in `frame_id`.
        stamp_ns: its time.
        frame_id: coordinate frame.
    """
    points = np.ascontiguousarray(centres, "<f4")
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate("xyz")]
    cloud = PointCloud2(
        header=Header(stamp=time_from_stamp_ns(stamp_ns), frame_id=frame_id),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        is_dense=True,
    )
    cloud.data = array("B", points.tobytes())  # set, not passed above: the constructor would copy it once more
    return cloud


def _age_s(stamp_ns: int | None, now_ns: int) -> float:
    return float("nan") if stamp_ns is None else (now_ns - stamp_ns) / 1e9
