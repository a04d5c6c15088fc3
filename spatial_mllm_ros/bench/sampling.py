"""Space-aware sampling against Python sets, the cost of a live frame, and memory over a long way.

Offline, three programs see the same maps in turns and must pick the same frames: ours; sets of voxel triples as the
published code makes them (unique rows, then tuples); and the fastest sets that plain Python allows (tuples at once).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spatial_mllm_ros.bench.machine import describe_machine, resident_bytes
from spatial_mllm_ros.bench.set_sampling import sample_with_sets
from spatial_mllm_ros.bench.tours import FRAME_NS, Tour, make_tour
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.geometry.point_map import PointMap
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig, space_aware_sampling

__all__ = ["HELP", "add_arguments", "run"]

HELP = "space-aware sampling against Python sets, offline; live cost per frame; memory"

_NUM_KEYFRAMES = 16
_CANDIDATES = (16, 64, 128, 512)
_MAPS = ((37, 50), (392, 518))
_WINDOWS = (16, 64, 128, 256, 512)
_SETTINGS = (("recent", 0.2), ("explore", 0.2), ("recent", 0.1))  # window policy, side of a voxel in metres
_BUDGET_S = 1 / 30 / 20  # a twentieth of a camera's frame interval
_BLANK = np.zeros((48, 64, 3), np.uint8)
_TABLE_WIDTH = 100  # columns; a narrower terminal wraps lines rather than squeezing figures
_TOUR_FRAMES = 1200
_LIVE_FRAMES = 500
_WARM_UP = 0.2  # share of the long way after which memory must be level


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench sampling`."""
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns for small cases; large ones get 3 or 1 (default: 5)"
    )
    parser.add_argument("--frames", type=int, default=100_000, help="length of the long way (default: 100000)")
    parser.add_argument("--quick", action="store_true", help="up to 128 candidates, one round, 5000 frames")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.quick:
        args.rounds, args.frames = 1, min(args.frames, 5000)
    candidates = [count for count in _CANDIDATES if count <= (128 if args.quick else 512)]
    cases = [(count, *size) for size in _MAPS for count in candidates]
    with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
        offline = [_measure_offline(*case, args.rounds) for case in progress.track(cases, description="offline")]
        tour = make_tour(0, _TOUR_FRAMES, dwell_share=0.2)
        maps = [tour.point_map(index) for index in range(len(tour))]
        live = [
            _measure_live(maps, window, policy, voxel_size_m)
            for window in progress.track(_WINDOWS, description="live")
            for policy, voxel_size_m in _SETTINGS
        ]
        memory = _measure_memory(maps, progress.track(range(args.frames), description="long way"), args.frames)
    result = {"machine": describe_machine(), "offline": offline, "live": live, "memory": memory}
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)
    return 0


def _measure_offline(num_frames: int, height: int, width: int, rounds: int) -> dict[str, Any]:
    points, confidence = make_video(num_frames, height, width)
    programs: dict[str, Callable[[], Any]] = {
        "ours": lambda: space_aware_sampling(points, confidence, _NUM_KEYFRAMES).order,
        "sets": lambda: tuple(sample_with_sets(points, confidence, _NUM_KEYFRAMES)[0]),
        "fast_sets": lambda: tuple(sample_with_sets(points, confidence, _NUM_KEYFRAMES, tuples_first=True)[0]),
    }
    if confidence.size > 3e6:
        rounds = min(rounds, 3 if confidence.size < 3e7 else 1)
    times: dict[str, list[float]] = {name: [] for name in programs}
    picks = set()
    for _ in range(rounds):
        for name, program in programs.items():
            repeats = 3 if name == "ours" else 1  # a short time needs more of them
            for _ in range(repeats):
                started = time.perf_counter()
                picks.add(program())
                times[name].append(time.perf_counter() - started)
    seconds = {name: median(values) for name, values in times.items()}
    return {
        "candidates": num_frames,
        "map": f"{height}x{width}",
        "rounds": rounds,
        "seconds": seconds,
        "ratio_to_sets": seconds["sets"] / seconds["ours"],
        "ratio_to_fast_sets": seconds["fast_sets"] / seconds["ours"],
        "same_picks": len(picks) == 1,
    }


def make_video(num_frames: int, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make point maps like VGGT's, of a tour through a room: noise of 1 cm, confidence in smooth patches from 1 up."""
    tour: Tour = make_tour(0, num_frames, dwell_share=0.3)
    rng = np.random.default_rng(0)
    points = np.empty((num_frames, height, width, 3), np.float32)
    confidence = np.empty((num_frames, height, width), np.float32)
    for index in range(num_frames):
        points[index] = tour.points(index, height, width)
        points[index] += rng.normal(0, 0.01, points.shape[1:]).astype(np.float32)
        patches = rng.normal(0, 1, (height // 6 + 2, width // 6 + 2)).astype(np.float32)
        confidence[index] = 1 + np.exp(cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC))
    return points, confidence


def _measure_live(maps: list[PointMap], window: int, policy: str, voxel_size_m: float) -> dict[str, Any]:
    """Time `add` and `select` of single frames, once the window is full."""
    config = SelectorConfig(window_frames=window, window_policy=policy, voxel_size_m=voxel_size_m)
    selector = KeyframeSelector(config)
    add_s, select_s, voxels = [], [], []
    for index in range(window + _LIVE_FRAMES):
        point_map = maps[index % len(maps)]
        frame = Frame(image=_BLANK, stamp_ns=index * FRAME_NS)
        started = time.perf_counter()
        selector.add(frame, point_map)
        added = time.perf_counter()
        selection = selector.select(_NUM_KEYFRAMES)
        selected = time.perf_counter()
        if index >= window:
            add_s.append(added - started)
            select_s.append(selected - added)
            voxels.append(selection.window_voxels)
    total_s = np.add(add_s, select_s)
    return {
        "window": window,
        "policy": policy,
        "voxel_size_m": voxel_size_m,
        "add_ms": 1e3 * median(add_s),
        "select_ms": 1e3 * median(select_s),
        "total_ms": 1e3 * float(np.median(total_s)),
        "total_p95_ms": 1e3 * float(np.percentile(total_s, 95)),
        "voxels": int(median(voxels)),
        "budget_ms": 1e3 * _BUDGET_S,
    }


def _measure_memory(maps: list[PointMap], frames: Any, num_frames: int) -> dict[str, Any]:
    """Go the same way again and again, each time 20 m further on, so that every voxel is new in the long run."""
    selector = KeyframeSelector(SelectorConfig())
    at, resident, own = [], [], []
    for index in frames:
        rounds, place = divmod(index, len(maps))
        point_map = maps[place]
        moved = point_map.points + np.float32([20 * rounds, 0, 0])
        stamp_ns = index * FRAME_NS
        moved_map = PointMap(points=moved, confidence=point_map.confidence, stamp_ns=stamp_ns, frame_id="map")
        selector.add(Frame(image=_BLANK.copy(), stamp_ns=stamp_ns), moved_map)
        if index % 10 == 0:
            selector.select(_NUM_KEYFRAMES)
        if index % 100 == 0 and index >= _WARM_UP * num_frames:
            at.append(index)
            resident.append(resident_bytes())
            own.append(selector.nbytes)
    slope = float(np.polyfit(at, resident, 1)[0]) if len(at) > 1 else 0.0
    return {
        "frames": num_frames,
        "resident_bytes_per_1000_frames": 1000 * slope,
        "resident_growth_bytes": resident[-1] - resident[0],
        "window_bytes_min": min(own),
        "window_bytes_max": max(own),
    }


def _print(result: dict[str, Any]) -> None:
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(", ".join(f"{key} {value}" for key, value in result["machine"].items()))
    _print_rows(
        console,
        f"\nOffline, {_NUM_KEYFRAMES} keyframes: median seconds, and how many times faster ours is",
        ("candidates", "map", "rounds", "ours", "sets", "ratio", "fastest sets", "ratio", "same picks"),
        [
            (
                case["candidates"],
                case["map"],
                case["rounds"],
                f"{case['seconds']['ours']:.4f}",
                f"{case['seconds']['sets']:.3f}",
                f"{case['ratio_to_sets']:.1f}",
                f"{case['seconds']['fast_sets']:.3f}",
                f"{case['ratio_to_fast_sets']:.1f}",
                "yes" if case["same_picks"] else "NO",
            )
            for case in result["offline"]
        ],
    )
    _print_rows(
        console,
        f"\nLive, a 37x50 map added and {_NUM_KEYFRAMES} keyframes selected at every frame: milliseconds "
        f"(a twentieth of a 30 Hz interval is {1e3 * _BUDGET_S:.2f})",
        ("window", "policy", "voxel size", "voxels", "add", "select", "both", "95th percentile"),
        [
            (
                case["window"],
                case["policy"],
                case["voxel_size_m"],
                case["voxels"],
                *(f"{case[key]:.2f}" for key in ("add_ms", "select_ms", "total_ms", "total_p95_ms")),
            )
            for case in result["live"]
        ],
    )
    memory = result["memory"]
    console.print(
        f"\nMemory over {memory['frames']} frames, the first {100 * _WARM_UP:.0f} % not counted: resident grew by "
        f"{memory['resident_growth_bytes'] / 1024:.0f} KiB ({memory['resident_bytes_per_1000_frames']:.0f} bytes per "
        f"1000 frames); the window held {memory['window_bytes_min'] / 2**20:.2f} to "
        f"{memory['window_bytes_max'] / 2**20:.2f} MiB"
    )


def _print_rows(console: Console, title: str, headings: tuple[str, ...], rows: list[tuple]) -> None:
    console.print(title)
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
