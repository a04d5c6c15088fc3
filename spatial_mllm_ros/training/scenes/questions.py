"""Questions about a room in the wording of VSI-Bench, with their true answers.

Nothing here renders: what was seen, and when, comes in as the share of each image that each object covers. An object is
asked about by its category's name only if it is the only one of its kind and was seen; a category is counted only if
all of its pieces were seen.

Source: Yang et al., "Thinking in Space" (arXiv 2412.14171), question templates and their rules.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.footprints import distance_between
from spatial_mllm_ros.training.scenes.question import KINDS, SEVERAL_INSTANCES, WORDINGS, Question
from spatial_mllm_ros.training.scenes.room import Furniture, Room

__all__ = ["SEEN_SHARE", "bearing_deg", "make_questions"]

SEEN_SHARE = 0.003  # of an image that an object must cover to count as seen
_MIN_DISTANCE_M = 0.2
_MIN_LEAD_M = 0.3  # by which the closest object must be closer than the next
_MIN_STEP_M = 0.6  # between the three objects of a direction question
_DIRECTIONS = {
    "easy": (
        ("left", "right"),
        lambda angle: ("left" if angle > 0 else "right", min(abs(angle), 180 - abs(angle)) - 20),
    ),
    "medium": (
        ("left", "right", "back"),
        lambda angle: (
            "back" if abs(angle) >= 135 else "left" if angle > 0 else "right",
            min(abs(angle) - 20, abs(abs(angle) - 135) - 12),
        ),
    ),
    "hard": (
        ("front-left", "front-right", "back-left", "back-right"),
        lambda angle: (
            f"{'front' if abs(angle) < 90 else 'back'}-{'left' if angle > 0 else 'right'}",
            min(abs(angle), 180 - abs(angle), abs(abs(angle) - 90)) - 12,
        ),
    ),
}  # answers, and a rule: from an angle (degrees, to the left) to the answer and how clear it is (> 0)


def make_questions(
    room: Room,
    visible_share: NDArray[np.float64] | None = None,
    *,
    seed: int = 0,
    per_kind: int = 2,
    kinds: Sequence[str] = KINDS,
) -> list[Question]:
    """Ask about a room.

    Args:
        room: the room.
        visible_share: float64 [T,N], share of each image covered by each piece (`RenderedTour.visible_share`); None:
            everything counts as seen, and no question about the order of appearance is asked.
        seed: another seed asks other questions.
        per_kind: at most so many of each kind; fewer where the room does not hold them.
        kinds: which of `KINDS` to ask.

    Raises:
        InputError: if a kind is unknown, or `visible_share` has another number of objects than the room.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise InputError(f"unknown kind of question: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if visible_share is not None and visible_share.shape[1:] != (len(room.furniture),):
        raise InputError(f"visible_share must be [T,{len(room.furniture)}], not {list(visible_share.shape)}")
    asker = _Asker(room, visible_share)
    questions = []
    for kind in kinds:
        rng = np.random.default_rng((room.seed, seed, KINDS.index(kind)))
        drawn = asker.ask(kind, per_kind, rng)
        questions += list(dict.fromkeys(drawn))  # a small room may give the same question twice
    return questions


def bearing_deg(standing: Sequence[float], facing: Sequence[float], querying: Sequence[float]) -> float:
    """Return how far to turn, from facing one place to facing another: degrees in (-180, 180], positive to the left."""
    ahead = math.atan2(facing[1] - standing[1], facing[0] - standing[0])
    wanted = math.atan2(querying[1] - standing[1], querying[0] - standing[0])
    return math.degrees(math.remainder(wanted - ahead, 2 * math.pi))


class _Asker:
    """What is known about one room, and a method for each kind of question."""

    def __init__(self, room: Room, visible_share: NDArray[np.float64] | None) -> None:
        self._room = room
        pieces = room.furniture
        seen = np.ones((1, len(pieces)), bool) if visible_share is None else visible_share >= SEEN_SHARE
        self._first = None if visible_share is None else self._first_frames(pieces, seen)
        counts = room.counts()
        all_seen = {name: True for name in counts}
        for index, piece in enumerate(pieces):
            all_seen[piece.category] &= bool(seen[:, index].any())
        self._counted = {name: count for name, count in counts.items() if all_seen[name]}
        self._single = sorted(
            (piece for piece in pieces if self._counted.get(piece.category) == 1), key=lambda piece: piece.category
        )
        self._corners = {piece.category: piece.corners() for piece in self._single}
        self._num_frames = len(seen)

    @staticmethod
    def _first_frames(pieces: Sequence[Furniture], seen: NDArray[np.bool_]) -> dict[str, int]:
        first: dict[str, int] = {}
        for index, piece in enumerate(pieces):
            if seen[:, index].any():
                frame = int(np.argmax(seen[:, index]))
                first[piece.category] = min(frame, first.get(piece.category, frame))
        return dict(sorted(first.items()))

    def ask(self, kind: str, count: int, rng: np.random.Generator) -> list[Question]:
        methods: dict[str, Callable[[int, np.random.Generator], list[Question]]] = {
            "object_counting": self._counting,
            "object_abs_distance": self._abs_distance,
            "object_size_estimation": self._size,
            "room_size_estimation": self._room_size,
            "object_rel_distance": self._rel_distance,
            "obj_appearance_order": self._appearance_order,
        }
        if kind in methods:
            return methods[kind](count, rng)
        return self._direction(kind.rpartition("_")[2], count, rng)

    def _counting(self, count: int, rng: np.random.Generator) -> list[Question]:
        """Ask how many; one piece is asked about too, since else the question would say that there are several."""
        return [
            Question(
                kind="object_counting",
                text=WORDINGS["object_counting"].format(name),
                answer=str(self._counted[name]),
                categories=(name,),
            )
            for name in _drawn(rng, list(self._counted), count)
        ]

    def _abs_distance(self, count: int, rng: np.random.Generator) -> list[Question]:
        pairs = [
            (one, two, distance_between(self._corners[one], self._corners[two]))
            for one, two in itertools.permutations(self._corners, 2)
        ]
        pairs = [pair for pair in pairs if pair[2] >= _MIN_DISTANCE_M]
        text = WORDINGS["object_abs_distance"]
        return [
            Question(
                kind="object_abs_distance", text=text.format(one, two), answer=f"{metres:.1f}", categories=(one, two)
            )
            for one, two, metres in _drawn(rng, pairs, count)
        ]

    def _size(self, count: int, rng: np.random.Generator) -> list[Question]:
        return [
            Question(
                kind="object_size_estimation",
                text=WORDINGS["object_size_estimation"].format(piece.category),
                answer=f"{100 * max(piece.size):.0f}",
                categories=(piece.category,),
            )
            for piece in _drawn(rng, self._single, count)
        ]

    def _room_size(self, count: int, rng: np.random.Generator) -> list[Question]:
        text = WORDINGS["room_size_estimation"]
        return [Question(kind="room_size_estimation", text=text, answer=f"{self._room.area_m2:.1f}")][:count]

    def _rel_distance(self, count: int, rng: np.random.Generator) -> list[Question]:
        """Ask which of four categories is closest to a single object; of several pieces the closest one counts."""
        questions = []
        for _ in range(4 * count if self._single and len(self._counted) >= 5 else 0):
            target = self._single[rng.integers(len(self._single))].category
            others = _drawn(rng, [name for name in self._counted if name != target], 4)
            distances = [self._distance_to_nearest(target, other) for other in others]
            nearest, second = np.argsort(distances, kind="stable")[:2]
            if distances[second] - distances[nearest] < _MIN_LEAD_M:
                continue
            text = WORDINGS["object_rel_distance"].format(*others, target)
            if any(self._counted[other] > 1 for other in others):
                text += SEVERAL_INSTANCES
            questions.append(
                Question(
                    kind="object_rel_distance",
                    text=text,
                    answer="ABCD"[nearest],
                    options=tuple(others),
                    categories=(target, *others),
                )
            )
        return questions[:count]

    def _distance_to_nearest(self, target: str, category: str) -> float:
        pieces = [piece for piece in self._room.furniture if piece.category == category]
        return min(distance_between(self._corners[target], piece.corners()) for piece in pieces)

    def _direction(self, level: str, count: int, rng: np.random.Generator) -> list[Question]:
        """Draw the answer first, then three objects that give it: no answer is more likely than another."""
        kind = f"object_rel_direction_{level}"
        answers, rule = _DIRECTIONS[level]
        by_answer: dict[str, list[tuple[str, str, str]]] = {answer: [] for answer in answers}
        for three in itertools.permutations(self._single, 3):
            spots = [piece.centre for piece in three]
            if min(math.dist(a[:2], b[:2]) for a, b in itertools.combinations(spots, 2)) < _MIN_STEP_M:
                continue
            answer, clarity = rule(bearing_deg(*spots))
            if clarity > 0:
                by_answer[answer].append(tuple(piece.category for piece in three))
        questions = []
        for answer in [answers[rng.integers(len(answers))] for _ in range(count)]:
            for standing, facing, querying in _drawn(rng, by_answer[answer], 1):
                options = tuple(_drawn(rng, list(answers), len(answers)))
                questions.append(
                    Question(
                        kind=kind,
                        text=WORDINGS[kind].format(standing, facing, querying, facing),
                        answer="ABCD"[options.index(answer)],
                        options=options,
                        categories=(standing, facing, querying),
                    )
                )
        return questions

    def _appearance_order(self, count: int, rng: np.random.Generator) -> list[Question]:
        if self._first is None:
            return []
        gap, questions = max(1, self._num_frames // 100), []
        for _ in range(8 * count):
            names = _drawn(rng, list(self._first), 4)
            order = sorted(names, key=lambda name: self._first[name])
            frames = [self._first[name] for name in order]
            if len(names) < 4 or min(b - a for a, b in zip(frames, frames[1:])) < gap:
                continue
            wrong = [list(p) for p in itertools.permutations(names) if list(p) != order]
            options = _drawn(rng, [order, *_drawn(rng, wrong, 3)], 4)
            questions.append(
                Question(
                    kind="obj_appearance_order",
                    text=WORDINGS["obj_appearance_order"].format(*names),
                    answer="ABCD"[options.index(order)],
                    options=tuple(", ".join(option) for option in options),
                    categories=tuple(names),
                )
            )
        return questions[:count]


def _drawn(rng: np.random.Generator, items: Sequence, count: int) -> list:
    """Return up to `count` different items in random order."""
    return [items[index] for index in rng.permutation(len(items))[:count]]
