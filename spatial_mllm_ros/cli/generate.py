"""`spatial-mllm generate`: render a robot's tour through a generated room as a ROS 2 bag or as arrays."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from spatial_mllm_ros.errors import InputError

__all__ = ["add_arguments", "run"]

_PREVIEW_VIEWS, _PREVIEW_COLUMNS = 12, 4
_GLANCES = 200  # frames looked at, for a bag's questions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--seed", type=int, default=0, help="which room; the same seed gives the same files")
    add("--out", type=Path, required=True, help="folder to write; must not exist")
    add("--format", choices=("bag", "arrays"), default="bag", help="a ROS 2 bag, or arrays for training (default bag)")
    add("--frames", type=int, help="images of the tour (default: 30 per second for a bag, 96 for arrays)")
    add("--seconds", type=float, default=20.0, help="length of the tour (default 20)")
    add("--size", default="320x240", help="size of the images (default 320x240)")
    add("--fov", type=float, default=75.0, help="horizontal field of view in degrees (default 75)")
    add("--split", choices=("train", "heldout"), default="train", help="which looks of furniture (default train)")
    add("--style", choices=("natural", "balanced"), default="natural",
        help="furniture as people have it, or drawn so that a question's words do not tell its answer")  # fmt: skip
    add(
        "--dwell", type=float, default=-1.0, help="share of the tour spent in one corner (default: drawn, 0.30 to 0.65)"
    )
    add("--quality", type=int, default=80, help="JPEG quality of a bag's images (default 80)")
    add("--truth", type=Path, help="also write what is true about the room, as JSON")
    add("--preview", type=Path, help="also write a picture with views of the tour")
    add("--json", action="store_true", help="print what is true about the room, as JSON")


def run(args: argparse.Namespace) -> int:
    """Make the room, drive through it, render it."""
    from spatial_mllm_ros.training.scenes import RoomConfig, RoomRenderer, TourConfig, make_room, make_tour

    width, height = _size(args.size)
    num_frames = args.frames or (round(30 * args.seconds) if args.format == "bag" else 96)
    room = make_room(args.seed, RoomConfig(split=args.split, style=args.style))
    tour = make_tour(room, TourConfig(frames=num_frames, seconds=args.seconds, dwell_share=args.dwell))
    if args.out.exists():
        raise InputError(f"{args.out} exists already; choose another name or remove it")
    try:
        with RoomRenderer(width, height, fov_x_deg=args.fov) as renderer:
            write = _write_bag if args.format == "bag" else _write_arrays
            truth = write(args, room, tour, renderer)
            if args.preview:
                _write_preview(args.preview, tour, renderer)
    except BaseException:  # an interrupted run leaves nothing half done
        shutil.rmtree(args.out, ignore_errors=True)
        raise
    if args.truth:
        args.truth.write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    if args.json:
        print(json.dumps(truth))
    else:
        size_mb = sum(path.stat().st_size for path in args.out.iterdir()) / 1e6
        held = ", ".join(f"{count} {name}" for name, count in room.counts().items())
        print(
            f"{args.out}: {len(tour)} images of {width}x{height}, {size_mb:.1f} MB; {room.area_m2:.1f} m2 with {held}"
        )
    return 0


def _write_bag(args: argparse.Namespace, room: Any, tour: Any, renderer: Any) -> dict[str, Any]:
    from spatial_mllm_ros.training.scenes import RecordingPlan, make_questions, record_bag, room_truth

    with _Progress(len(tour), args.json) as on_frame:
        record_bag(room, tour, args.out, renderer, RecordingPlan(jpeg_quality=args.quality), on_frame)
    num_furniture = len(room.furniture)
    glances = tour.world_from_camera[:: max(1, len(tour) // _GLANCES)]
    seen = [np.bincount(renderer.geometry(pose, 4)[1].ravel() + 1, minlength=num_furniture + 1)[1:] for pose in glances]
    pixels = (renderer.width // 4) * (renderer.height // 4)
    return room_truth(room, make_questions(room, np.array(seen) / pixels))


def _write_arrays(args: argparse.Namespace, room: Any, tour: Any, renderer: Any) -> dict[str, Any]:
    from spatial_mllm_ros.training.scenes import make_questions, render_tour, room_truth, save_arrays

    with _Progress(len(tour), args.json) as on_frame:
        rendered = render_tour(room, tour, renderer, on_frame)
    questions = make_questions(room, rendered.visible_share(len(room.furniture)))
    save_arrays(args.out, room, rendered, questions)
    return room_truth(room, questions)


def _write_preview(path: Path, tour: Any, renderer: Any) -> None:
    """Write views spread over the time that the robot moves."""
    moving = [index for index in range(len(tour)) if not tour.dwell[0] < index < tour.dwell[1]]
    chosen = [moving[i] for i in np.linspace(0, len(moving) - 1, _PREVIEW_VIEWS).astype(int)]
    views = [renderer.image(tour.world_from_camera[index]) for index in chosen]
    rows = [np.concatenate(views[i : i + _PREVIEW_COLUMNS], axis=1) for i in range(0, len(views), _PREVIEW_COLUMNS)]
    if not cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70]):
        raise InputError(f"cannot write a picture to {path}")


class _Progress:
    """A progress bar on stderr; entering gives the function to call after every frame."""

    def __init__(self, total: int, is_quiet: bool) -> None:
        console = Console(stderr=True)
        self._steps = iter(track(range(total), "rendering", console=console, disable=is_quiet, transient=True))

    def __enter__(self) -> Any:
        next(self._steps)
        return lambda _: next(self._steps, None)

    def __exit__(self, *_: object) -> None:
        self._steps.close()


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InputError(f"--size must look like 320x240, not {text!r}")
    return int(width), int(height)
