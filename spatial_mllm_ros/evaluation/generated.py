"""Score a model on generated rooms that it has never seen: questions debiased, answers known.

Every arm answers the same questions about the same tours, so arms are compared in pairs. Intervals come from drawing
whole rooms anew, since questions about one room are not independent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.sampling import space_aware_sampling
from spatial_mllm_ros.training.answers import Asked, ask_packed, pack, see, tokens_of, worth_of_answers
from spatial_mllm_ros.training.examples import (
    FIRST_HELD_OUT,
    SHARD,
    Example,
    ExampleConfig,
    draw_shards,
    points_in_world,
    read_shard,
)
from spatial_mllm_ros.training.scenes import Question, equalised
from spatial_mllm_ros.training.targets import video_of
from spatial_mllm_ros.training.words import answer_worth

__all__ = [
    "ARMS",
    "Arm",
    "Interval",
    "Looks",
    "Scores",
    "answered_kinds",
    "debiased",
    "draw_heldout",
    "evaluate",
    "evaluate_encoders",
    "heldout_config",
]

KEYFRAMES = 16  # the largest set that examples are drawn for
_DRAWS = 2000
_BATCH = 8

Looks = Literal["new", "known"]
"""Which furniture stands in a held-out room: of looks that no room in training had, or of those that they had."""


@dataclass(frozen=True)
class Arm:
    """One way to answer.

    Attributes:
        shown: "video", "wrong video" (another room's), "2D only", "3D only" or "nothing".
        keyframes: "space-aware" (by true depth and pose, from the whole tour), "uniform" or "recent"; or space-aware
            from 16 evenly spaced frames, "by depth" or "by VGGT", as the model's own geometry heads see it.
        count: how many keyframes.
    """

    shown: str
    keyframes: str
    count: int

    def __str__(self) -> str:
        return f"{self.shown}, {self.count} {self.keyframes}"


ARMS = (
    *(Arm(shown, "space-aware", 8) for shown in ("video", "wrong video", "2D only", "3D only", "nothing")),
    *(Arm("video", keyframes, 8) for keyframes in ("uniform", "recent")),
    *(Arm("video", keyframes, count) for count in (4, 16) for keyframes in ("space-aware", "uniform", "recent")),
    *(Arm("video", keyframes, 4) for keyframes in ("by depth", "by VGGT")),
)


@dataclass(frozen=True)
class Interval:
    """A mean score or difference in per cent, with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of every question in every arm.

    Attributes:
        kinds, rooms: of each question, [n].
        by_arm: float64 [n], 0 to 1.
        floors: what the best answer that never looks, one for each kind, scores on these questions, per cent.
    """

    kinds: NDArray[np.str_]
    rooms: NDArray[np.int64]
    by_arm: Mapping[Arm, NDArray[np.float64]]
    floors: Mapping[str, float]

    def mean(self, arm: Arm, kind: str | None = None) -> Interval:
        """Give the mean of one kind, or of the means of all kinds."""
        return self._interval(self.by_arm[arm], kind)

    def difference(self, arm: Arm, other: Arm, kind: str | None = None) -> Interval:
        """Give how much better `arm` is than `other`, in pairs."""
        return self._interval(self.by_arm[arm] - self.by_arm[other], kind)

    def _interval(self, values: NDArray[np.float64], kind: str | None) -> Interval:
        kinds = sorted(set(self.kinds)) if kind is None else [kind]
        rooms, index = np.unique(self.rooms, return_inverse=True)
        sums, counts = np.zeros((len(kinds), len(rooms))), np.zeros((len(kinds), len(rooms)))
        for row, one in enumerate(kinds):
            is_kind = self.kinds == one
            np.add.at(sums[row], index[is_kind], values[is_kind])
            np.add.at(counts[row], index[is_kind], 1)
        rng = np.random.default_rng(0)
        weights = rng.multinomial(len(rooms), np.full(len(rooms), 1 / len(rooms)), size=_DRAWS)  # [draws,rooms]
        drawn = (weights @ sums.T) / np.maximum(weights @ counts.T, 1)
        low, high = np.percentile(drawn.mean(1), (2.5, 97.5))
        mean = float((sums.sum(1) / counts.sum(1)).mean())
        return Interval(*(round(100 * float(value), 1) for value in (mean, low, high)))


def heldout_config(looks: Looks) -> ExampleConfig:
    """Give what tours through held-out rooms are drawn by."""
    split = "heldout" if looks == "new" else "train"
    return ExampleConfig(split=split, keyframes=KEYFRAMES, run="recent", per_kind=2)


def draw_heldout(folder: Path, count: int, on_example: Callable[[], object], looks: Looks = "new") -> list[Example]:
    """Draw tours through held-out rooms, or read those that were drawn before.

    Args:
        folder: where they are kept.
        count: how many.
        on_example: called after each.
        looks: see `Looks`.

    Raises:
        InputError: if a file there is damaged.
    """
    first = 0 if looks == "new" else FIRST_HELD_OUT
    whole = -(-count // SHARD) * SHARD  # files are drawn whole, so that more can be added
    paths = draw_shards(folder, heldout_config(looks), first, first + whole, on_example)
    return [example for path in paths for example in read_shard(path)][:count]


def evaluate(
    model: SpatialMLLM,
    examples: Sequence[Example],
    arms: Sequence[Arm] = ARMS,
    kinds: Sequence[str] | None = None,
    on_batch: Callable[[int], object] = lambda count: None,
) -> Scores:
    """Let a model answer the debiased questions about examples in every arm.

    Args:
        model: with a vocabulary in which every answer is one token, as the small model's.
        examples: with keyframe sets of `KEYFRAMES` frames.
        arms: ways to answer.
        kinds: of questions; those that the model does not refuse if None.
        on_batch: called with the number of examples done.

    Raises:
        InputError: if there are too few examples, or their keyframe sets are too small, or the model's vocabulary is
            another, or it has no geometry heads and an arm needs them.
    """
    if len(examples) < 2 or min(len(one.uniform) for one in examples) < KEYFRAMES:
        raise InputError(f"evaluation needs two examples or more, with {KEYFRAMES} keyframes each")
    asked = debiased(examples, kinds or answered_kinds(model))
    scores: dict[Arm, list[float]] = defaultdict(list)
    network_was_training = model.network.training
    model.network.eval()
    try:
        with torch.no_grad():
            for start in range(0, len(examples), _BATCH):
                group = list(range(start, min(start + _BATCH, len(examples))))
                if len(group) == 1:
                    group = [start - 1, start]  # a single room would have no other room's video
                    _score_batch(model, [examples[i] for i in group], [[], asked[start]], arms, scores)
                else:
                    _score_batch(model, [examples[i] for i in group], [asked[i] for i in group], arms, scores)
                on_batch(min(start + _BATCH, len(examples)))
    finally:
        model.network.train(network_was_training)
    questions = [one.question for group in asked for one in group]
    return Scores(
        kinds=np.array([question.kind for question in questions]),
        rooms=np.repeat(np.arange(len(asked)), [len(group) for group in asked]),
        by_arm={arm: np.array(values) for arm, values in scores.items()},
        floors=_floors(questions),
    )


def evaluate_encoders(
    groups: Mapping[str, Sequence[SpatialMLLM]],
    examples: Sequence[Example],
    kinds: Sequence[str] | None = None,
    on_model: Callable[[], object] = lambda: None,
) -> Scores:
    """Score models that were trained to see with both encoders or with one, each as it was trained.

    Args:
        groups: models by what they were shown: "video", "2D only" or "3D only"; several of a group differ in their
            seed, and a question's score is their mean.
        examples: see `evaluate`.
        kinds: of questions; those that no model refuses if None.
        on_model: called after each model.

    Raises:
        InputError: see `evaluate`; or if every kind is refused by some model.
    """
    kinds = kinds or answered_kinds(*(model for models in groups.values() for model in models))
    if kinds == []:
        raise InputError("there is no kind of question that all of these checkpoints answer")
    by_arm = {}
    for shown, models in groups.items():
        arm, worths = Arm(shown, "space-aware", 8), []
        for model in models:
            scores = evaluate(model, examples, (arm,), kinds)
            worths.append(scores.by_arm[arm])
            on_model()
        by_arm[arm] = np.mean(worths, axis=0)
    return Scores(kinds=scores.kinds, rooms=scores.rooms, by_arm=by_arm, floors=scores.floors)


def answered_kinds(*models: SpatialMLLM) -> list[str] | None:
    """Give the kinds of question that none of some models refuses; None if they refuse none."""
    known = [model.config.scope.templates for model in models if model.config.scope]
    return [kind for kind in known[0] if all(kind in other for other in known)] if known else None


def debiased(examples: Sequence[Example], kinds: Sequence[str] | None = None) -> list[list[Asked]]:
    """Choose questions about examples so that their words do not tell the answer; all kinds if None."""
    wanted = [q for one in examples for q in one.questions if kinds is None or q.kind in kinds]
    kept = {id(question) for question in equalised(wanted)}
    return [[Asked(q, q.prompt) for q in one.questions if id(q) in kept] for one in examples]


def _score_batch(
    model: SpatialMLLM,
    examples: Sequence[Example],
    asked: Sequence[Sequence[Asked]],
    arms: Sequence[Arm],
    scores: dict[Arm, list[float]],
) -> None:
    if not any(asked):
        return
    for keyframes, count in dict.fromkeys((arm.keyframes, arm.count) for arm in arms):
        seen = see(model, video_of(examples, [_keyframes(model, one, keyframes, count) for one in examples]))
        visual, connected = tokens_of(model, seen)
        fused = visual + connected
        packed = pack(model, asked, seen.grid)
        shown = {
            "video": fused,
            "wrong video": fused.roll(1, 0),
            "2D only": visual,
            "3D only": connected,
            "nothing": torch.zeros_like(fused),
        }
        for arm in arms:
            if (arm.keyframes, arm.count) == (keyframes, count):
                scores[arm] += worth_of_answers(packed, ask_packed(model, packed, shown[arm.shown])[0])


def _keyframes(model: SpatialMLLM, example: Example, keyframes: str, count: int) -> NDArray[np.int64]:
    if keyframes == "space-aware":
        return np.sort(example.space_aware[:count])
    if keyframes == "recent":
        return example.run[-count:]
    if keyframes in ("by depth", "by VGGT"):
        points, confidence = _geometry(model if keyframes == "by VGGT" else None, example)
        return example.uniform[list(space_aware_sampling(points, confidence, count).indices)]
    step = KEYFRAMES // count
    return example.uniform[step // 2 :: step][:count]


def _geometry(model: SpatialMLLM | None, example: Example) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give points [T,h,w,3] and confidence [T,h,w] of evenly spaced frames: the model's, or the true ones."""
    if model:
        predicted = model.predict_geometry(example.images(example.uniform))
        return predicted.points, predicted.confidence
    depth_m = example.depth_m[example.uniform].astype(np.float32)
    points = points_in_world(depth_m, example.world_from_camera[example.uniform])
    return points, np.ones(points.shape[:3], np.float32)


def _floors(questions: Sequence[Question]) -> dict[str, float]:
    by_kind: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for question in questions:
        by_kind[question.kind].append(answer_worth(question))
    return {kind: round(100 * float(np.mean(worths, axis=0).max()), 1) for kind, worths in sorted(by_kind.items())}
