"""`spatial-mllm sample INPUT... --out DIR`: pick the keyframes of recordings and show what they cover.

For each bag, video or folder of images: up to 128 candidates at equal steps, a point map of each from depth and pose or
from VGGT, and the keyframes that see the most space (or one of two baselines). Writes each keyframe as PNG,
`sampling.json` and `contact_sheet.png`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import BagReader, Frame, open_source
from spatial_mllm_ros.geometry import GeometryConfig, PointMap, PointMapProvider, choose_provider
from spatial_mllm_ros.sampling import METHODS, Sampling, coverage_of, even_count, space_aware_sampling, uniform_indices
from spatial_mllm_ros.sampling.contact_sheet import draw_contact_sheet

__all__ = ["add_arguments", "run"]

_LOOKS_PER_STEP = 8  # frames of a bag that are decoded for one candidate, in search of one with depth


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sample`."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="bag, video or folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results are written")
    parser.add_argument("-k", "--num-keyframes", type=int, default=16, metavar="K", help="keyframes (default: 16)")
    parser.add_argument("--method", choices=METHODS, default="space-aware", help="how to pick (default: space-aware)")
    parser.add_argument(
        "--geometry",
        choices=("auto", "depth", "vggt"),
        default="auto",
        help="where point maps come from: depth and pose, or the checkpoint's VGGT (default: the best there is)",
    )
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="folder or hub id of a checkpoint with VGGT's geometry heads"
    )
    parser.add_argument(
        "--chunk-frames", type=int, default=16, metavar="N", help="frames that VGGT sees at a time (default: 16)"
    )
    parser.add_argument(
        "--grid-width",
        type=int,
        default=50,
        metavar="N",
        help="columns of a point map (default: 50); the paper uses all of VGGT's 518, and --chunk-frames 128",
    )
    parser.add_argument("--device", default="cpu", help="where VGGT runs, such as cpu or cuda (default: cpu)")
    parser.add_argument("--candidates", type=int, default=128, metavar="N", help="frames to choose from (default: 128)")
    parser.add_argument("--no-fill", action="store_true", help="give fewer than K where no further frame sees more")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, and no progress")


def run(args: argparse.Namespace) -> int:
    """Sample every input; all are opened before the first is read."""
    if args.num_keyframes < 1 or args.candidates < 2:
        raise InputError("there must be at least 1 keyframe and 2 candidates")
    if args.num_keyframes % 2 and not args.no_fill:
        raise InputError(f"the number of keyframes must be even, not {args.num_keyframes}; odd ones need --no-fill")
    folders = _folders(args.inputs, args.out)
    for path in args.inputs:
        open_source(path).close()
    predict = _load_vggt(args)
    results = []
    with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
        for path, folder in zip(args.inputs, folders, strict=True):
            recording = _read(path, args, predict, progress)
            results.append(_write(recording, _sample(recording, args), folder, args))
            if not args.json:
                print(_summary(results[-1], folder))
    if args.json:
        print(json.dumps(results, indent=2))
    return 0


@dataclass(frozen=True, eq=False)
class _Recording:
    """Candidate frames of one input, and their point maps where there are any."""

    path: Path
    frames: list[Frame]
    geometry: str | None = None
    points: NDArray[np.float32] | None = None  # [T,h,w,3]
    confidence: NDArray[np.float32] | None = None  # [T,h,w]


def _folders(inputs: list[Path], out: Path) -> list[Path]:
    """Name a folder for each input: `out` itself for one, one below it for each of several."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is not a folder")
    if len(inputs) == 1:
        return [out]
    names = [re.sub(r"[^\w.-]+", "_", path.resolve().name) for path in inputs]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{count} inputs are named {name!r} and would overwrite each other; sample them apart")
    return [out / name for name in names]


def _load_vggt(args: argparse.Namespace) -> Callable[[NDArray[np.uint8]], Any] | None:
    if args.checkpoint is None:
        return None
    from spatial_mllm_ros.model import load_spatial_mllm

    model = load_spatial_mllm(args.checkpoint, args.device, geometry=True)
    if not model.is_trained:
        print(f"{model.name} is not trained: point maps from it mean nothing", file=sys.stderr)
    return model.predict_geometry


def _read(path: Path, args: argparse.Namespace, predict: Callable | None, progress: Progress) -> _Recording:
    frames = _candidates(path, args.candidates, progress)
    config = GeometryConfig(
        provider=args.geometry,
        grid_width=args.grid_width,
        chunk_frames=args.chunk_frames,
        overlap_frames=min(GeometryConfig.overlap_frames, args.chunk_frames - 1),
    )
    provider = choose_provider(
        config,
        has_depth=any(frame.depth_m is not None and frame.intrinsics is not None for frame in frames),
        has_pose=any(frame.world_from_camera is not None for frame in frames),
        predict=predict,
    )
    mapped = None if provider is None else _in_one_world(path, frames, provider, progress)
    if mapped is not None:
        return mapped
    if args.method == "space-aware":
        raise InputError(
            f"{path} has no depth with poses, so seeing space takes VGGT: give a --checkpoint that has its "
            "geometry heads, or pick with --method uniform"
            if provider is None
            else f"{path}: no frame has a place in space; see the warnings, or pick with --method uniform"
        )
    return _Recording(path, frames)


def _candidates(path: Path, most: int, progress: Progress) -> list[Frame]:
    """Read at most about `most` frames at equal steps, as `uniform_indices` has them; skipped ones are not decoded.

    Of a bag whose depth is slower than its images, the frame with depth and pose that comes next is taken.
    """
    with open_source(path) as reader:
        looks = _LOOKS_PER_STEP if isinstance(reader, BagReader) else 1
        stride = max(1, reader.len_hint // (most * looks))
    with open_source(path, stride=stride) as reader:
        step = max(1.0, (reader.len_hint - 1) / (most - 1))
        frames: list[Frame] = []
        description = f"{path.name}: frames"
        for index, frame in enumerate(progress.track(reader, total=reader.len_hint, description=description)):
            if index >= int(len(frames) * step):
                frames.append(frame)
            elif _has_geometry(frame) and not _has_geometry(frames[-1]):
                frames[-1] = frame
    if not frames:
        raise InputError(f"{path} has no frame that can be read")
    return frames


def _has_geometry(frame: Frame) -> bool:
    return frame.depth_m is not None and frame.intrinsics is not None and frame.world_from_camera is not None


def _in_one_world(path: Path, frames: list[Frame], provider: PointMapProvider, progress: Progress) -> _Recording | None:
    """Make point maps and keep the frames of the world with most of them; None if there is no map at all."""
    size = 1 if provider.name == "depth" else len(frames)  # VGGT cuts its chunks itself
    pieces = [frames[start : start + size] for start in range(0, len(frames), size)]
    maps: list[PointMap | None] = []
    for piece in progress.track(pieces, description=f"{path.name}: point maps from {provider.name}"):
        maps += provider.point_maps(piece)
    worlds = Counter((point_map.frame_id, point_map.points.shape) for point_map in maps if point_map is not None)
    if not worlds:
        return None
    world = worlds.most_common(1)[0][0]
    kept = [
        (frame, point_map)
        for frame, point_map in zip(frames, maps, strict=True)
        if point_map is not None and (point_map.frame_id, point_map.points.shape) == world
    ]
    if len(kept) < len(frames):
        left_out = f"{len(frames) - len(kept)} of {len(frames)} candidates"
        print(f"{path}: {left_out} are left out: they have no point map in the world {world[0]!r}", file=sys.stderr)
    return _Recording(
        path,
        [frame for frame, _ in kept],
        provider.name,
        np.stack([point_map.points for _, point_map in kept]),
        np.stack([point_map.confidence for _, point_map in kept]),
    )


def _sample(recording: _Recording, args: argparse.Namespace) -> Sampling:
    num_frames = len(recording.frames)
    wanted = args.num_keyframes if args.no_fill else even_count(args.num_keyframes, num_frames)
    if args.method == "space-aware":
        stamps_ns = [frame.stamp_ns for frame in recording.frames]
        return space_aware_sampling(
            recording.points, recording.confidence, wanted, fill=not args.no_fill, stamps_ns=stamps_ns
        )
    wanted = min(wanted, num_frames)
    recent = range(num_frames - wanted, num_frames)
    indices = tuple(recent if args.method == "recent" else uniform_indices(num_frames, wanted))
    if recording.points is None:
        return Sampling(indices=indices, order=indices, gains=())
    return coverage_of(recording.points, recording.confidence, indices)


def _write(recording: _Recording, sampling: Sampling, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Write images, contact sheet and JSON, and return what the JSON says."""
    keyframes = [recording.frames[index] for index in sampling.indices]
    files = [f"keyframe_{number:02d}.png" for number in range(len(keyframes))]
    curves = {args.method: sampling.coverage_curve}
    if recording.points is not None and args.method != "uniform":
        uniform = uniform_indices(len(recording.frames), len(keyframes))
        curves["uniform"] = coverage_of(recording.points, recording.confidence, uniform).coverage_curve
    result = {
        "input": str(recording.path),
        "method": args.method,
        "geometry": recording.geometry,
        "num_candidates": len(recording.frames),
        "files": files,
        "indices": sampling.indices,
        "stamps_ns": [frame.stamp_ns for frame in keyframes],
        "order": sampling.order,
        "gains": sampling.gains,
        "filled": sampling.filled,
        "coverage_curves": curves,
        "covered_voxels": sampling.covered_voxels,
        "total_voxels": sampling.total_voxels,
        "voxel_size": sampling.voxel_size,
        "confidence_threshold": sampling.confidence_threshold,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in zip(files, keyframes, strict=True):
            _write_image(folder / name, frame.image)
        _write_image(folder / "contact_sheet.png", _contact_sheet(recording, sampling, curves))
        (folder / "sampling.json").write_text(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    return result


def _contact_sheet(recording: _Recording, sampling: Sampling, curves: dict[str, Any]) -> NDArray[np.uint8]:
    frames = recording.frames
    gain_of = dict(zip(sampling.order, sampling.gains, strict=False))
    rank_of = {index: rank for rank, index in enumerate(sampling.order, start=1)}
    captions = []
    for index in sampling.indices:
        caption = f"{(frames[index].stamp_ns - frames[0].stamp_ns) / 1e9:.1f} s"
        if index in gain_of:
            caption += f"   pick {rank_of[index]}: +{gain_of[index]} voxels"
        elif index in sampling.filled:
            caption += "   filled in"
        captions.append(caption)
    title = f"{recording.path.name}: {len(sampling.indices)} of {len(frames)} frames, {next(iter(curves))}"
    return draw_contact_sheet([frames[index].image for index in sampling.indices], captions, title=title, curves=curves)


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    is_encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert is_encoded
    path.write_bytes(data.tobytes())


def _summary(result: dict[str, Any], folder: Path) -> str:
    text = f"{result['input']}: {len(result['files'])} of {result['num_candidates']} frames, {result['method']}"
    if result["geometry"]:
        covered = ", ".join(
            f"{name} {100 * curve[-1]:.1f} %" for name, curve in result["coverage_curves"].items() if curve
        )
        text += f"; space covered, from {result['geometry']}: {covered}"
    return f"{text}; see {folder}"
