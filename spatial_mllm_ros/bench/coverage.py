"""How much of a room's true surface do 16 keyframes see, if the camera has dwelt in one corner?

Tours through furnished rooms, half of whose frames are spent in one corner, are streamed through live selectors. What
their keyframes see is counted on patches of the true surface, with exact visibility: not on the voxels that the
selectors go by. 100 % is what all frames of the tour see.

Beside that it counts how often the keyframe set changes, and the share of the sets' frame pairs that an earlier set had
too: those a cache of embeddings finds (of any size, and if every set is encoded).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spatial_mllm_ros.bench.machine import describe_machine
from spatial_mllm_ros.bench.tours import Tour, make_tour
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.sampling import KeyframeSelector, Selection, SelectorConfig, uniform_indices

__all__ = ["HELP", "Outcome", "add_arguments", "coverage_of_tour", "run"]

HELP = "true surface seen by live keyframes, against uniform ones, on tours that dwell"

_SELECTORS = {
    "space-aware, explore": {"method": "space-aware", "window_policy": "explore"},
    "space-aware, recent": {"method": "space-aware", "window_policy": "recent"},
    "uniform, same window": {"method": "uniform", "window_policy": "recent"},
    "recent": {"method": "recent", "window_policy": "recent"},
}
_UNIFORM = "uniform, whole tour"
_TABLE_WIDTH = 110  # columns; a narrower terminal wraps lines rather than squeezing figures
_BLANK = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a way to pick keyframes came to on one tour.

    Attributes:
        surface: share of the surface seen by the whole tour that the keyframes at its end see.
        sets: keyframe sets chosen on the way.
        pairs_again: share of their pairs that an earlier set had too.
    """

    surface: float
    sets: int = 1
    pairs_again: float = 0.0


class _PairCount:
    """Counts the pairs of keyframe sets, and those among them that an earlier set had too."""

    def __init__(self) -> None:
        self.sets = self.pairs = self.again = 0
        self._version = 0
        self._seen: set[tuple[int, ...]] = set()

    def note(self, selection: Selection) -> None:
        if selection.version == self._version:
            return
        self._version = selection.version
        stamps = [frame.stamp_ns for frame in selection.frames]
        pairs = set(zip(stamps[::2], stamps[1::2]))
        self.sets += 1
        self.pairs += len(pairs)
        self.again += len(pairs & self._seen)
        self._seen |= pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench coverage`."""
    parser.add_argument("--tours", type=int, default=24, help="number of tours (default: 24)")
    parser.add_argument("--frames", type=int, default=300, help="frames in a tour (default: 300)")
    parser.add_argument("--dwell", type=float, default=0.5, help="share of frames spent in one corner (default: 0.5)")
    parser.add_argument("--window", type=int, default=128, help="frames in the selectors' window (default: 128)")
    parser.add_argument("-k", "--num-keyframes", type=int, default=16, help="keyframes (default: 16)")
    parser.add_argument("--seed", type=int, default=0, help="of the first tour (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run all tours and print what came of each way to pick keyframes, with its spread."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in (*_SELECTORS, _UNIFORM)}
    with Progress(console=Console(stderr=True), disable=args.json, transient=True) as progress:
        for number in progress.track(range(args.tours), description="tours"):
            tour = make_tour(args.seed + number, args.frames, args.dwell)
            for name, outcome in coverage_of_tour(tour, args.window, args.num_keyframes).items():
                outcomes[name].append(outcome)
    if args.json:
        settings = {key: vars(args)[key] for key in ("tours", "frames", "dwell", "window", "num_keyframes", "seed")}
        found = {
            "share_of_surface": {name: [outcome.surface for outcome in of_one] for name, of_one in outcomes.items()},
            "sets": {name: [outcome.sets for outcome in of_one] for name, of_one in outcomes.items()},
            "share_of_pairs_again": {name: [one.pairs_again for one in of_one] for name, of_one in outcomes.items()},
        }
        print(json.dumps({"machine": describe_machine(), **settings, **found}, indent=2))
    else:
        _print(outcomes, args)
    return 0


def coverage_of_tour(tour: Tour, window_frames: int, num_keyframes: int) -> dict[str, Outcome]:
    """Stream a tour through each selector and say what came of it."""
    patches = tour.room.patches()
    sees = np.stack([tour.room.sees(pose, patches) for pose in tour.world_from_camera])  # [T,P]
    maps = [tour.point_map(index) for index in range(len(tour))]
    outcomes = {_UNIFORM: Outcome(surface=_share(sees, uniform_indices(len(tour), num_keyframes)))}
    for name, settings in _SELECTORS.items():
        selector = KeyframeSelector(
            SelectorConfig(window_frames=window_frames, num_keyframes=num_keyframes, **settings)
        )
        count = _PairCount()
        for point_map in maps:
            selector.add(Frame(image=_BLANK, stamp_ns=point_map.stamp_ns), point_map)
            selection = selector.select()
            count.note(selection)
        stamps = [frame.stamp_ns for frame in selection.frames]
        seen = _share(sees, [index for index, point_map in enumerate(maps) if point_map.stamp_ns in stamps])
        outcomes[name] = Outcome(surface=seen, sets=count.sets, pairs_again=count.again / max(1, count.pairs))
    return outcomes


def _share(sees: NDArray[np.bool_], indices: Sequence[int]) -> float:
    return float(sees[list(indices)].any(axis=0).sum() / sees.any(axis=0).sum())


def _print(outcomes: dict[str, list[Outcome]], args: argparse.Namespace) -> None:
    shares = {name: np.array([outcome.surface for outcome in of_one]) for name, of_one in outcomes.items()}
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(
        f"{args.tours} tours of {args.frames} frames, {100 * args.dwell:.0f} % of them in one corner; "
        f"{args.num_keyframes} keyframes, window {args.window}.\nShare of the surface seen by the whole tour, in %; "
        f"margin over '{_UNIFORM}', with the 95 % interval of its mean;\n"
        "sets: changes of keyframes per tour; again: pairs of these that an earlier set had too, in %"
    )
    table = Table(box=None)
    for heading in ("keyframes", "mean", "std", "min", "max", "margin", "interval", "better", "sets", "again"):
        table.add_column(heading, justify="left" if heading == "keyframes" else "right")
    for name, values in shares.items():
        difference = 100 * (values - shares[_UNIFORM])
        low, high = _bootstrap_interval(difference)
        margin = [f"{difference.mean():+.1f}", f"{low:+.1f} to {high:+.1f}", f"{(difference > 0).sum()}/{len(values)}"]
        spread = [f"{100 * value:.1f}" for value in (values.mean(), values.std(), values.min(), values.max())]
        sets = np.mean([outcome.sets for outcome in outcomes[name]])
        again = np.mean([outcome.pairs_again for outcome in outcomes[name]])
        counts = [f"{sets:.0f}", f"{100 * again:.1f}"]
        table.add_row(name, *spread, *(margin + counts if name != _UNIFORM else [""] * 5))
    console.print(table)


def _bootstrap_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
