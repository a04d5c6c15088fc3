"""Put together what belongs to one camera image: its depth image, its intrinsics and the camera's pose at its time.

`FrameAssembler` takes decoded readings of separate topics, in whatever order they arrive, and gives `Frame`s. A colour
image waits until its depth and pose cannot get any better (a reading at or after its stamp is there), at most
`max_delay_s` of sensor time, and is then released with what fits. It knows stamps only: no clock, no thread, no message
types; the node and the bag reader use the same one. Everything that it holds is bounded, and what could not be put
together is counted by reason and reported once.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from bisect import insort
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.calibration import CalibrationBook, calibration_from_camera_info
from spatial_mllm_ros.frames.camera_poses import CameraPoses, MountLookup
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.history import TIME_JUMP_NS, StampedHistory
from spatial_mllm_ros.frames.poses import StampedPose, child_from_camera_mount
from spatial_mllm_ros.frames.tally import Tally
from spatial_mllm_ros.parameters import check_parameters, param

__all__ = ["AssemblerConfig", "FrameAssembler"]

logger = logging.getLogger(__name__)

_SILENCE_NS = 1_000_000_000  # a stream without a reading for this long is not waited for
_MAX_ASPECT_ERROR = 0.02


@dataclass(frozen=True, kw_only=True)
class AssemblerConfig:
    """How readings of separate topics are put together."""

    depth_tolerance_s: float = param(
        0.02, "Largest distance in time between an image and its depth image, seconds", ge=0.0, le=10.0
    )
    pose_tolerance_s: float = param(
        0.05, "Largest distance in time between an image and a single pose, seconds", ge=0.0, le=10.0
    )
    pose_max_gap_s: float = param(
        0.25, "Largest distance in time between two poses that are interpolated, seconds", ge=0.0, le=60.0
    )
    max_delay_s: float = param(
        0.5, "Longest that an image waits for its depth and pose, seconds by the stamps", ge=0.0, le=10.0
    )
    max_waiting: int = param(16, "Colour images that may wait, and depth images kept for them", ge=1, le=1024)
    max_waiting_bytes: int = param(
        256 * 2**20, "Bytes of colour images that may wait, and of depth images kept for them", ge=2**20, le=64 * 2**30
    )
    max_poses: int = param(2048, "Poses kept to interpolate between", ge=2, le=1_000_000)
    camera_mount: str = param(
        "",
        'Where the camera sits in the frame whose pose is published: "x y z roll pitch yaw" (m, rad) of its body frame '
        "(x forward), as in URDF; empty: the pose is that of the camera, or tf2 tells",
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        child_from_camera_mount(self.camera_mount)


class FrameAssembler:
    """Pair colour images with depth, intrinsics and pose by their stamps; see the module's contract.

    `add_image`, `add_depth` and `add_pose` return the frames that they complete, oldest first: none, one or several.
    They do not block and may be called from different threads.

    Args:
        config: tolerances and bounds.
        mount_lookup: asked for the camera's place on the robot where `camera_mount` is empty; see `CameraPoses`.
        expected: streams that will come, of "depth" and "pose": the first images wait for them too. Others are waited
            for once they have been heard of.

    Raises:
        InputError: by `add_*`, if the caller hands over something malformed. Unusable *values* (a camera that is not
            calibrated, a quaternion of length 0) are counted and reported once instead, as they come at the camera's
            rate.
    """

    def __init__(
        self,
        config: AssemblerConfig | None = None,
        mount_lookup: MountLookup | None = None,
        expected: Collection[str] = (),
    ) -> None:
        self.config = config = AssemblerConfig() if config is None else config
        self._tally = Tally(logger)
        self._lock = threading.RLock()
        self._waiting: list[Frame] = []
        self._waiting_bytes = 0
        self._depths: StampedHistory[tuple[NDArray[np.float32], str]]
        self._depths = StampedHistory(config.max_waiting, config.max_waiting_bytes)
        self._poses = CameraPoses(
            max_poses=config.max_poses,
            tolerance_s=config.pose_tolerance_s,
            max_gap_s=config.pose_max_gap_s,
            camera_mount=config.camera_mount,
            mount_lookup=mount_lookup,
            tally=self._tally,
        )
        self._calibrations = CalibrationBook(self._tally)
        self._newest_ns: dict[str, int] = {}  # by stream: "image", "depth", "pose"
        self._streams = set(expected)  # expected, or heard of ever
        self._begin_ns: int | None = None  # the first stamp since the start or the last jump

    def add_image(
        self, image: NDArray[np.uint8], *, stamp_ns: int, camera: str = "camera", frame_id: str = ""
    ) -> list[Frame]:
        """Take a colour image, uint8 [H,W,3] RGB; return the frames that are complete now."""
        frame = Frame(image=image, stamp_ns=stamp_ns, camera=camera, frame_id=frame_id)
        with self._lock:
            self._notice("image", stamp_ns)
            insort(self._waiting, frame, key=lambda waiting: waiting.stamp_ns)
            self._waiting_bytes += frame.nbytes
            return self._release()

    def add_depth(self, depth_m: NDArray[np.float32], *, stamp_ns: int, frame_id: str = "") -> list[Frame]:
        """Take a depth image, float32 [h,w] in metres, registered to the image; return the frames complete now."""
        if depth_m.dtype != np.float32 or depth_m.ndim != 2 or 0 in depth_m.shape:
            raise InputError(f"depth must be float32 [h,w], not {depth_m.dtype} {list(depth_m.shape)}")
        with self._lock:
            self._notice("depth", stamp_ns)
            self._depths.add(stamp_ns, (depth_m, frame_id), depth_m.nbytes)
            return self._release()

    def add_pose(
        self,
        position: Sequence[float],
        quaternion: Sequence[float],
        *,
        stamp_ns: int,
        frame_id: str = "",
        child_frame_id: str = "",
    ) -> list[Frame]:
        """Take a pose (Odometry, PoseStamped); return the frames that are complete now.

        Args:
            position: x y z, metres, of the child frame in the parent.
            quaternion: x y z w.
            stamp_ns: time of the measurement.
            frame_id: the parent, such as "odom".
            child_frame_id: what the pose is of; empty for a PoseStamped.
        """
        try:
            pose = StampedPose(
                stamp_ns=stamp_ns,
                position=np.asarray(position),
                quaternion=np.asarray(quaternion),
                frame_id=frame_id,
                child_frame_id=child_frame_id,
            )
        except InputError as error:
            self._tally.add("pose_invalid", "dropped a pose: %s", error)
            return []
        with self._lock:
            self._notice("pose", stamp_ns)
            self._poses.add(pose)
            return self._release()

    def add_intrinsics(
        self,
        k: Sequence[float],
        *,
        p: Sequence[float] = (),
        d: Sequence[float] = (),
        width: int = 0,
        height: int = 0,
        frame_id: str = "",
    ) -> None:
        """Take a calibration, the fields of a sensor_msgs/CameraInfo; the newest of each `frame_id` holds."""
        try:
            calibration = calibration_from_camera_info(k, p=p, d=d, width=width, height=height, frame_id=frame_id)
        except InputError as error:
            self._tally.add("intrinsics_invalid", "dropped a camera_info of %r: %s", frame_id, error)
            return
        with self._lock:
            self._calibrations.add(calibration)

    def may_have_depth(self, stamp_ns: int) -> bool:
        """Tell whether an image of this stamp has a depth image, or may get one that is still to come."""
        with self._lock:
            nearest = self._depths.nearest(stamp_ns)
            is_here = nearest is not None and abs(nearest[0] - stamp_ns) <= self.config.depth_tolerance_s * 1e9
            if is_here or "depth" not in self._streams:
                return is_here
            return self._begin_ns is None or self._is_coming("depth", stamp_ns)

    def flush(self) -> list[Frame]:
        """Release all waiting images with what fits them; at the end of a bag, or when the camera has stopped."""
        with self._lock:
            waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
            return [self._complete(image) for image in waiting]

    def clear(self) -> None:
        """Forget images, depth and poses; calibrations and counts stay."""
        with self._lock:
            for _ in self._waiting:
                self._tally.add("cleared")
            self._waiting, self._waiting_bytes = [], 0
            self._depths.clear()
            self._poses.clear()
            self._newest_ns.clear()
            self._begin_ns = None

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts.

        `frames`, and of these `with_depth`, `with_pose`, `with_intrinsics`; `time_jump`; `cleared` images; and by
        reason what
        could not be put together: depth_missing, depth_other_view, depth_other_frame (used, but reported),
        pose_missing, pose_invalid, mount_unknown, intrinsics_invalid, intrinsics_other_camera, intrinsics_other_view,
        distortion_ignored.
        """
        return self._tally.counts

    def _notice(self, stream: str, stamp_ns: int) -> None:
        newest_ns = self._newest_ns.get(stream)
        if newest_ns is not None and newest_ns - stamp_ns > TIME_JUMP_NS:
            self._tally.add("time_jump")
            self.clear()
            newest_ns = None
        self._newest_ns[stream] = stamp_ns if newest_ns is None else max(newest_ns, stamp_ns)
        self._streams.add(stream)
        if self._begin_ns is None:
            self._begin_ns = stamp_ns

    def _release(self) -> list[Frame]:
        frames = []
        while self._waiting and self._is_due(self._waiting[0]):
            image = self._waiting.pop(0)
            self._waiting_bytes -= image.nbytes
            frames.append(self._complete(image))
        return frames

    def _is_due(self, image: Frame) -> bool:
        if len(self._waiting) > self.config.max_waiting or self._waiting_bytes > self.config.max_waiting_bytes:
            return True
        waited_ns = max(self._newest_ns.values()) - image.stamp_ns
        return waited_ns > self.config.max_delay_s * 1e9 or not (
            self._is_coming("depth", image.stamp_ns) or self._is_coming("pose", image.stamp_ns)
        )

    def _is_coming(self, stream: str, stamp_ns: int) -> bool:
        """Tell whether a reading at or after a stamp is still to be expected of a stream."""
        newest_ns = self._newest_ns.get(stream)
        if newest_ns is None:
            return stream in self._streams and stamp_ns - self._begin_ns <= _SILENCE_NS
        return stamp_ns - _SILENCE_NS <= newest_ns < stamp_ns

    def _complete(self, image: Frame) -> Frame:
        depth_m = self._depth_of(image) if "depth" in self._streams else None
        intrinsics = self._calibrations.intrinsics_of(image.camera, image.frame_id, image.width, image.height)
        world_frame_id, world_from_camera = "", None
        if "pose" in self._streams:
            world_frame_id, world_from_camera = self._poses.at(image.stamp_ns, image.frame_id)
        self._tally.add("frames")
        for name, part in (("depth", depth_m), ("intrinsics", intrinsics), ("pose", world_from_camera)):
            if part is not None:
                self._tally.add(f"with_{name}")
        return dataclasses.replace(
            image,
            depth_m=depth_m,
            intrinsics=intrinsics,
            world_from_camera=world_from_camera,
            world_frame_id=world_frame_id,
        )

    def _depth_of(self, image: Frame) -> NDArray[np.float32] | None:
        nearest = self._depths.nearest(image.stamp_ns)
        if nearest is None or abs(nearest[0] - image.stamp_ns) > self.config.depth_tolerance_s * 1e9:
            self._tally.add_distance("depth", None if nearest is None else nearest[0] - image.stamp_ns)
            return None
        depth_m, frame_id = nearest[1]
        height, width = depth_m.shape
        if abs(width * image.height / (height * image.width) - 1.0) > _MAX_ASPECT_ERROR:
            self._tally.add(
                "depth_other_view",
                "depth is %dx%d but the image is %dx%d, so it is not registered to it; use an aligned depth topic",
                *(width, height, image.width, image.height),
            )
            return None
        if frame_id and image.frame_id and frame_id != image.frame_id:
            self._tally.add(
                "depth_other_frame",
                "depth is in frame %r but the image in %r; depth is used as if registered to the image",
                *(frame_id, image.frame_id),
            )
        return depth_m
