"""The stage in which the language model learns to answer from what the encoders see.

The encoders stay as they are. The last layers of merger and connector are set by least squares, so that together these
say what the teller would say of the same scene. The language model can read that at once, and learns to doubt it; at
first something of the truth is mixed in, or it would unlearn to measure before it had learnt to doubt. Merger and
connector do not learn from answers: at the language model's rate they would soon be out of tune. Looking is dear, so
what has been seen is asked about a few times before it is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.training.answers import answer_loss, ask_packed, pack, see, tokens_of
from spatial_mllm_ros.training.asking import Parts, QuestionPool, score_answers, with_parts_left_out
from spatial_mllm_ros.training.batched import in_bfloat16
from spatial_mllm_ros.training.examples import Example
from spatial_mllm_ros.training.facts import FactProbe, stacked_facts
from spatial_mllm_ros.training.reading_stage import FACTS_WEIGHT, frames_of_a_step
from spatial_mllm_ros.training.run import Run, read_state, taking_over
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.targets import batch_of, draw_set, video_of
from spatial_mllm_ros.training.telling import Teller, told_places, told_shares
from spatial_mllm_ros.training.workspace import Workspace, load_stages

__all__ = ["AnswerStage", "SceneMemory", "Shown", "answers_name", "fit_linear"]

Shown = Literal["both", "2D", "3D"]
_SCENES, _NEW_SCENES, _KEPT_SCENES = 12, 4, 128  # in a step, with 8 frames each
_FIRST_SCENES = 2560  # from which the last layers are fitted
_RIDGE = 3e-3  # of the square of what goes into them
_TOLD_UNTIL = 0.4  # share of the time after which nothing is told any more


def answers_name(shown: Shown = "both", seed: int = 0) -> str:
    """Name the stage's state: "answers", or "answers-2D-1" for one that is shown the 2D encoder alone, with seed 1."""
    return "answers" if (shown, seed) == ("both", 0) else f"answers-{shown}-{seed}"


class AnswerStage:
    """Merger and connector by least squares, and the language model.

    Args:
        work: with the states of the stages before.
        hours: budget.
        shown: what the language model is shown: what "both" encoders see, the "2D" or the "3D" one. Compare encoders by
            models that were trained with them, not by one that suddenly has to do without.
        kinds: of questions that are asked; all if there are none.

    Attributes:
        run: see `Run`; in the folder `answers_name`.

    Raises:
        InputError: if a stage before has not been run.
    """

    def __init__(self, work: Workspace, hours: float, shown: Shown = "both", kinds: Sequence[str] = ()) -> None:
        self._work, self._model = work, work.begin()
        load_stages(self._model, work.folder, ("recognition", "geometry", "reading"))
        network = self._model.network
        for part in (network.visual, network.spatial_encoder, network.connector):
            part.requires_grad_(False)
        self._teller, self._probe = Teller(SIZES.hidden).requires_grad_(False), FactProbe(SIZES.hidden)
        path = work.folder / "reading" / "state.pt"
        with taking_over(path):
            learnt = read_state(path)["modules"]
            self._teller.load_state_dict(learnt["teller"])
            self._probe.load_state_dict(learnt["probe"])
        self._shares_shown = (float(shown != "3D"), float(shown != "2D"))
        self.run = Run(
            work.folder / answers_name(shown, work.seed),
            {
                "merger": network.visual.merger,  # this and the connector are kept as they were fitted
                "connector": network.connector,
                "language": network.model,
                "probe": self._probe,
            },
            learning_rate=2e-4,
            hours=hours,
        )
        work.refresh()
        self._pool = QuestionPool(kinds)
        self._memories = {frames: SceneMemory(_KEPT_SCENES) for frames in (4, 8, 16)}
        if not self.run.step:
            self._fit_last_layers()

    def step(self, rng: np.random.Generator) -> None:
        """Look at new scenes, ask about kept ones, and learn."""
        self._pool.keep_up(self._work.examples)
        frames = frames_of_a_step(rng)
        scenes = self._look(frames, rng)
        visual, spatial, told = (torch.stack(part).float() for part in zip(*(scene.tokens for scene in scenes)))
        asked = [self._pool.ask(scene.example, scene.chosen, rng) for scene in scenes]
        packed = pack(self._model, asked, scenes[0].grid)
        fused = with_parts_left_out((visual, spatial), rng)
        fused = fused + self._share_told(len(scenes), rng) * (told - fused)
        with in_bfloat16():
            *logits, mentioned = (one.float() for one in ask_packed(self._model, packed, fused))
        loss, by_kind = answer_loss(self._model, packed, *logits)
        known = stacked_facts([scene.example for scene in scenes], [scene.chosen for scene in scenes])
        facts = self._probe.loss(mentioned, known, packed.mentions)
        figures = {"misfit": _misfit(visual + spatial, told), "facts": float(facts.detach())}
        figures |= {f"loss_{kind}": value for kind, value in by_kind.items()}
        self.run.update(loss + FACTS_WEIGHT * facts, **figures)

    def check(self) -> dict[str, Any]:
        """Score the answers about rooms that are not trained on."""
        return score_answers(self._model, self._work.validation, self._read)

    def _look(self, frames: int, rng: np.random.Generator) -> list[_Scene]:
        """Take new scenes into memory, and draw some that are there."""
        memory, share = self._memories[frames], 8 / frames
        num_scenes = round(_SCENES * share)
        num_new = round(_NEW_SCENES * share) if len(memory) >= _KEPT_SCENES // 2 else num_scenes
        for scene in self._look_at_new(num_new, frames, rng):
            memory.add(scene)
        return memory.draw(num_scenes, rng)

    @torch.no_grad()
    def _look_at_new(self, count: int, frames: int, rng: np.random.Generator) -> list[_Scene]:
        examples = self._work.draw(count, rng)
        sets = [draw_set(one, frames, rng) for one in examples]
        batch = batch_of(examples, sets, rng)
        with in_bfloat16():
            seen = see(self._model, batch.video)
        seen = replace(seen, pairs=seen.pairs.float(), spatial=seen.spatial.float())
        told = sum(self._teller(told_shares(batch), told_places(batch)))
        tokens = zip(*self._shown(tokens_of(self._model, seen)), told)
        return [_Scene(*one, tuple(part), seen.grid) for *one, part in zip(examples, sets, tokens)]

    @torch.no_grad()
    def _fit_last_layers(self) -> None:
        """Set the last layers of merger and connector so that their sum is nearest to what is told."""
        network, rng = self._model.network, np.random.default_rng(self._work.seed)
        ends = [(mlp, mlp[-1]) for mlp in (network.visual.merger.mlp, network.connector.mlp)]
        for mlp, _ in ends:
            mlp[-1] = torch.nn.Identity()

        def looked() -> Iterator[tuple[Tensor, ...]]:
            for _ in range(_FIRST_SCENES // 16):
                yield tuple(map(torch.cat, zip(*(scene.tokens for scene in self._look_at_new(16, 8, rng)))))

        fit_linear([last for _, last in ends], looked())
        for mlp, last in ends:
            mlp[-1] = last

    def _share_told(self, count: int, rng: np.random.Generator) -> Tensor:
        """Draw how much of each scene is told, 0 to 1, [B,1,1]; less and less of it."""
        most = max(0.0, 1 - self.run.progress / _TOLD_UNTIL)
        return torch.from_numpy(most * rng.random((count, 1, 1), np.float32))

    def _read(self, examples: Sequence[Example], sets: Sequence[NDArray[np.int64]]) -> Parts:
        return self._shown(tokens_of(self._model, see(self._model, video_of(examples, sets))))

    def _shown(self, parts: Parts) -> Parts:
        return parts[0] * self._shares_shown[0], parts[1] * self._shares_shown[1]


@torch.no_grad()
def fit_linear(layers: Sequence[torch.nn.Linear], batches: Iterable[Sequence[Tensor]]) -> None:
    """Set layers so that the sum of what they make of their x is nearest to y, by ridge regression.

    Args:
        layers: to set.
        batches: of x [n,C] for each layer, and y [n,D].
    """
    square, product = 0.0, 0.0
    for *xs, y in batches:
        x = torch.cat([*xs, y.new_ones(len(y), 1)], dim=1)
        square, product = square + (x.T @ x).double(), product + (x.T @ y).double()
    square.diagonal().mul_(1 + _RIDGE).add_(_RIDGE)
    found = torch.linalg.solve(square, product)  # [C+..+1,D]
    start = 0
    for layer in layers:
        layer.weight.copy_(found[start : start + layer.in_features].T)
        layer.bias.zero_()
        start += layer.in_features
    layers[0].bias.copy_(found[-1])


def _misfit(seen: Tensor, told: Tensor) -> float:
    """Give the mean squared difference as a share of the variance of what is told."""
    return float(F.mse_loss(seen, told) / told.var(dim=(0, 1)).mean())


@dataclass(frozen=True, eq=False)
class _Scene:
    """What was seen of a keyframe set.

    Attributes:
        example, chosen: the set.
        tokens: of the 2D encoder, of the spatial encoder, and as the teller would say their sum, [S,D] each.
        grid: see `Seen`.
    """

    example: Example
    chosen: NDArray[np.int64]
    tokens: tuple[Tensor, Tensor, Tensor]
    grid: tuple[int, int, int]


class SceneMemory:
    """The last scenes that the encoders have seen, all of one number of frames."""

    def __init__(self, num_scenes: int) -> None:
        self._scenes: deque[_Scene] = deque(maxlen=num_scenes)

    def __len__(self) -> int:
        return len(self._scenes)

    def add(self, scene: _Scene) -> None:
        """Keep one scene; the oldest goes if there are too many."""
        self._scenes.append(scene)

    def draw(self, count: int, rng: np.random.Generator) -> list[_Scene]:
        """Draw different scenes, as many as there are at most."""
        drawn = rng.permutation(len(self._scenes))[:count]
        return [self._scenes[i] for i in drawn]
