"""The stage in which connector and language model learn to answer, from what the fixed encoders see.

Looking is dear and what is seen does not change, so it is kept: each step looks at two new scenes and asks about
sixteen of the last thousand. Lessons come first, alone; then all questions, with an encoder left out now and then.
Beside the answers there is a dense target: the last state of every visual token must tell what shows there, and where.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.answers import (
    Asked,
    Seen,
    answer_loss,
    ask_packed,
    fuse,
    lessons,
    pack,
    see,
    worth_of_answers,
)
from spatial_mllm_ros.training.examples import CATEGORIES, Example
from spatial_mllm_ros.training.run import Run, read_state
from spatial_mllm_ros.training.scenes import Question, equalised
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.targets import SceneBatch, batch_of, draw_set, video_of
from spatial_mllm_ros.training.words import rephrased
from spatial_mllm_ros.training.workspace import Workspace, groups, load_stages

__all__ = ["AnswerStage", "QuestionPool", "SceneMemory", "SceneProbe", "score_answers", "settle", "together"]

_SCENES, _NEW_SCENES, _KEPT_SCENES = 16, 2, 1024  # in a step
_FEW = 128  # kept scenes; while there are no more, a step looks at as many as it asks about
_LESSONS_ONLY = 0.4  # share of the time
_SHARPER = 1.6  # by which like finds like from the start


class AnswerStage:
    """Connector, language model and what they are trained with.

    Args:
        work: with the states of the stages before.
        hours: budget.

    Attributes:
        run: see `Run`.

    Raises:
        InputError: if a stage before has not been run.
    """

    def __init__(self, work: Workspace, hours: float) -> None:
        self._work, self._model = work, work.begin()
        load_stages(self._model, work.folder, ("recognition", "geometry"))
        network = self._model.network
        for part in (network.visual, network.spatial_encoder):
            part.requires_grad_(False)
        self._probe = SceneProbe(SIZES.hidden)
        self.run = Run(
            work.folder / "answers",
            {"connector": network.connector, "language": network.model, "visual": network.visual, "probe": self._probe},
            learning_rate=1.2e-3,
            hours=hours,
        )
        work.refresh()
        if self.run.step == 0:
            modules = read_state(work.folder / "recognition" / "state.pt")["modules"]
            settle(self._model, modules["probe"], work.validation[:32])
        self._pool = QuestionPool()
        self._memories = {frames: SceneMemory(_KEPT_SCENES) for frames in (4, 8, 16)}

    def step(self, rng: np.random.Generator) -> None:
        """Look at new scenes, ask about kept ones, and learn."""
        lessons_only = self.run.progress < _LESSONS_ONLY
        frames = 8 if lessons_only else int(rng.choice((4, 8, 16), p=(0.2, 0.6, 0.2)))
        memory = self._memories[frames]
        self._pool.keep_up(self._work.examples)
        for example in self._work.draw(_SCENES if len(memory) < _FEW else _NEW_SCENES, rng):
            chosen = draw_set(example, frames, rng)
            batch = batch_of([example], [chosen], rng)
            memory.add(_Scene(example, chosen, see(self._model, batch.video), *_targets(batch)))
        scenes = memory.draw(_SCENES, rng)
        asked = [self._pool.ask(scene.example, scene.chosen, rng, lessons_only) for scene in scenes]
        seen, shares, points = together(scenes)
        packed = pack(self._model, asked, seen.grid)
        fused = fuse(self._model, seen)
        fused = fused if lessons_only else _with_parts_left_out(fused, seen.visual, rng)
        *logits, states = ask_packed(self._model, packed, fused)
        loss, figures = answer_loss(self._model, packed, *logits)
        what, where = self._probe.losses(states, shares, points)
        figures = {f"loss_{kind}": value for kind, value in figures.items()}
        self.run.update(loss + 3 * what + where, what=float(what.detach()), where=float(where.detach()), **figures)

    def check(self) -> dict[str, Any]:
        """Score the answers about rooms that are not trained on."""
        return score_answers(self._model, self._work.validation)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A keyframe set that the encoders have seen; shares [T,S,categories] and points [T,S,3] of every square."""

    example: Example
    chosen: NDArray[np.int64]
    seen: Seen
    shares: Tensor
    points: Tensor


class SceneMemory:
    """The last scenes that the encoders have seen, in half precision; all of one number of frames."""

    def __init__(self, num_scenes: int) -> None:
        self._scenes: deque[_Scene] = deque(maxlen=num_scenes)

    def __len__(self) -> int:
        return len(self._scenes)

    def add(self, scene: _Scene) -> None:
        """Keep one scene; the oldest goes if there are too many."""
        seen = scene.seen
        kept = Seen(visual=seen.visual.half(), spatial=seen.spatial.half(), grid=seen.grid)
        self._scenes.append(
            dataclasses.replace(scene, seen=kept, shares=scene.shares.half(), points=scene.points.half())
        )

    def draw(self, count: int, rng: np.random.Generator) -> list[_Scene]:
        """Draw scenes, with replacement."""
        return [self._scenes[i] for i in rng.integers(len(self._scenes), size=count)]


def together(scenes: Sequence[_Scene]) -> tuple[Seen, Tensor, Tensor]:
    """Put scenes into one batch: what was seen, shares [B,T,S,categories] and points [B,T,S,3]."""
    visual, spatial = (
        torch.cat([getattr(scene.seen, name) for scene in scenes]).float() for name in ("visual", "spatial")
    )
    shares, points = (torch.stack([getattr(scene, name) for scene in scenes]).float() for name in ("shares", "points"))
    return Seen(visual=visual, spatial=spatial, grid=scenes[0].seen.grid), shares, points


def _targets(batch: SceneBatch) -> tuple[Tensor, Tensor]:
    """Give what shows in every square of 2 x 2 patches of one scene, and where its middle lies, metres."""
    rows, columns = batch.video.shape[3] // 28, batch.video.shape[4] // 28
    middles = batch.points.mean(3)[0].unflatten(1, (rows, 2, columns, 2))  # [T,h,2,w,2,3]
    return batch.shares[0], middles.mean((2, 4)).flatten(1, 2)


class SceneProbe(nn.Module):
    """Reads off the language model's last states, linearly, what every visual token shows and where; for training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shares = nn.Linear(channels, 2 * len(CATEGORIES))
        self.points = nn.Linear(channels, 2 * 3)

    def losses(self, states: Tensor, shares: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Compare states [B,T/2*S,D] with shares [B,T,S,categories] and points [B,T,S,3] in the first camera."""
        told, places = (
            part(states).unflatten(1, (-1, shares.shape[2])).unflatten(-1, (2, -1)).transpose(2, 3).flatten(1, 2)
            for part in (self.shares, self.points)
        )
        distance = (places - points).norm(dim=-1) / (0.5 + points.norm(dim=-1)).sqrt()
        return F.binary_cross_entropy_with_logits(told, shares), distance.clamp(max=4.0).mean()


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
        self._kept: dict[int, list[int]] = {}

    def keep_up(self, examples: Sequence[Example]) -> None:
        """Choose anew when examples have been added."""
        if len(examples) == self._num_known:
            return
        self._num_known = len(examples)
        kept = {id(question) for question in equalised([q for one in examples for q in one.questions])}
        self._kept = {one.seed: [i for i, q in enumerate(one.questions) if id(q) in kept] for one in examples}

    def ask(
        self, example: Example, chosen: NDArray[np.int64], rng: np.random.Generator, lessons_only: bool = False
    ) -> list[Asked]:
        """Draw questions about a keyframe set, every kind alike."""
        drawn = _evenly(lessons(example, chosen), 10 if lessons_only else 5, rng)
        if not lessons_only:
            kept = self._kept.get(example.seed, range(len(example.questions)))
            drawn += _evenly([example.questions[i] for i in kept], 8, rng)
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
def score_answers(model: SpatialMLLM, examples: Sequence[Example]) -> dict[str, Any]:
    """Score the answers to questions and lessons by kind: from the right video, another room's, and none."""
    kept = equalised([question for one in examples for question in one.questions])
    wanted = {id(question) for question in kept}
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group in groups(examples, 8):
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
            worths = worth_of_answers(packed, ask_packed(model, packed, shown)[0])
            for kind, worth in zip(packed.kinds, worths):
                scores[kind][name].append(worth)
    return {
        kind: {"n": len(by_name["right"])}
        | {name: round(100 * float(np.mean(values)), 1) for name, values in by_name.items()}
        for kind, by_name in sorted(scores.items())
    }
