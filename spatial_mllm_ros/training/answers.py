"""Questions about tokens: those that are told of a scene, or made of what encoders see of it.

Questions about one scene are read in one pass: each sees the scene and itself, never another question. The target of a
numeric answer is its Mean Relative Accuracy for every number that could be said, so that the likeliest number is the
one with the best expected score. Lessons, asked in training only, are the dense target: which object is where, seen
when, from how near.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.model.positions import mrope_positions
from spatial_mllm_ros.training.batched import encode_pairs, encode_spatial, merge_2d
from spatial_mllm_ros.training.examples import CATEGORIES, Example, points_in_world
from spatial_mllm_ros.training.facts import level_from_world
from spatial_mllm_ros.training.packed_attention import PackedAttention
from spatial_mllm_ros.training.scenes import Question
from spatial_mllm_ros.training.words import LESSONS, NUMBERS, answer_words, answer_worth

__all__ = [
    "Asked",
    "Packed",
    "Seen",
    "answer_loss",
    "ask_packed",
    "lessons",
    "pack",
    "see",
    "token_ids",
    "tokens_of",
    "worth_of_answers",
]


@dataclass(frozen=True)
class Asked:
    """A question as it is put, in words, with what each possible answer is worth."""

    question: Question
    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What the frozen encoders made of B keyframe sets of T frames.

    Attributes:
        pairs: [B,T/2,P,C], the 2D encoder's patches before they are merged.
        spatial: [B,T,P,2C], patch tokens of the last layer.
        grid: of each set, (t, h, w).
    """

    pairs: Tensor
    spatial: Tensor
    grid: tuple[int, int, int]


@torch.no_grad()
def see(model: SpatialMLLM, video: Tensor) -> Seen:
    """Run both encoders on [B,T,3,H,W]."""
    layers, _ = encode_spatial(model.network, video)
    grid = (video.shape[1] // 2, video.shape[3] // 14, video.shape[4] // 14)
    return Seen(pairs=encode_pairs(model.network, video), spatial=layers[-1][:, :, 5:], grid=grid)


def tokens_of(model: SpatialMLLM, seen: Seen) -> tuple[Tensor, Tensor]:
    """Give what each encoder adds to the language model's tokens, [B,S,D] each: merged pairs, and the connector's."""
    batch, (pairs, rows, columns) = len(seen.spatial), seen.grid
    visual = merge_2d(model.network, seen.pairs, seen.grid).flatten(1, 2)
    grid = (batch * pairs, rows, columns)  # pairs do not mix, so scenes can follow each other
    return visual, model.network.connector(seen.spatial.flatten(0, 1), grid).unflatten(0, (batch, -1))


def lessons(example: Example, chosen: NDArray[np.int64]) -> list[Question]:
    """Ask what one must know to answer anything: of every single object that shows, where it is, and since when."""
    shown = example.furniture[chosen]  # [T,h,w]
    first_from_world = level_from_world(example.world_from_camera[chosen[0]])
    poses = example.world_from_camera[chosen]
    ways = points_in_world(example.depth_m[chosen], poses) - poses[:, None, None, :3, 3]  # [T,h,w,3]
    distance = np.linalg.norm(ways, axis=-1)
    asked = []
    for category in np.unique(example.categories):
        pieces = np.flatnonzero(example.categories == category)
        is_shown = np.isin(shown, pieces)
        frames = np.flatnonzero(is_shown.sum((1, 2)) >= 4)
        pair = str(frames[0] // 2 + 1) if len(frames) else "0"
        asked.append(_lesson("lesson_first", category, pair))
        if len(pieces) > 1 or not len(frames):
            continue
        ahead, left, _ = (first_from_world @ [*example.centres[pieces[0]], 1.0])[:3]
        near = max(0.1, float(distance[is_shown].min()))
        asked += [
            _lesson("lesson_near", category, f"{near:.1f}"),
            _lesson("lesson_ahead", category, f"{ahead:+.1f}"),
            _lesson("lesson_left", category, f"{left:+.1f}"),
        ]
    return asked


def _lesson(kind: str, category: int, answer: str) -> Question:
    name = CATEGORIES[category]
    return Question(kind=kind, text=LESSONS[kind][0].format(name), answer=answer, categories=(name,))


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """Scenes with their questions, as one batch of sequences of equal length.

    Attributes:
        input_ids: int64 [B,L]; positions: int64 [3,B,L]; attention: see there.
        is_video: bool [B,L], where fused embeddings go.
        rows, places: int64 [M], where each question's answer is due: sequence, and its last token.
        worth: float32 [M,V], what each token is worth as an answer.
        kinds: of each question.
        stops: int64 [M], the places of the answers themselves, after which the turn ends.
        mentions: int64 [n,3], where a question names a category: sequence, place, and category.
    """

    input_ids: Tensor
    positions: Tensor
    attention: PackedAttention
    is_video: Tensor
    rows: Tensor
    places: Tensor
    stops: Tensor
    mentions: Tensor
    worth: Tensor
    kinds: tuple[str, ...]


def token_ids(model: SpatialMLLM) -> dict[str, list[int]]:
    """Give the tokens of `answer_words`, by kind ("" for choices).

    Raises:
        InputError: if the model has no tokenizer, or one in which an answer is not one token.
    """
    if model.tokenizer is None:
        raise InputError(f"{model.name} has no tokenizer")
    found = {}
    for kind in (*NUMBERS, "", *LESSONS):
        tokens = [model.tokenizer.encode(word) for word in answer_words(kind)]
        if any(len(ids) != 1 for ids in tokens):
            raise InputError(f"{model.name} does not have every answer as one token, as small models trained here do")
        found[kind] = [ids[0] for ids in tokens]
    return found


def pack(model: SpatialMLLM, asked: Sequence[Sequence[Asked]], grid: tuple[int, int, int]) -> Packed:
    """Put the questions about each of B scenes behind its scene."""
    vocabulary, ids_of = model.config.text.vocab_size, token_ids(model)
    prefix = model.prompt.prefix_ids(grid)[0]
    prefix_positions = mrope_positions(prefix[None], [grid], video_token_id=model.config.video_token_id)[:, 0]
    start = int(prefix_positions.max()) + 1
    named = {model.tokenizer.encode(name)[0]: index for index, name in enumerate(CATEGORIES)}
    tokens, positions, segments, rows, places, worth, kinds, mentions = [], [], [], [], [], [], [], []
    for row, group in enumerate(asked):
        ids, place, segment = [*prefix.tolist()], [prefix_positions], [0] * len(prefix)
        for index, one in enumerate(group):
            words = ids_of.get(one.question.kind, ids_of[""])
            value = answer_worth(one.question)
            text = model.prompt.question_ids(one.text)[0].tolist()
            mentions += [(row, len(ids) + i, named[token]) for i, token in enumerate(text) if token in named]
            rows.append(row)
            places.append(len(ids) + len(text) - 1)
            line = torch.zeros(vocabulary)
            line[words] = torch.from_numpy(value)
            worth.append(line)
            kinds.append(one.question.kind)
            text.append(words[int(value.argmax())])
            ids += text
            place.append(torch.arange(start, start + len(text)).expand(3, -1))
            segment += [index + 1] * len(text)
        tokens.append(torch.tensor(ids))
        positions.append(torch.cat(place, dim=1))
        segments.append(torch.tensor(segment))
    length = max(map(len, tokens))
    input_ids = torch.stack([F.pad(one, (0, length - len(one))) for one in tokens])
    segment = torch.stack([F.pad(one, (0, length - len(one)), value=-1) for one in segments])
    place = torch.tensor(places)
    return Packed(
        input_ids=input_ids,
        positions=torch.stack([F.pad(one, (0, length - one.shape[1])) for one in positions], dim=1),
        attention=PackedAttention(segment),
        is_video=input_ids == model.config.video_token_id,
        rows=torch.tensor(rows),
        places=place,
        stops=place + 1,
        mentions=torch.tensor(mentions, dtype=torch.int64).reshape(-1, 3),
        worth=torch.stack(worth),
        kinds=tuple(kinds),
    )


def ask_packed(model: SpatialMLLM, packed: Packed, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the logits [M,V] of every answer and of what follows it, and the state [n,D] of every mention half-way."""
    network = model.network
    embeds = network.model.embed_tokens(packed.input_ids)
    embeds = embeds.masked_scatter(packed.is_video[..., None], fused.to(embeds.dtype))
    hidden, half_way = network.model.read(embeds, packed.positions, packed.attention, len(network.model.layers) // 2)
    answers, stops = hidden[packed.rows, packed.places], hidden[packed.rows, packed.stops]
    mentioned = half_way[packed.mentions[:, 0], packed.mentions[:, 1]]
    return network.lm_head(answers), network.lm_head(stops), mentioned


def worth_of_answers(packed: Packed, logits: Tensor) -> list[float]:
    """Give what the likeliest answer to each question is worth, 0 to 1; a token that is no answer is worth 0."""
    return packed.worth.gather(1, logits.argmax(-1, keepdim=True))[:, 0].tolist()


def answer_loss(model: SpatialMLLM, packed: Packed, logits: Tensor, stop_logits: Tensor) -> tuple[Tensor, dict]:
    """Give the loss, and its mean by kind.

    A numeric answer's target is the worth of each number, not made to add up to 1: then the likeliest number is that
    with the greatest expected score.
    """
    by_kind: dict[str, list[int]] = defaultdict(list)
    for index, kind in enumerate(packed.kinds):
        by_kind[kind].append(index)
    each = -(packed.worth * F.log_softmax(logits, dim=-1)).sum(-1)  # [M]
    total, figures = logits.new_zeros(()), {}
    for kind, indices in by_kind.items():
        mean = each[indices].sum() / packed.worth[indices].sum().clamp(min=1e-6)
        total = total + mean * len(indices) / len(packed.kinds)
        figures[kind] = float(mean.detach())
    end = torch.full((len(stop_logits),), model.config.stop_ids[0])
    return total + 0.05 * F.cross_entropy(stop_logits, end), figures
