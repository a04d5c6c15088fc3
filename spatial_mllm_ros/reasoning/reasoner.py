"""`Reasoner`: watch frames in the background, answer questions at once.

It joins the memory path (`KeyframeWorker`) and the query path (`AnswerWorker`) through `PrefixSlots`. It knows the
monotonic clock only; ages in ROS time are worked out by the doors from the keyframes' stamps.
"""

from __future__ import annotations

import functools
import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import BufferConfig, Frame
from spatial_mllm_ros.reasoning.answer import AnswerStatus
from spatial_mllm_ros.reasoning.answer_worker import AnswerWorker, Question
from spatial_mllm_ros.reasoning.config import ReasonerConfig
from spatial_mllm_ros.reasoning.embedding_cache import EmbeddingCache
from spatial_mllm_ros.reasoning.encoding import EncoderChoice
from spatial_mllm_ros.reasoning.keyframe_worker import KeyframeWorker
from spatial_mllm_ros.reasoning.prefix import PrefixSlots, VisualPrefix, build_prefix
from spatial_mllm_ros.reasoning.stream import AnswerStream
from spatial_mllm_ros.sampling import KeyframeSelector, Selection, SelectorConfig

if TYPE_CHECKING:
    from spatial_mllm_ros.geometry import PointMapProvider
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.runtime.encoder import Encoders

__all__ = ["Reasoner", "ReasonerDiagnostics"]

_QUESTION_ROOM = 192  # tokens; those of VSI-Bench have about 40, and what does not fit costs a copy
_LONGEST_S = 3600.0  # a question must not hold its place in line for ever


@dataclass(frozen=True, kw_only=True)
class ReasonerDiagnostics:
    """What a person wants to know about a running reasoner.

    Attributes:
        frames_received, frames_dropped: frames given to `observe`, and those that never reached the window.
        window_frames: frames in the window.
        keyframes_version: of the set that serves; 0 before the first.
        is_ready: a question would find a prefix.
        prefix_age_s: time since the serving keyframes were last known to be the right ones; inf before the first.
        prefixes_built, prefixes_abandoned: encodings finished and given up.
        questions_waiting: questions in line.
        questions_ended: number by status.
        last_error: of either path; empty if there was none in the last minute.
        stages: (median, 95th percentile) in seconds for each stage of recent answers.
        pair_cache_hits, pair_cache_misses: frame pairs found and not found among those that the 2D encoder has seen.
        frame_cache_hits, frame_cache_misses: frames found and not found among those that DINOv2 has seen.
        cache_bytes: bytes of embeddings kept for both.
        backend: what encoded the serving keyframes; empty before the first.
        encoder_problem: why compiled encoders were given up, or do not fit the serving keyframes; empty if neither.
    """

    frames_received: int
    frames_dropped: int
    window_frames: int
    keyframes_version: int
    is_ready: bool
    prefix_age_s: float
    prefixes_built: int
    prefixes_abandoned: int
    questions_waiting: int
    questions_ended: dict[AnswerStatus, int]
    last_error: str
    stages: dict[str, tuple[float, float]]
    pair_cache_hits: int
    pair_cache_misses: int
    frame_cache_hits: int
    frame_cache_misses: int
    cache_bytes: int
    backend: str
    encoder_problem: str


class Reasoner:
    """Answers questions about what the newest keyframes show.

    Args:
        model: the network.
        selector: chooses the keyframes; belongs to the reasoner from now on.
        provider: gives point maps for frames; None if there is no geometry.
        config: limits.
        buffer: bounds of the frames that wait for the window.
        on_selection: called from a background thread with every new keyframe set.

    Raises:
        CheckpointError: if the model has no tokenizer, and so cannot be asked.
    """

    def __init__(
        self,
        model: SpatialMLLM,
        selector: KeyframeSelector,
        provider: PointMapProvider | None = None,
        config: ReasonerConfig | None = None,
        *,
        buffer: BufferConfig | None = None,
        on_selection: Callable[[Selection], object] | None = None,
    ) -> None:
        self._config = config or ReasonerConfig()
        self._model = model
        self._prompt = model.prompt
        self._slots = PrefixSlots()
        self._cache = EmbeddingCache(self._config.cache_bytes)
        cache = self._cache if self._config.cache_bytes else None
        room = _QUESTION_ROOM + self._config.max_new_tokens
        self._encoders = EncoderChoice()
        build = functools.partial(build_prefix, model, cache=cache, take_spare=self._slots.take_spare, room=room)
        self._build_prefix = functools.partial(_build_by_choice, self._encoders, build)  # no `self`: see the finalizer
        self._keyframes = KeyframeWorker(
            selector, provider, self._build_prefix, self._slots, self._config, buffer or BufferConfig(), on_selection
        )
        self._answers = AnswerWorker(model, self._slots, self._config)
        self._keyframes.start()
        self._answers.start()
        # Also runs when the last reference goes, and at the interpreter's exit: there, a daemon thread in the middle of
        # torch's C++ would abort the process.
        self._close = weakref.finalize(self, _close_all, self._slots, self._answers, self._keyframes)

    @property
    def model(self) -> SpatialMLLM:
        """The network."""
        return self._model

    @property
    def backend(self) -> str:
        """What encodes the next keyframes, where these fit it."""
        encoders = self._encoders.current
        return "torch" if encoders is None else encoders.backend

    @property
    def keyframes(self) -> Selection | None:
        """The keyframe set that was chosen last; None before the first."""
        return self._keyframes.newest_selection

    @property
    def prefix(self) -> VisualPrefix | None:
        """The visual prefix that the next answer would use; None before the first."""
        return self._slots.newest

    def use_encoders(self, encoders: Encoders | None) -> None:
        """Encode keyframes with these from the next set on; None is torch, which also takes what does not fit them.

        If they fail while they serve they are given up for good, and `diagnostics` says why.
        """
        self._encoders.use(encoders)

    def observe(self, frame: Frame) -> None:
        """Take a camera frame; returns at once."""
        self._keyframes.observe(frame)

    def serve(self, selection: Selection, on_stage: Callable[[str], object] = lambda stage: None) -> VisualPrefix:
        """Encode keyframes here and now, and answer from them: for a recording, instead of `observe`.

        Args:
            selection: at least two keyframes.
            on_stage: told the name of each stage of encoding when it begins.

        Raises:
            InputError: if the keyframes cannot be encoded together.
        """
        prefix = self._build_prefix(selection, on_stage=on_stage)
        assert prefix is not None, "only an unwanted prefix is abandoned"
        self._slots.publish(prefix, time.monotonic())
        return prefix

    def ask(
        self,
        question: str,
        *,
        timeout_s: float | None = None,
        max_staleness_s: float | None = None,
        query_id: str = "",
    ) -> AnswerStream:
        """Ask a question; returns at once with the stream of its answer.

        Args:
            question: plain words.
            timeout_s: time until it must have ended; None or 0 takes the parameter's.
            max_staleness_s: look at the camera again first if the keyframes were last known to be the right ones
                longer ago than this; None or 0: any keyframes will do.
            query_id: comes back in the answer; made up if empty.

        Returns:
            A stream that always ends: with OK, or with the status that says why not.
        """
        now = time.monotonic()
        stream = AnswerStream(query_id or uuid.uuid4().hex, question)
        try:
            self._check(question, timeout_s, max_staleness_s)
            ids = self._prompt.question_ids(question)
        except InputError as error:
            self._answers.end(stream, AnswerStatus.INVALID_QUESTION, str(error))
            return stream
        scope = self.model.config.scope
        if scope is not None and scope.kind_of(question) is None:
            self._answers.end(stream, AnswerStatus.NOT_SUPPORTED, scope.refusal())
            return stream
        not_before = now - max_staleness_s if max_staleness_s else float("-inf")
        if not self._slots.is_ready(not_before):
            self._keyframes.hurry(not_before)
        deadline = now + (timeout_s or self._config.timeout_s)
        self._answers.put(Question(stream=stream, ids=ids, asked_at=now, deadline=deadline, not_before=not_before))
        return stream

    def reconfigure_selection(self, config: SelectorConfig) -> None:
        """Take over the live parameters of the keyframe selector, from the next frame on."""
        self._keyframes.reconfigure(config)

    def clear(self) -> None:
        """Forget all frames and keyframes, as after a jump back in time; an answer under way is finished."""
        self._keyframes.clear()

    def close(self) -> None:
        """Stop; questions that have not ended end CANCELLED."""
        self._close()

    def diagnostics(self) -> ReasonerDiagnostics:
        """Return the present state."""
        worker, answers, serving = self._keyframes, self._answers, self._slots.newest
        newest = worker.newest_selection
        return ReasonerDiagnostics(
            frames_received=worker.frames.received,
            frames_dropped=sum(worker.frames.dropped.values()),
            window_frames=newest.window_frames if newest else 0,
            keyframes_version=serving.selection.version if serving else 0,
            is_ready=serving is not None,
            prefix_age_s=time.monotonic() - self._slots.current_at,
            prefixes_built=worker.num_built,
            prefixes_abandoned=worker.num_abandoned,
            questions_waiting=len(answers),
            questions_ended=dict(answers.ended),
            last_error=answers.faults.recent or worker.faults.recent,
            stages=answers.statistics.summary(),
            pair_cache_hits=self._cache.hits["pair"],
            pair_cache_misses=self._cache.misses["pair"],
            frame_cache_hits=self._cache.hits["frame"],
            frame_cache_misses=self._cache.misses["frame"],
            cache_bytes=self._cache.nbytes,
            backend=serving.backend if serving else "",
            encoder_problem=self._encoders.problem or (serving.misfit if serving else ""),
        )

    def __enter__(self) -> Reasoner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, question: str, timeout_s: float | None, max_staleness_s: float | None) -> None:
        if not question.strip():
            raise InputError("the question is empty")
        try:
            question.encode()
        except UnicodeEncodeError:
            raise InputError("the question is not valid Unicode: it has half of a surrogate pair") from None
        longest = self._config.max_question_chars
        if len(question) > longest:
            raise InputError(f"the question has {len(question)} characters; at most {longest} are allowed")
        for name, value in (("timeout", timeout_s), ("max_staleness", max_staleness_s)):
            if value is not None and not 0 <= value <= _LONGEST_S:  # NaN fails too
                raise InputError(f"{name} must lie between 0 and {_LONGEST_S:.0f} seconds, not {value}")


def _build_by_choice(
    choice: EncoderChoice, build: Callable[..., VisualPrefix | None], selection: Selection, **options: Callable
) -> VisualPrefix | None:
    return choice.run(lambda encoders: build(selection, encoders=encoders, **options))


def _close_all(slots: PrefixSlots, answers: AnswerWorker, keyframes: KeyframeWorker) -> None:
    slots.close()
    answers.close()
    keyframes.close()
