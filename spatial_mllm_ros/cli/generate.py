"""`spatial-mllm generate`: render a robot's tour through a generated room as a ROS 2 bag."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from spatial_mllm_ros.errors import InputError

__all__ = ["add_arguments", "run"]

_PREVIEW_VIEWS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--seed", type=int, default=0, help="which room; the same seed gives the same bag")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bag; must not exist")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the tour (default 20)")
    parser.add_argument("--size", default="320x240", help="size of the colour images (default 320x240)")
    parser.add_argument("--dwell", type=float, default=0.4, help="share of the tour spent in one place (default 0.4)")
    parser.add_argument("--quality", type=int, default=80, help="JPEG quality of the colour images (default 80)")
    parser.add_argument("--truth", type=Path, help="also write what is true about the room, as JSON")
    parser.add_argument("--preview", type=Path, help="also write a picture with views of the tour")
    parser.add_argument("--json", action="store_true", help="print the room's truth as JSON")


def run(args: argparse.Namespace) -> int:
    """Make the room, drive through it, write the bag."""
    from spatial_mllm_ros.training.scenes import RoomRenderer, make_room, make_tour, record_bag, room_truth
    from spatial_mllm_ros.training.scenes.recording import RecordingPlan

    width, height = _size(args.size)
    if not 0 <= args.dwell < 1 or args.seconds <= 0:
        raise InputError("--dwell must lie in [0, 1) and --seconds above 0")
    plan = RecordingPlan(width=width, height=height, jpeg_quality=args.quality)
    room = make_room(args.seed)
    tour = make_tour(room, round(args.seconds * plan.rate_hz), plan.rate_hz, dwell_share=args.dwell)
    frames = iter(track(range(len(tour)), "rendering", disable=args.json, transient=True))
    record_bag(room, tour, args.out, plan, on_frame=lambda _: next(frames))
    next(frames, None)  # let the progress bar end
    truth = room_truth(room)
    if args.truth:
        args.truth.write_text(json.dumps(truth, indent=2) + "\n")
    if args.preview:
        with RoomRenderer(room, width, height) as renderer:
            views = [renderer.image(tour[i]) for i in np.linspace(0, len(tour) - 1, _PREVIEW_VIEWS).astype(int)]
        rows = [np.concatenate(views[i : i + 4], axis=1) for i in range(0, _PREVIEW_VIEWS, 4)]
        cv2.imwrite(str(args.preview), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    if args.json:
        print(json.dumps(truth))
    else:
        size_mb = sum(path.stat().st_size for path in args.out.iterdir()) / 1e6
        pieces = ", ".join(piece.category for piece in room.furniture)
        print(f"{args.out}: {len(tour)} colour frames, {size_mb:.1f} MB; {room.area:.1f} m2 with {pieces}")
    return 0


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise InputError(f"--size must look like 320x240, not {text!r}")
    return int(width), int(height)
