"""Training examples: one tour each, with the few frames that are worth drawing, what is true about them, and questions.

Takes seeds; gives `Example`s and writes them in shards of many. Geometry is drawn coarsely for every frame of a tour,
colour only for the frames of three keyframe sets: evenly spaced, space-aware, and a run of overlapping ones.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.geometry import unproject
from spatial_mllm_ros.sampling import space_aware_sampling
from spatial_mllm_ros.training.scenes import (
    CATALOGUE,
    Question,
    RecordingPlan,
    Room,
    RoomConfig,
    RoomRenderer,
    Tour,
    TourConfig,
    make_questions,
    make_room,
    make_tour,
    record_bag,
)
from spatial_mllm_ros.training.scenes.renderer import intrinsics_for

__all__ = [
    "CATEGORIES",
    "HEIGHT",
    "SHARD",
    "WIDTH",
    "Example",
    "ExampleConfig",
    "ExampleMaker",
    "draw_shards",
    "points_in_world",
    "read_shard",
    "record_tour",
    "write_shard",
]

WIDTH, HEIGHT = 112, 84  # pixels of one frame
CATEGORIES = tuple(CATALOGUE)
_COARSE = 8  # the geometry's sides are those of the drawn image, divided by this
_SUPERSAMPLING = 2
_FOV_X_DEG = 75.0
SHARD = 50  # examples in a file
FIRST_HELD_OUT = 1_000_000  # seeds from here on are for testing, with looks of furniture that are trained on, too


@dataclass(frozen=True, kw_only=True)
class ExampleConfig:
    """How many frames of which kind.

    Attributes:
        run: "moving": frames that follow each other while the robot moves; "recent": the last ones of the tour.
    """

    split: str = "train"
    frames: int = 64
    seconds: float = 20.0
    keyframes: int = 8
    per_kind: int = 8
    dwell_share: float = -1.0
    run: str = "moving"


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One tour.

    Attributes:
        seed: of room and tour.
        jpegs: encoded frames [F], F of the tour's T frames.
        frames: int64 [F], their places in the tour, ascending.
        uniform, space_aware, run: int64 [K], indices into `jpegs`: keyframe sets; `space_aware` in the order picked.
        depth_m: float16 [F,h,w], metres along the optical axis, coarse.
        furniture: int8 [F,h,w], index of the piece that shows; -1 for walls, floor and ceiling.
        world_from_camera: float32 [F,4,4], optical axes.
        categories: int8 [N], category of each piece, an index into `CATEGORIES`.
        centres: float32 [N,3], of their boxes in the world, metres.
        sizes: float32 [N,3], of their boxes along their own axes, metres.
        yaws: float32 [N], world_from_local about z, radians.
        area_m2: of the floor.
        questions: with true answers.
        is_mirrored: whether images are to be mirrored when decoded; everything else is given as the mirror shows it.
    """

    seed: int
    jpegs: Sequence[bytes]
    frames: NDArray[np.int64]
    uniform: NDArray[np.int64]
    space_aware: NDArray[np.int64]
    run: NDArray[np.int64]
    depth_m: NDArray[np.float16]
    furniture: NDArray[np.int8]
    world_from_camera: NDArray[np.float32]
    categories: NDArray[np.int8]
    centres: NDArray[np.float32]
    sizes: NDArray[np.float32]
    yaws: NDArray[np.float32]
    area_m2: float
    questions: Sequence[Question]
    is_mirrored: bool = False

    def images(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode frames: uint8 [n,H,W,3] RGB."""
        images = [cv2.imdecode(np.frombuffer(self.jpegs[i], np.uint8), cv2.IMREAD_COLOR) for i in indices]
        return np.stack([image[:, :: -1 if self.is_mirrored else 1, ::-1] for image in images])


class ExampleMaker:
    """Draws examples; holds a renderer, so use it in one thread and close it."""

    def __init__(self, config: ExampleConfig | None = None) -> None:
        self.config = config or ExampleConfig()
        self._renderer = RoomRenderer(_SUPERSAMPLING * WIDTH, _SUPERSAMPLING * HEIGHT, fov_x_deg=_FOV_X_DEG, samples=0)

    def make(self, seed: int) -> Example:
        """Draw the example of a seed; the same seed and config give the same example."""
        config = self.config
        rng = np.random.default_rng((seed, 77))
        room, tour = _drawn(seed, config)
        self._renderer.show(room)
        depth_m, furniture = map(
            np.stack, zip(*(self._renderer.geometry(pose, _COARSE) for pose in tour.world_from_camera))
        )
        sets = self._keyframe_sets(tour, depth_m, rng)
        frames = np.unique(np.concatenate(sets))
        uniform, space_aware, run = (np.searchsorted(frames, chosen) for chosen in sets)
        return Example(
            seed=seed,
            jpegs=[self._jpeg(tour.world_from_camera[frame], rng) for frame in frames],
            frames=frames,
            uniform=uniform,
            space_aware=space_aware,
            run=run,
            depth_m=depth_m[frames].astype(np.float16),
            furniture=furniture[frames].astype(np.int8),
            world_from_camera=tour.world_from_camera[frames].astype(np.float32),
            categories=np.array([CATEGORIES.index(piece.category) for piece in room.furniture], np.int8),
            centres=np.array([piece.centre for piece in room.furniture], np.float32).reshape(-1, 3),
            sizes=np.array([piece.size for piece in room.furniture], np.float32).reshape(-1, 3),
            yaws=np.array([piece.yaw for piece in room.furniture], np.float32),
            area_m2=float(room.area_m2),
            questions=self._questions(room, furniture),
        )

    def close(self) -> None:
        """Give the renderer's context back."""
        self._renderer.close()

    def __enter__(self) -> ExampleMaker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keyframe_sets(
        self, tour: Tour, depth_m: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        count, total = self.config.keyframes, len(tour)
        uniform = ((np.arange(count) + rng.uniform(0, 1, count)) * total / count).astype(np.int64)
        points = points_in_world(depth_m, tour.world_from_camera)
        order = space_aware_sampling(points, np.ones(points.shape[:3], np.float32), count).order
        others = [frame for frame in uniform if frame not in order]
        space_aware = np.array([*order, *others], np.int64)[:count]
        if self.config.run == "recent":
            return uniform, space_aware, np.arange(total - count, total)
        step = int(rng.integers(1, 3))
        moving = [i for i in range(total - step * (count - 1)) if not tour.dwell[0] < i < tour.dwell[1] - count]
        start = int(rng.choice(moving)) if moving else 0
        return uniform, space_aware, start + step * np.arange(count)

    def _jpeg(self, pose: NDArray[np.float64], rng: np.random.Generator) -> bytes:
        image = cv2.resize(self._renderer.image(pose), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        quality = int(rng.integers(80, 96))
        return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

    def _questions(self, room: Room, furniture: NDArray[np.int16]) -> list[Question]:
        pixels = furniture[0].size
        seen = [np.bincount(view.ravel() + 1, minlength=len(room.furniture) + 1)[1:] for view in furniture]
        return make_questions(room, np.array(seen) / pixels, per_kind=self.config.per_kind)


def record_tour(seed: int, config: ExampleConfig, folder: Path, renderer: RoomRenderer) -> None:
    """Record the tour of an example's seed as a bag, with depth in every frame; see `record_bag`."""
    record_bag(*_drawn(seed, config), folder, renderer, RecordingPlan(depth_every=1, jpeg_quality=90))


def _drawn(seed: int, config: ExampleConfig) -> tuple[Room, Tour]:
    room = make_room(seed, RoomConfig(split=config.split))
    return room, make_tour(
        room, TourConfig(frames=config.frames, seconds=config.seconds, dwell_share=config.dwell_share)
    )


def points_in_world(depth_m: NDArray[np.floating], world_from_camera: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return where every coarse pixel's surface is: float32 [T,h,w,3], metres; depth [T,h,w], poses [T,4,4]."""
    intrinsics = intrinsics_for(depth_m.shape[2], depth_m.shape[1], _FOV_X_DEG)
    return np.stack([unproject(depth, intrinsics, pose) for depth, pose in zip(depth_m, world_from_camera)])


_SETS = ("uniform", "space_aware", "run")
_ARRAYS = ("frames", *_SETS, "depth_m", "furniture", "world_from_camera", "categories", "centres", "sizes", "yaws")
# What numpy and zipfile raise, depending on which bytes are wrong
_DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile)


def write_shard(path: Path, examples: Sequence[Example]) -> None:
    """Write examples into one .npz, whole or not at all."""
    arrays: dict[str, Any] = {}
    for index, example in enumerate(examples):
        for name in _ARRAYS:
            arrays[f"{index}/{name}"] = getattr(example, name)
        blob = np.frombuffer(b"".join(example.jpegs), np.uint8)
        arrays[f"{index}/jpegs"], arrays[f"{index}/jpeg_sizes"] = blob, np.array([len(j) for j in example.jpegs])
    about = [
        {
            "seed": example.seed,
            "area_m2": example.area_m2,
            "questions": [[q.kind, q.text, q.answer, list(q.options), list(q.categories)] for q in example.questions],
        }
        for example in examples
    ]
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def read_shard(path: Path) -> list[Example]:
    """Read the examples that `write_shard` wrote.

    Raises:
        InputError: if the file is damaged or something else.
    """
    try:
        return list(_read_examples(path))
    except _DAMAGE as error:
        raise InputError(f"{path} holds no examples that can be read ({error}); remove it, and draw it anew") from error


def draw_shards(
    folder: Path, config: ExampleConfig, first: int, last: int, on_example: Callable[[], object] = lambda: None
) -> list[Path]:
    """Draw the examples of the seeds from `first` up to `last` into files of 50; files that are there are left alone.

    Args:
        folder: where to; made if it is not there.
        config: of the examples; its split begins the files' names.
        first, last: seeds.
        on_example: called after each example, also after one that was there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with contextlib.ExitStack() as stack:
        maker: ExampleMaker | None = None  # only if there is something to draw
        for start in range(first, last, SHARD):
            seeds = range(start, min(start + SHARD, last))
            paths.append(folder / f"{config.split}_{start:06d}.npz")
            if not paths[-1].exists():
                maker = maker or stack.enter_context(ExampleMaker(config))
                examples = []
                for seed in seeds:
                    examples.append(maker.make(seed))
                    on_example()
                write_shard(paths[-1], examples)
            else:
                for _ in seeds:
                    on_example()
    return paths


def _read_examples(path: Path) -> Iterator[Example]:
    with np.load(path) as arrays:
        for index, about in enumerate(json.loads(arrays["about"].tobytes())):
            fields = {name: arrays[f"{index}/{name}"] for name in _ARRAYS}
            ends = np.cumsum(arrays[f"{index}/jpeg_sizes"])
            blob = arrays[f"{index}/jpegs"].tobytes()
            yield Example(
                seed=about["seed"],
                area_m2=about["area_m2"],
                jpegs=[blob[end - size : end] for end, size in zip(ends, arrays[f"{index}/jpeg_sizes"])],
                questions=[
                    Question(kind=kind, text=text, answer=answer, options=tuple(options), categories=tuple(categories))
                    for kind, text, answer, options, categories in about["questions"]
                ],
                **fields,
            )
