"""The forward in parts on a small model; equality with the original is test_golden.py's."""

import numpy as np
import pytest
import torch

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.generation import GenerationRule


@pytest.fixture(scope="module")
def video(small_model):
    """Inputs, fused embeddings and both halves of a prompt for four frames."""
    frames = np.random.Generator(np.random.PCG64(3)).integers(0, 256, (4, 84, 112, 3), dtype=np.uint8)
    inputs = small_model.visual_inputs(frames)
    visual = small_model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    fused = small_model.fuse(visual, small_model.encode_spatial(inputs.video), inputs.grid_thw)
    return inputs, fused, small_model.prompt.prefix_ids(inputs.grid_thw)


QUESTION = "How many chairs are in this room?"


def read_prefix(model, video, **options):
    inputs, fused, ids = video
    return model.prefill(ids, fused=fused, grid_thw=inputs.grid_thw, **options)


def test_shapes_are_as_documented(small_model, video):
    inputs, fused, _ = video
    pairs, rows, columns = inputs.grid_thw
    channels = small_model.config.text.hidden_size
    tokens = small_model.encode_spatial(inputs.video)
    assert tokens.shape == (4, 5 + rows * columns, 2 * small_model.config.vggt.embed_dim)
    assert fused.shape == (pairs * rows * columns // 4, channels)
    assert torch.equal(small_model.connect(tokens, inputs.grid_thw), small_model.connect(tokens, [inputs.grid_thw]))


def test_videos_one_after_another_are_encoded_apart(small_model, video):
    inputs, _, _ = video
    alone = small_model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    both = small_model.encode_2d(inputs.pixel_values.repeat(2, 1), [inputs.grid_thw, inputs.grid_thw])
    assert torch.equal(both, torch.cat([alone, alone]))


def test_a_prefix_and_a_question_equal_the_whole_prompt(small_model, video):
    inputs, fused, prefix = video
    question = small_model.prompt.question_ids(QUESTION)
    whole = small_model.prefill(torch.cat([prefix, question], 1), fused=fused, grid_thw=inputs.grid_thw)
    state = read_prefix(small_model, video, logits="none")
    assert state.logits is None
    parts = small_model.prefill(question, past=state)
    assert parts is state
    torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(parts.positions, whole.positions) and torch.equal(parts.input_ids, whole.input_ids)
    assert parts.next_position == whole.next_position and parts.length == whole.length
    assert list(small_model.generate(parts, max_new_tokens=8)) == list(small_model.generate(whole, max_new_tokens=8))


def test_cropping_back_gives_the_same_answer_again(small_model, video):
    state = read_prefix(small_model, video, logits="none")
    length, position = state.length, state.next_position
    answers = []
    for question in (QUESTION, "How far is the sofa from the door, in meters?", QUESTION):
        small_model.prefill(small_model.prompt.question_ids(question), past=state)
        answers.append(list(small_model.generate(state, max_new_tokens=12)))
        state.crop(length)
        assert (state.length, state.next_position, state.logits) == (length, position, None)
    assert answers[0] == answers[2] != answers[1]


def test_logits_are_computed_where_asked_for(small_model, video):
    vocabulary = small_model.config.text.vocab_size
    last = read_prefix(small_model, video)
    every = read_prefix(small_model, video, logits="all")
    assert last.logits.shape == (1, vocabulary) and every.logits.shape == (1, every.length, vocabulary)
    torch.testing.assert_close(every.logits[:, -1], last.logits)
    with pytest.raises(InputError, match='logits must be "none", "last" or "all"'):
        read_prefix(small_model, video, logits="some")


def test_generation_stops_at_a_stop_token_and_does_not_give_it(small_model, video):
    tokens = list(small_model.generate(read_prefix(small_model, video), max_new_tokens=6))
    stop = tokens[3]
    stopped = list(small_model.generate(read_prefix(small_model, video), max_new_tokens=6, stop_ids=[stop]))
    assert stopped == tokens[: tokens.index(stop)]


def test_an_iteration_that_is_left_does_no_more_work(small_model, video, monkeypatch):
    state = read_prefix(small_model, video)
    length = state.length
    tokens = small_model.generate(state, max_new_tokens=100)
    next(tokens), next(tokens)
    tokens.close()
    assert state.length == length + 1  # the second token was given but not read


def test_the_last_token_is_not_read_in_vain(small_model, video):
    state = read_prefix(small_model, video)
    length = state.length
    assert len(list(small_model.generate(state, max_new_tokens=3))) == 3
    assert state.length == length + 2


def test_drawing_with_a_seed_can_be_repeated(small_model, video):
    def draw():
        generator = torch.Generator().manual_seed(1)
        state = read_prefix(small_model, video)
        return list(small_model.generate(state, max_new_tokens=8, temperature=1.5, generator=generator))

    assert draw() == draw() != list(small_model.generate(read_prefix(small_model, video), max_new_tokens=8))


def test_a_placeholder_that_was_generated_is_read_as_text(small_model, video, monkeypatch):
    """As in the original, where random weights may well choose one; it has no text and stands for no embedding."""
    chosen = iter([small_model.config.video_token_id, small_model.config.image_token_id])
    choose = GenerationRule.choose
    monkeypatch.setattr(GenerationRule, "choose", lambda *args: next(chosen, None) or choose(*args))
    state = read_prefix(small_model, video)
    position, length = state.next_position, state.length
    tokens = list(small_model.generate(state, max_new_tokens=4))
    assert tokens[:2] == [small_model.config.video_token_id, small_model.config.image_token_id]
    assert (state.length, state.next_position) == (length + 3, position + 3)
    assert small_model.tokenizer.decode(tokens[:2]) == ""


def test_generation_without_logits_is_refused(small_model, video):
    with pytest.raises(InputError, match='generate needs the logits of the last token'):
        next(small_model.generate(read_prefix(small_model, video, logits="none"), max_new_tokens=1))


def test_padding_on_the_left_does_not_change_the_answer(small_model, video):
    inputs, fused, prefix = video
    padded = torch.cat([torch.zeros(1, 5, dtype=torch.int64), prefix], 1)
    mask = torch.ones_like(padded)
    mask[:, :5] = 0
    state = small_model.prefill(padded, fused=fused, grid_thw=inputs.grid_thw, attention_mask=mask)
    plain = read_prefix(small_model, video)
    torch.testing.assert_close(state.logits, plain.logits, rtol=1e-4, atol=1e-4)
    assert list(small_model.generate(state, max_new_tokens=6)) == list(small_model.generate(plain, max_new_tokens=6))


def test_a_mask_without_padding_is_no_mask(small_model):
    state = small_model.prefill(torch.tensor([[1, 2, 3]]), attention_mask=torch.ones(1, 3))
    assert state.attention_mask is None


def test_what_does_not_belong_together_is_refused(small_model, video):
    inputs, fused, prefix = video
    words = torch.tensor([[1, 2, 3]])
    for wrong, message in (
        (lambda: small_model.prefill(prefix, grid_thw=inputs.grid_thw), "24 video tokens in the prompt, but 0 fused"),
        (lambda: small_model.prefill(words, fused=fused), "0 video tokens in the prompt, but 24 fused"),
        (lambda: small_model.prefill(prefix, fused=fused), "more video tokens than its 0 grids"),
        (lambda: small_model.prefill(torch.tensor([[9999]])), "input_ids must lie in 0"),
        (lambda: small_model.prefill(torch.zeros(1, 0, dtype=torch.int64)), r"L at least 1"),
        (lambda: small_model.prefill(torch.tensor([[small_model.config.image_token_id]])), "images in a prompt"),
        (lambda: small_model.prefill(words, attention_mask=torch.ones(1, 4)), "attention_mask"),
        (lambda: small_model.encode_2d(inputs.pixel_values[:-1], inputs.grid_thw), "95 patches do not fit"),
        (lambda: small_model.encode_spatial(inputs.video[:, :, :-1]), "multiples of 14"),
        (lambda: small_model.encode_spatial(inputs.video[0]), r"VGGT takes frames \[T,3,H,W\]"),
        (lambda: small_model.fuse(fused, small_model.encode_spatial(inputs.video[:3]), (2, 6, 8)), "3 frames do not make"),
        (lambda: small_model.fuse(fused, small_model.encode_spatial(inputs.video), (2, 8, 8)), "48 spatial tokens"),
        (lambda: small_model.fuse(fused, small_model.encode_spatial(inputs.video), [(1, 6, 8)] * 2), "there are 2 grids"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()


def test_a_context_that_would_be_exceeded_is_refused_before_the_work(golden_model):
    limit = golden_model.config.text.max_position_embeddings
    state = golden_model.prefill(torch.ones(1, 9, dtype=torch.int64), logits="none")
    with pytest.raises(InputError, match=f"{limit + 1} tokens are more than the model's {limit}"):
        golden_model.prefill(torch.ones(1, limit - 8, dtype=torch.int64), past=state)
    assert state.length == 9


def test_a_checkpoint_without_a_tokenizer_runs_on_tokens_but_not_on_text(golden_model):
    assert golden_model.tokenizer is None
    for text_only in (lambda: golden_model.prompt, golden_model.text_stream):
        with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
            text_only()


def test_random_weights_say_that_they_are_not_trained(small_model, golden_model):
    assert not small_model.is_trained and small_model.name == "random-small"
    assert golden_model.is_trained  # a release says nothing about it


def test_the_parts_track_no_gradients(small_model, video):
    _, fused, _ = video
    assert not fused.requires_grad and not read_prefix(small_model, video).logits.requires_grad


def test_a_small_model_answers_the_same_after_loading_again(small_model, video):
    again = load_spatial_mllm("random-small")
    expected = list(small_model.generate(read_prefix(small_model, video), max_new_tokens=5))
    assert list(again.generate(read_prefix(again, video), max_new_tokens=5)) == expected
