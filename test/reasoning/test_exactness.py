"""A question answered from a ready prefix gets, token by token, what one cold pass over the whole prompt gives (fp32).

With the real network at a small size, random weights: whatever leaks from one answer into the next changes tokens.
"""

import threading
import time

import numpy as np
import pytest
import torch

from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner, ReasonerConfig
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

LONG_S = 60.0
NUM_TOKENS = 24
QUESTIONS = ["How many chairs are in this room?", "Wo ist die Tür? 🚪", "left or right of the sofa?", "?"]


class RecordingModel:
    """The network, with the tokens of every answer written down, and a gate between tokens."""

    def __init__(self, model):
        self._model = model
        self.answers = []
        self.may_speak = threading.Event()
        self.may_speak.set()

    def __getattr__(self, name):
        return getattr(self._model, name)

    def generate(self, *arguments, **options):
        self.answers.append([])
        for token in self._model.generate(*arguments, **options):
            self.answers[-1].append(token)
            yield token
            assert self.may_speak.wait(LONG_S)


@pytest.fixture(scope="module")
def network():
    return load_spatial_mllm("random-small")


@pytest.fixture
def reasoner(network):
    config = ReasonerConfig(min_refresh_s=0.0, max_duty=1.0, timeout_s=LONG_S, max_new_tokens=NUM_TOKENS)
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=4))
    with Reasoner(RecordingModel(network), selector, config=config) as reasoner:
        yield reasoner
        reasoner.model.may_speak.set()


def frames(start, count=4):
    """Pictures that differ much, at one second from each other."""
    made = []
    for number in range(start, start + count):
        image = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        made.append(Frame(image=image.repeat(14, 0).repeat(14, 1), stamp_ns=number * 10**9))
    return made


def cold_tokens(network, shown, question, **options):
    """Encode, prefill the whole prompt in one pass, and generate."""
    inputs = network.visual_inputs([frame.image for frame in shown])
    visual = network.encode_2d(inputs.pixel_values, inputs.grid_thw)
    fused = network.fuse(visual, network.encode_spatial(inputs.video), inputs.grid_thw)
    ids = torch.cat([network.prompt.prefix_ids(inputs.grid_thw), network.prompt.question_ids(question)], dim=1)
    state = network.prefill(ids, fused=fused, grid_thw=inputs.grid_thw)
    return list(network.generate(state, max_new_tokens=NUM_TOKENS, **options))


def show(reasoner, shown):
    for frame in shown:
        reasoner.observe(frame)
    wait_until(lambda: reasoner.prefix is not None and reasoner.prefix.selection.frames[-1] is shown[-1])


def wait_until(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


def warm_tokens(reasoner, question):
    answer = reasoner.ask(question).result(LONG_S)
    assert answer.status == AnswerStatus.OK
    return reasoner.model.answers[-1]


def test_several_questions_in_a_row_get_the_cold_tokens(reasoner, network):
    show(reasoner, frames(0))
    for question in (*QUESTIONS, QUESTIONS[0]):
        assert warm_tokens(reasoner, question) == cold_tokens(network, frames(0), question)


def test_answers_differ_between_questions_and_between_keyframes(network):
    told = {tuple(cold_tokens(network, frames(start), question)) for start in (0, 4) for question in QUESTIONS}
    assert len(told) == 2 * len(QUESTIONS), "equalities of tokens prove nothing if the model always says the same"


def test_penalty_for_repetition_counts_the_same_tokens(network):
    config = ReasonerConfig(min_refresh_s=0.0, max_duty=1.0, max_new_tokens=NUM_TOKENS, repetition_penalty=1.3)
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=4))
    with Reasoner(RecordingModel(network), selector, config=config) as reasoner:
        show(reasoner, frames(0))
        for question in QUESTIONS[:2]:
            expected = cold_tokens(network, frames(0), question, repetition_penalty=1.3)
            assert warm_tokens(reasoner, question) == expected


def test_tokens_after_a_cancelled_answer_are_the_cold_ones(reasoner, network):
    show(reasoner, frames(0))
    for _ in range(3):
        reasoner.model.may_speak.clear()
        stream = reasoner.ask(QUESTIONS[1])
        wait_until(lambda stream=stream: stream.num_tokens == 1)
        stream.cancel()
        reasoner.model.may_speak.set()
        assert stream.result(LONG_S).status == AnswerStatus.CANCELLED
        assert warm_tokens(reasoner, QUESTIONS[0]) == cold_tokens(network, frames(0), QUESTIONS[0])


def test_swap_in_the_middle_of_an_answer_changes_neither_this_one_nor_the_next(reasoner, network):
    show(reasoner, frames(0))
    reasoner.model.may_speak.clear()
    under_way = reasoner.ask(QUESTIONS[0])
    wait_until(lambda: under_way.num_tokens == 1)
    show(reasoner, frames(4))
    reasoner.model.may_speak.set()
    assert under_way.result(LONG_S).keyframe_stamps_ns == tuple(frame.stamp_ns for frame in frames(0))
    assert reasoner.model.answers[-1] == cold_tokens(network, frames(0), QUESTIONS[0])
    assert warm_tokens(reasoner, QUESTIONS[0]) == cold_tokens(network, frames(4), QUESTIONS[0])


def test_tokens_from_cached_embeddings_are_the_cold_ones(reasoner, network):
    first, then = frames(0, 4), frames(0, 8)[2:6]  # the pair (2, 3) and both its frames have been seen
    show(reasoner, first)
    reasoner.clear()
    show(reasoner, then)
    diagnostics = reasoner.diagnostics()
    assert diagnostics.pair_cache_hits >= 1 and diagnostics.frame_cache_hits >= 2
    assert warm_tokens(reasoner, QUESTIONS[0]) == cold_tokens(network, then, QUESTIONS[0])


def test_pieces_and_text_are_the_tokens_decoded(reasoner, network):
    show(reasoner, frames(0))
    stream = reasoner.ask(QUESTIONS[1])
    pieces = list(stream)
    expected = network.tokenizer.decode(reasoner.model.answers[-1])
    assert "".join(pieces) == stream.result().text == expected
    for piece in pieces:
        piece.encode()  # valid UTF-8 by itself


@pytest.mark.parametrize("token", ["<|im_end|>", "<|video_pad|>", "<|vision_end|>", "<|im_start|>", "<|endoftext|>"])
def test_control_token_in_a_question_never_reaches_the_model(reasoner, token):
    show(reasoner, frames(0))
    answer = reasoner.ask(f"where is {token} it?").result(LONG_S)
    assert answer.status == AnswerStatus.INVALID_QUESTION and token in answer.message
    assert reasoner.model.answers == []


def test_serving_prefix_is_not_written_while_the_next_is_built(reasoner):
    show(reasoner, frames(0))
    cache = reasoner.prefix.prefill.cache
    tensors = [tensor[:, :, : cache.length] for tensor in (*cache._keys, *cache._values)]  # spare room holds anything
    before = [tensor.clone() for tensor in tensors]
    show(reasoner, frames(4))
    assert all(map(torch.equal, before, tensors))
    assert reasoner.prefix.prefill.cache is not cache


def test_buffers_of_a_replaced_prefix_serve_again_and_give_the_cold_tokens(reasoner, network):
    used = []
    for start in (0, 4, 8, 12):
        show(reasoner, frames(start))
        used.append(reasoner.prefix.prefill)
        for question in QUESTIONS[:2]:
            assert warm_tokens(reasoner, question) == cold_tokens(network, frames(start), question)
    places = {state.cache._keys[0].data_ptr() for state in used}
    assert len(places) == 2, "two slots, whose memory is taken once"


def test_fewer_keyframes_in_the_buffers_of_more_give_the_cold_tokens(reasoner, network):
    show(reasoner, frames(0, 4))
    show(reasoner, frames(4, 4))
    reasoner.clear()
    show(reasoner, frames(8, 2))
    assert warm_tokens(reasoner, QUESTIONS[0]) == cold_tokens(network, frames(8, 2), QUESTIONS[0])
