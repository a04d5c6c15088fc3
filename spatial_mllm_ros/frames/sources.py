"""Open whatever holds recorded frames: a ROS 2 bag, a video, or a folder of images."""

from __future__ import annotations

from pathlib import Path

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.assembler import AssemblerConfig
from spatial_mllm_ros.frames.bag import BagReader
from spatial_mllm_ros.frames.bag_file import BAG_SUFFIXES
from spatial_mllm_ros.frames.folder import IMAGE_SUFFIXES, FolderReader
from spatial_mllm_ros.frames.reader import FrameReader, Span
from spatial_mllm_ros.frames.video import VIDEO_SUFFIXES, VideoReader

__all__ = ["open_source"]


def open_source(
    path: str | Path,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    stride: int = 1,
    camera: str = "",
    topic: str | None = None,
    depth_topic: str | None = None,
    camera_info_topic: str | None = None,
    pose_topic: str | None = None,
    assembler: AssemblerConfig | None = None,
    rate_hz: float | None = None,
) -> FrameReader:
    """Open a recording and iterate over its frames.

    Args:
        path: a ROS 2 bag (folder, .mcap or .db3), a video file, or a folder of JPEG and PNG images.
        start_s, duration_s, stride: the part to read; see `Span`.
        camera: `Frame.camera`; named after the topic, file or folder if empty.
        topic, depth_topic, camera_info_topic, pose_topic, assembler: for a bag; see `BagReader`.
        rate_hz: for a folder, images per second; 10 if None.

    Returns:
        An iterator of `Frame`s, with `name`, `len_hint`, `counts` and `close()`; see `FrameReader`.

    Raises:
        InputError: if there is nothing at the path, it is none of these, it is damaged, or an argument does not go
            with it.
        DependencyError: if it is a bag and `rosbags` is not installed.
    """
    path = Path(path).expanduser()
    kind, path = _kind_of(path)
    span = Span(start_s=start_s, duration_s=duration_s, stride=stride)
    for_bags = {
        "topic": topic,
        "depth_topic": depth_topic,
        "camera_info_topic": camera_info_topic,
        "pose_topic": pose_topic,
        "assembler": assembler,
    }
    for_folders = {} if rate_hz is None else {"rate_hz": rate_hz}
    if kind != "bag":
        _refuse(path, kind, for_bags)
    if kind != "folder of images":
        _refuse(path, kind, for_folders)
    if kind == "bag":
        return BagReader(path, span, camera=camera, **for_bags)
    if kind == "video":
        return VideoReader(path, span, camera=camera)
    return FolderReader(path, span, camera=camera, **for_folders)


def _kind_of(path: Path) -> tuple[str, Path]:
    """Return what a path holds, and the path to open: that of the only bag file in a folder without metadata."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir():
        if (path / "metadata.yaml").exists():
            return "bag", path
        stored = sorted(entry for entry in path.iterdir() if entry.suffix in BAG_SUFFIXES)
        if len(stored) > 1:
            raise InputError(
                f"{path}: found {len(stored)} bag files but no metadata.yaml; run `ros2 bag reindex`, "
                "or give one of the files"
            )
        return ("bag", stored[0]) if stored else ("folder of images", path)
    suffix = path.suffix.lower()
    if suffix in BAG_SUFFIXES:
        return "bag", path
    if suffix in VIDEO_SUFFIXES:
        return "video", path
    hint = ""
    if suffix == ".bag":
        hint = "; this is a ROS 1 bag, convert it with `rosbags-convert --src in.bag --dst out`"
    elif suffix in IMAGE_SUFFIXES:
        hint = "; give the folder that holds the images"
    raise InputError(
        f"{path}: found a file that ends in {path.suffix!r}, expected a ROS 2 bag "
        f"(a folder, {', '.join(BAG_SUFFIXES)}), a video ({', '.join(VIDEO_SUFFIXES)}) or a folder of images{hint}"
    )


def _refuse(path: Path, kind: str, arguments: dict[str, object]) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise InputError(f"{path} is a {kind}, which has no {', '.join(given)}; leave that out")
