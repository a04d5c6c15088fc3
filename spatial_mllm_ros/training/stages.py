"""The stages of training the small model, one after the other in one folder; each goes on from where it was stopped.

    scenes       examples/*.npz         tours, drawn once
    recognition  recognition/state.pt   2D encoder
    geometry     geometry/state.pt      spatial encoder with its camera head
    heads        heads/state.pt         depth and point head, on the fixed spatial encoder
    answers      answers/state.pt       connector and language model, on what the fixed encoders see

CPU first: one thread per process is the fastest use of a core, so stages that do not build on each other (scenes,
recognition, geometry) can run side by side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.answers import Asked, Packed, answer_loss, ask_packed, fuse, lessons, pack, see
from spatial_mllm_ros.training.batched import encode_spatial
from spatial_mllm_ros.training.encoders import (
    RecognitionProbe,
    SpatialProbe,
    heads_loss,
    pose_errors,
    recognition_loss,
    spatial_loss,
)
from spatial_mllm_ros.training.examples import CATEGORIES, Example, ExampleConfig, ExampleMaker, read_shard, write_shard
from spatial_mllm_ros.training.run import Run
from spatial_mllm_ros.training.scenes import Question, equalised
from spatial_mllm_ros.training.small_model import SIZES, begin_small_model
from spatial_mllm_ros.training.targets import batch_of, draw_set, video_of
from spatial_mllm_ros.training.words import rephrased

__all__ = [
    "Workspace",
    "draw_scenes",
    "load_stages",
    "train_answers",
    "train_geometry",
    "train_heads",
    "train_recognition",
]

_FRAMES_PER_STEP = 64
_FRAMES_PER_ANSWER_STEP = 16  # looking things up is learnt by the number of steps, not by that of examples
_VALIDATION = 96  # examples
_LOG_EVERY, _CHECK_EVERY = 100, 500
_SHARD = 50
_EARLY = 0.55  # of the answers' training: lessons and short questions, which are cheap and teach to look things up
_EARLY_LESSONS = 26
_SHARPER = 1.6
_Report = Callable[[dict[str, Any]], object]


@dataclass
class Workspace:
    """The folder of a training, and the examples read from it.

    Attributes:
        folder: see above.
        seed: of the first weights.
    """

    folder: Path
    seed: int = 0

    def __post_init__(self) -> None:
        self._read: set[Path] = set()
        self.examples: list[Example] = []
        self.validation: list[Example] = []

    def begin(self) -> SpatialMLLM:
        """Make the untrained model; the same for every stage."""
        folder = self.folder / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return begin_small_model(folder, self.seed)

    def refresh(self) -> None:
        """Read the examples that have been drawn since the last time; the first ones are for validation."""
        for path in sorted((self.folder / "examples").glob("train_*.npz")):
            if path not in self._read:
                self._read.add(path)
                self.examples += list(read_shard(path))
        if not self.validation:
            if len(self.examples) < 2 * _VALIDATION:
                raise InputError(
                    f"{self.folder} holds {len(self.examples)} examples, too few to train on; draw some hundreds first "
                    "with: spatial-mllm train-small --stage scenes"
                )
            self.validation, self.examples = self.examples[:_VALIDATION], self.examples[_VALIDATION:]

    def validation_examples(self) -> list[Example]:
        """Give the examples that are not trained on."""
        self.refresh()
        return self.validation

    def draw(self, count: int, rng: np.random.Generator) -> list[Example]:
        """Draw examples, with replacement."""
        return [self.examples[i] for i in rng.integers(len(self.examples), size=count)]


def draw_scenes(work: Workspace, first: int, last: int, split: str, on_example: Callable[[], object]) -> None:
    """Draw the examples of the seeds from `first` up to `last`; shards that are there already are left alone."""
    folder = work.folder / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    with ExampleMaker(ExampleConfig(split=split)) as maker:
        for start in range(first, last, _SHARD):
            path = folder / f"{split}_{start:06d}.npz"
            seeds = range(start, min(start + _SHARD, last))
            examples = []
            for seed in seeds:
                if not path.exists():
                    examples.append(maker.make(seed))
                on_example()
            if examples:
                write_shard(path, examples)


def train_recognition(work: Workspace, hours: float, report: _Report) -> None:
    """Train the 2D encoder to see what shows where."""
    model = work.begin()
    probe = RecognitionProbe(SIZES.hidden)
    run = Run(
        work.folder / "recognition",
        {"visual": model.network.visual, "probe": probe},
        learning_rate=1.5e-3,
        hours=hours,
    )

    def step(rng: np.random.Generator) -> None:
        examples = work.draw(_FRAMES_PER_STEP // 8, rng)
        batch = batch_of(examples, [draw_set(one, 8, rng) for one in examples], rng)
        run.update(recognition_loss(model.network, probe, batch)[0])

    @torch.no_grad()
    def check() -> dict[str, Any]:
        losses, right, total = [], 0.0, 0
        for examples in _groups(work.validation, 16):
            batch = batch_of(examples, [np.sort(one.space_aware) for one in examples])
            loss, logits = recognition_loss(model.network, probe, batch)
            share, category = batch.shares.max(-1)
            is_plain = share >= 0.99
            right += float((logits.argmax(-1) == category)[is_plain].sum())
            total += int(is_plain.sum())
            losses.append(float(loss))
        return {"val_loss": round(float(np.mean(losses)), 4), "val_category": round(right / max(total, 1), 4)}

    _train(run, work, step, check, report)


def train_geometry(work: Workspace, hours: float, report: _Report) -> None:
    """Train the spatial encoder to see depth, places and cameras: pairs of frames first, longer runs later."""
    model = work.begin()
    vggt, probe = model.network.vggt, SpatialProbe(SIZES.vggt.embed_dim)
    run = Run(
        work.folder / "geometry",
        {"aggregator": vggt.aggregator, "camera": vggt.camera_head, "probe": probe},
        learning_rate=1.5e-3,
        hours=hours,
    )

    def step(rng: np.random.Generator) -> None:
        shares = (0.5, 0.3, 0.2) if run.progress < 0.4 else (0.2, 0.3, 0.5)
        frames = int(rng.choice((2, 4, 8), p=shares))
        examples = work.draw(_FRAMES_PER_STEP // frames, rng)
        batch = batch_of(examples, [draw_set(one, frames, rng) for one in examples], rng)
        loss, told = spatial_loss(model.network, probe, batch)
        run.update(loss, **told["figures"])

    @torch.no_grad()
    def check() -> dict[str, Any]:
        return {f"val_{kind}": _geometry_errors(model, probe, work.validation, kind) for kind in ("run", "uniform")}

    _train(run, work, step, check, report)


def train_heads(work: Workspace, hours: float, report: _Report) -> None:
    """Train the depth and the point head, which give a value and a confidence per pixel."""
    model = work.begin()
    load_stages(model, work.folder, ("geometry",))
    vggt = model.network.vggt
    vggt.aggregator.requires_grad_(False)
    heads = {"depth_head": vggt.depth_head, "point_head": vggt.point_head}
    run = Run(work.folder / "heads", heads, learning_rate=1e-3, hours=hours)

    def losses(examples: Sequence[Example], rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        sets = [draw_set(one, 8, rng) if rng else np.sort(one.space_aware) for one in examples]
        batch = batch_of(examples, sets, rng)
        with torch.no_grad():
            layers, _ = encode_spatial(model.network, batch.video)
        return heads_loss(vggt, layers, batch)

    def step(rng: np.random.Generator) -> None:
        depth, points = losses(work.draw(2, rng), rng)
        run.update(depth + points, depth=float(depth.detach()), points=float(points.detach()))

    @torch.no_grad()
    def check() -> dict[str, Any]:
        pairs = [losses(group, None) for group in _groups(work.validation[:32], 4)]
        depth, points = (round(float(torch.stack(values).mean()), 4) for values in zip(*pairs))
        return {"val_depth": depth, "val_points": points}

    _train(run, work, step, check, report)


def _geometry_errors(
    model: SpatialMLLM, probe: SpatialProbe, examples: Sequence[Example], kind: str
) -> dict[str, float]:
    """Give medians over frames that turned by 5 degrees (moved by 0.3 m), beside those of a still camera."""
    errors, depth, flat = defaultdict(list), [], []
    for group in _groups(examples, 16):
        batch = batch_of(group, [np.sort(getattr(one, kind)) for one in group])
        _, told = spatial_loss(model.network, probe, batch)
        found = pose_errors(told["cameras"], batch.poses)
        has_turned, has_moved = found["still_rotation_deg"] > 5, found["still_translation_m"] > 0.3
        for name, values in found.items():
            errors[name].append(values[has_turned if "rotation" in name else has_moved])
        truth = batch.depth_m.clamp(0.2, 8.0).log()
        depth.append(float((told["log_depth"] - truth).abs().mean()))
        flat.append(float((truth - truth.median()).abs().mean()))
    medians = {name: round(float(torch.cat(values).median()), 3) for name, values in errors.items()}
    return {**medians, "log_depth": round(float(np.mean(depth)), 4), "flat_log_depth": round(float(np.mean(flat)), 4)}


def train_answers(work: Workspace, hours: float, report: _Report) -> None:
    """Train connector and language model to answer; the encoders stay as the other stages left them."""
    model = work.begin()
    load_stages(model, work.folder, ("recognition", "geometry"))
    network = model.network
    for part in (network.visual, network.spatial_encoder):
        part.requires_grad_(False)
    run = Run(
        work.folder / "answers",
        {"connector": network.connector, "language": network.model, "visual": network.visual},
        learning_rate=1.5e-3,
        hours=hours,
    )
    if run.step == 0:
        modules = torch.load(work.folder / "recognition" / "state.pt", weights_only=True)["modules"]
        settle(model, modules["probe"], work.validation_examples()[:32])
    pool = QuestionPool()

    def step(rng: np.random.Generator) -> None:
        pool.keep_up(work.examples)
        frames = int(rng.choice((4, 8, 16), p=(0.2, 0.6, 0.2)))
        examples = work.draw(_FRAMES_PER_ANSWER_STEP // frames, rng)
        sets = [draw_set(one, frames, rng) for one in examples]
        seen = see(model, video_of(examples, sets, rng))
        for _ in range(2):  # seeing costs a third of a step, so what was seen is asked about twice
            is_early = run.progress < _EARLY
            asked = [pool.ask(one, chosen, rng, is_early) for one, chosen in zip(examples, sets)]
            packed = pack(model, asked, seen.grid)
            fused = _with_parts_left_out(fuse(model, seen), seen.visual, rng)
            loss, figures = answer_loss(model, packed, *ask_packed(model, packed, fused))
            run.update(loss, **{f"loss_{kind}": value for kind, value in figures.items()})

    def check() -> dict[str, Any]:
        return score_answers(model, work.validation, pool)

    _train(run, work, step, check, report)


def load_stages(model: SpatialMLLM, folder: Path, stages: Sequence[str]) -> None:
    """Take over what stages have learnt.

    Raises:
        InputError: if one of them has not been run.
    """
    network = model.network
    parts = {
        "visual": network.visual,
        "aggregator": network.vggt.aggregator,
        "camera": network.vggt.camera_head,
        "depth_head": network.vggt.depth_head,
        "point_head": network.vggt.point_head,
        "connector": network.connector,
        "language": network.model,
    }
    for stage in stages:
        path = folder / stage / "state.pt"
        if not path.is_file():
            raise InputError(f"{path} is missing; run spatial-mllm train-small --stage {stage} first")
        for name, state in torch.load(path, weights_only=True)["modules"].items():
            if name in parts:  # what was read off the encoders only to train them is left behind
                parts[name].load_state_dict(state)


@torch.no_grad()
def settle(model: SpatialMLLM, probe: Mapping[str, Tensor], examples: Sequence[Example]) -> None:
    """Fit what the encoders give to the untrained language model, so that looking things up is easy to learn.

    What the 2D encoder gives is centred and brought to the scale of words (its last layer takes that up); the connector
    begins softly beside it. A category's word begins as the direction in which tokens show that category, and the first
    two layers' keys begin as their queries: like finds like.

    Args:
        model: whose language model is still untrained.
        probe: the state of the `RecognitionProbe` that the 2D encoder was trained with.
        examples: a few, to see what the encoders give.
    """
    network = model.network
    seen = see(model, video_of(examples, [one.uniform for one in examples]))
    tokens = seen.visual.flatten(0, 1)
    words = network.model.embed_tokens.weight
    scale = 2 * words.std() / (tokens - tokens.mean(0)).std()
    last = network.visual.merger.mlp[-1]
    last.bias.copy_((last.bias - tokens.mean(0)) * scale)
    last.weight.mul_(scale)
    connected = fuse(model, seen) - seen.visual
    network.connector.mlp[-1].weight.mul_(words.std() / connected.std())
    shows = (probe["shares.weight"] * probe["norm.weight"]).unflatten(0, (2, -1)).sum(0)  # [categories,D]
    shows = shows / shows.norm(dim=1, keepdim=True) * words.norm(dim=1).mean()
    for category, direction in zip(CATEGORIES, shows):
        (token,) = model.tokenizer.encode(category)
        words[token] = direction
    for layer in network.model.layers[:2]:
        layer.self_attn.q_proj.weight.mul_(_SHARPER)
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)


class QuestionPool:
    """The questions that may be asked about each example: those that `equalised` keeps, and lessons."""

    def __init__(self) -> None:
        self._num_known = 0
        self._kept: dict[int, list[Question]] = {}

    def keep_up(self, examples: Sequence[Example]) -> None:
        """Choose anew when examples have been added."""
        if len(examples) == self._num_known:
            return
        self._num_known = len(examples)
        kept = {id(question) for question in equalised([q for one in examples for q in one.questions])}
        self._kept = {one.seed: [q for q in one.questions if id(q) in kept] for one in examples}

    def ask(
        self, example: Example, chosen: NDArray[np.int64], rng: np.random.Generator, is_early: bool = False
    ) -> list[Asked]:
        """Draw questions about a keyframe set, every kind alike; early on lessons and a few short questions only."""
        kept, taught = self._kept.get(example.seed, example.questions), lessons(example, chosen)
        if is_early:
            short = [question for question in kept if not question.options]
            drawn = _evenly(taught, _EARLY_LESSONS, rng) + _evenly(short, 6, rng)
        else:
            drawn = _evenly(kept, 11, rng) + _evenly(taught, 8, rng)
        return [Asked(question, rephrased(question, rng)) for question in drawn]


def _evenly(questions: Sequence[Question], count: int, rng: np.random.Generator) -> list[Question]:
    """Draw up to so many questions, every kind alike."""
    by_kind: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_kind[question.kind].append(question)
    queues = [rng.permutation(np.array(group, object)).tolist() for group in by_kind.values()]
    drawn: list[Question] = []
    while len(drawn) < count and any(queues):
        for queue in [queues[i] for i in rng.permutation(len(queues))]:
            if queue:
                drawn.append(queue.pop())
    return drawn[:count]


def _with_parts_left_out(fused: Tensor, visual: Tensor, rng: np.random.Generator) -> Tensor:
    """Show a tenth of the scenes to one encoder only, a tenth to the other, and a tenth to none."""
    drawn = torch.from_numpy(rng.random(len(fused)).astype(np.float32))[:, None, None]
    fused = torch.where(drawn < 0.1, torch.zeros_like(fused), fused)
    fused = torch.where((drawn >= 0.1) & (drawn < 0.2), visual, fused)
    return torch.where((drawn >= 0.2) & (drawn < 0.3), fused - visual, fused)


@torch.no_grad()
def score_answers(
    model: SpatialMLLM, examples: Sequence[Example], pool: QuestionPool | None = None
) -> dict[str, Any]:
    """Score the answers to VSI-Bench's questions by kind: from the right video, another room's, and none."""
    kept = equalised([question for one in examples for question in one.questions])
    wanted = {id(question) for question in kept}
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group in _groups(examples, 8):
        sets = [np.sort(one.space_aware) for one in group]
        seen = see(model, video_of(group, sets))
        fused = fuse(model, seen)
        asked = [
            [Asked(q, q.prompt) for q in one.questions if id(q) in wanted]
            + [Asked(q, q.text) for q in lessons(one, chosen)]
            for one, chosen in zip(group, sets)
        ]
        packed = pack(model, asked, seen.grid)
        for name, shown in (("right", fused), ("wrong", fused.roll(1, 0)), ("blind", torch.zeros_like(fused))):
            _note_scores(scores, name, packed, ask_packed(model, packed, shown)[0])
    return {
        kind: {"n": len(by_name["right"])}
        | {name: round(100 * float(np.mean(values)), 1) for name, values in by_name.items()}
        for kind, by_name in sorted(scores.items())
    }


def _note_scores(scores: dict, name: str, packed: Packed, logits: Tensor) -> None:
    said = packed.worth.gather(1, logits.argmax(-1, keepdim=True))[:, 0].tolist()
    for kind, worth in zip(packed.kinds, said):
        scores[kind][name].append(worth)


def _train(run: Run, work: Workspace, step: Callable, check: Callable[[], dict], report: _Report) -> None:
    torch.set_num_threads(1)
    work.refresh()
    rng = np.random.default_rng((work.seed, run.step))
    while run.progress < 1:
        step(rng)
        if run.step % _LOG_EVERY < 2 and run.has_news(_LOG_EVERY):
            work.refresh()
            extra = check() if run.step % _CHECK_EVERY < 2 else {}
            report(run.log(examples=len(work.examples), **extra))
    run.save()
    report(run.log(examples=len(work.examples), **check()))


def _groups(examples: Sequence[Example], size: int) -> list[Sequence[Example]]:
    return [examples[i : i + size] for i in range(0, len(examples), size)]
