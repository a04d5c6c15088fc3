"""The ways in which the latency benchmark answers a question; each is asked in the same words about the same frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.bench.plain_pipeline import PlainPipeline, TimedAnswer
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner, ReasonerConfig
from spatial_mllm_ros.sampling import KeyframeSelector, Selection, SelectorConfig

__all__ = [
    "QUESTIONS",
    "WAYS",
    "Cold",
    "Loaded",
    "Plain",
    "Warm",
    "Way",
    "noise_images",
    "parse_size",
    "recent_selection",
]

QUESTIONS = (  # which the small model has learnt, too
    "How large is this room, in square meters?",
    "How far is the sofa from the table, in meters?",
    "What is the length of the longest dimension (length, width, or height) of the sofa, measured in centimeters?",
)

_PATIENCE_S = 3600.0
_FRAME_S = 0.1  # between two frames of the camera


def noise_images(count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Make noise in blocks of 7 pixels, uint8 [H,W,3] for a size (W, H), the same every time."""
    width, height = size
    blocks = np.random.default_rng(0).integers(0, 256, (count, height // 7, width // 7, 3), dtype=np.uint8)
    return list(blocks.repeat(7, axis=1).repeat(7, axis=2))


def parse_size(text: str) -> tuple[int, int]:
    """Read a size "WxH" in pixels.

    Raises:
        InputError: if it is something else, or a side is no multiple of 28.
    """
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise InputError(f"a size is WxH in pixels, such as 252x196, not {text!r}") from None
    if min(width, height) < 28 or width % 28 or height % 28:
        raise InputError(f"the sides of a frame must be multiples of 28, not {text}")
    return width, height


def recent_selection(images: Sequence[NDArray[np.uint8]]) -> Selection:
    """Select all images, as frames in this order."""
    selector = KeyframeSelector(_all_frames(len(images)))
    for index, image in enumerate(images):
        selector.add(Frame(image=image, stamp_ns=index * 10**8), None)
    return selector.select()


def _all_frames(count: int) -> SelectorConfig:
    return SelectorConfig(method="recent", num_keyframes=count, window_frames=count)


class Way(Protocol):
    """Answers questions about the frames that it was made with."""

    def ask(self, question: str) -> TimedAnswer:
        """Answer one question."""

    def close(self) -> None:
        """Let go of threads."""


class Plain:
    """The straightforward pipeline through transformers, from nothing for every question."""

    label = "straightforward (transformers)"

    def __init__(self, model: SpatialMLLM, images: Sequence[NDArray[np.uint8]], max_new_tokens: int) -> None:
        self._pipeline, self._images, self._max_new_tokens = PlainPipeline(model), images, max_new_tokens

    def ask(self, question: str) -> TimedAnswer:
        return self._pipeline.answer(self._images, question, self._max_new_tokens)

    def close(self) -> None:
        pass


class Warm:
    """Ours, with the visual prefix ready, as it is while a robot looks around."""

    label = "ours, warm"

    def __init__(self, model: SpatialMLLM, images: Sequence[NDArray[np.uint8]], max_new_tokens: int) -> None:
        config = ReasonerConfig(
            max_new_tokens=max_new_tokens,
            timeout_s=_PATIENCE_S,
            repetition_penalty=1.0,
            cache_bytes=0,  # nothing is remembered between two questions that are called cold
            min_refresh_s=0.0,
            max_duty=1.0,
        )
        self._reasoner = Reasoner(model, KeyframeSelector(_all_frames(len(images))), config=config)
        self._images = images
        self._selection = recent_selection(images)
        self._make_ready()

    def ask(self, question: str) -> TimedAnswer:
        started = time.monotonic()
        self._before()
        waited_s = time.monotonic() - started
        answer = self._reasoner.ask(question).result()
        total_s = time.monotonic() - started
        assert answer.status == AnswerStatus.OK, answer.message
        stages = dict(answer.stage_times)
        return TimedAnswer(
            text=answer.text,
            num_tokens=answer.num_tokens,
            first_token_s=waited_s + stages.get("first_token", stages["total"]),
            total_s=total_s,
        )

    def close(self) -> None:
        self._reasoner.close()

    def _make_ready(self) -> None:
        self._reasoner.serve(self._selection)

    def _before(self) -> None:
        """Do what this way does between the asking and the answering."""


class Cold(Warm):
    """Ours, with the keyframes encoded after the question was asked."""

    label = "ours, cold"

    def _make_ready(self) -> None:
        pass

    def _before(self) -> None:
        self._reasoner.serve(self._selection)


class Loaded(Warm):
    """Ours warm, while a camera brings ever new frames and the next keyframes are being encoded without a pause.

    Its answers are about other frames, so only its times compare.
    """

    label = "ours, warm, encoding beside it"

    def _make_ready(self) -> None:
        self._is_closed = threading.Event()
        self._camera = threading.Thread(target=self._film, name="bench camera", daemon=True)
        self._camera.start()
        while self._reasoner.prefix is None:
            time.sleep(_FRAME_S)

    def close(self) -> None:
        self._is_closed.set()
        self._camera.join()
        super().close()

    def _film(self) -> None:
        number = 0
        while not self._is_closed.wait(_FRAME_S):
            image = self._images[number % len(self._images)]
            self._reasoner.observe(Frame(image=image, stamp_ns=number * 10**8))
            number += 1


WAYS: dict[str, type] = {"plain": Plain, "cold": Cold, "warm": Warm, "loaded": Loaded}
