"""A step that is recorded once and replayed gives the tokens of ordinary passes; here with recordings made of Python."""

import pytest
import torch

from spatial_mllm_ros.model.decoding import TokenReader
from spatial_mllm_ros.model.generation import GenerationRule

PROMPT = torch.arange(40, 57)[None]
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


class Recorder:
    """Stands in for CUDA graphs: `work` runs when recorded, and again at each replay, into the same tensor."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, work):
        self.recorded += 1
        result = work().clone()

        def replay():
            self.replayed += 1
            return result.copy_(work())

        return replay


def read_on(reader, state, count):
    """Greedy tokens of a prefill, `count` of them, and a copy of the last logits."""
    rule, tokens = GenerationRule(), []
    for _ in range(count):
        tokens.append(rule.choose(state.logits, state.input_ids))
        reader.read(tokens[-1], state)
    return tokens, state.logits.clone()


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def replaying(small_model, recorder):
    return TokenReader(small_model.network, recorder)


@pytest.fixture
def ordinary(small_model):
    return TokenReader(small_model.network)


def test_replayed_steps_give_the_tokens_of_ordinary_passes(small_model, recorder, replaying, ordinary):
    replayed = read_on(replaying, small_model.prefill(PROMPT), 60)
    passed = read_on(ordinary, small_model.prefill(PROMPT), 60)
    assert replayed[0] == passed[0] and len(set(passed[0])) > 5
    torch.testing.assert_close(replayed[1], passed[1], **TOLERANCE)
    assert (recorder.recorded, recorder.replayed) == (1, 60)


def test_one_recording_serves_all_questions_about_a_prefix(small_model, recorder, replaying, ordinary):
    state = small_model.prefill(PROMPT, logits="none")
    replaying.prepare(state)
    assert recorder.recorded == 1 and state.length == PROMPT.shape[1]
    for first in (3, 90, 200):
        question = torch.arange(first, first + 9)[None]
        small_model.prefill(question, past=state)
        whole = small_model.prefill(torch.cat([PROMPT, question], 1))
        assert read_on(replaying, state, 20)[0] == read_on(ordinary, whole, 20)[0]
        assert torch.equal(state.positions, whole.positions) and torch.equal(state.input_ids, whole.input_ids)
        state.crop(PROMPT.shape[1])
    assert recorder.recorded == 1


def test_recording_changes_nothing_that_was_read(small_model, replaying):
    state = small_model.prefill(PROMPT)
    before = [tensor[:, :, : state.length].clone() for tensor in (*state.cache._keys, *state.cache._values)]
    replaying.prepare(state)
    after = [tensor[:, :, : state.length] for tensor in (*state.cache._keys, *state.cache._values)]
    assert all(map(torch.equal, before, after))


def test_an_answer_longer_than_the_room_is_recorded_again_and_goes_on(small_model, recorder, replaying, ordinary):
    state = small_model.prefill(PROMPT, room=0)
    room = state.cache.capacity - state.length
    tokens, _ = read_on(replaying, state, room + 10)
    assert recorder.recorded == 2
    assert tokens == read_on(ordinary, small_model.prefill(PROMPT), room + 10)[0]


def test_two_prefixes_have_a_recording_each(small_model, recorder, replaying, ordinary):
    states = [small_model.prefill(PROMPT), small_model.prefill(PROMPT.flip(1))]
    told = [[], []]
    for _ in range(8):
        for state, tokens in zip(states, told):
            tokens += read_on(replaying, state, 1)[0]
    assert recorder.recorded == 2
    assert told == [read_on(ordinary, small_model.prefill(ids), 8)[0] for ids in (PROMPT, PROMPT.flip(1))]


def test_a_prompt_with_padding_is_read_in_ordinary_passes(small_model, recorder, replaying, ordinary):
    mask = torch.ones_like(PROMPT)
    mask[:, :4] = 0
    states = [small_model.prefill(PROMPT, attention_mask=mask) for _ in range(2)]
    replaying.prepare(states[0])
    assert read_on(replaying, states[0], 6)[0] == read_on(ordinary, states[1], 6)[0]
    assert recorder.recorded == 0


def test_an_answer_within_the_room_takes_no_memory(small_model, ordinary):
    state = small_model.prefill(PROMPT, room=100)
    held, place = state.cache.nbytes, state.cache._keys[0].data_ptr()
    read_on(ordinary, state, 100)
    assert (state.cache.nbytes, state.cache._keys[0].data_ptr()) == (held, place)


@pytest.mark.gpu
def test_a_cuda_graph_gives_the_tokens_of_ordinary_passes():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from spatial_mllm_ros.model import load_spatial_mllm

    model = load_spatial_mllm("random-small", device="cuda")
    replaying, ordinary = model._reader, TokenReader(model.network)
    replayed, passed = (read_on(reader, model.prefill(PROMPT), 300) for reader in (replaying, ordinary))
    assert replayed[0] == passed[0]
    torch.testing.assert_close(replayed[1], passed[1], rtol=1e-3, atol=1e-3)
