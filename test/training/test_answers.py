"""Questions read together are answered as if each stood alone; what an answer is worth is what the score says."""

import numpy as np
import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.training.answers import Asked, answer_loss, ask_packed, lessons, pack, see, tokens_of
from spatial_mllm_ros.training.scenes import score
from spatial_mllm_ros.training.targets import video_of
from spatial_mllm_ros.training.words import NUMBERS, answer_words, answer_worth


def test_packed_questions_are_answered_as_each_alone(begun):
    model, _ = begun
    examples = [made_up(0), made_up(1)]
    asked = [[Asked(q, q.prompt) for q in one.questions] for one in examples]
    with torch.no_grad():
        seen = see(model, video_of(examples, [one.uniform for one in examples]))
        fused = sum(tokens_of(model, seen))
        packed = pack(model, asked, seen.grid)
        logits = ask_packed(model, packed, fused)[0]
    for index, (row, group) in enumerate([(0, one) for one in asked[0]] + [(1, one) for one in asked[1]]):
        prefix = model.prefill(
            model.prompt.prefix_ids(seen.grid), fused=fused[row], grid_thw=seen.grid, logits="none"
        )
        alone = model.prefill(model.prompt.question_ids(group.text), past=prefix)
        torch.testing.assert_close(logits[index], alone.logits.flatten(), atol=1e-4, rtol=1e-4)


def test_fused_embeddings_equal_those_of_inference(begun):
    model, _ = begun
    example = made_up(2)
    inputs = model.visual_inputs(example.images(example.uniform))
    with torch.no_grad():
        fused = sum(tokens_of(model, see(model, inputs.video[None])))[0]
    spatial = model.encode_spatial(inputs.video)
    visual = model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    torch.testing.assert_close(fused, model.fuse(visual, spatial, inputs.grid_thw))


def test_every_answer_is_one_token(begun):
    model, _ = begun
    for words in NUMBERS.values():
        assert all(len(model.tokenizer.encode(word)) == 1 for word in words)
        assert model.tokenizer.decode(model.tokenizer.encode(words[-1])) == words[-1]


def test_the_worth_of_an_answer_is_its_score():
    for question in made_up(0).questions:
        words = answer_words(question.kind)
        assert answer_worth(question) == pytest.approx([score(question, word) for word in words])


def test_lessons_say_where_things_are_in_the_first_view():
    found = {(q.kind, q.categories[0]): q.answer for q in lessons(made_up(0), np.arange(8))}
    assert found["lesson_ahead", "sofa"] == "+2.5"
    assert found["lesson_left", "sofa"] == "+0.5"
    assert found["lesson_first", "sofa"] == "1"
    assert found["lesson_first", "chair"] == "0"  # not shown in these frames
    assert ("lesson_near", "chair") not in found


def test_the_likeliest_number_under_the_loss_is_the_one_with_the_best_expected_score(begun):
    """Two truths, equally likely: the minimum of the loss puts most weight where the mean score is highest."""
    model, _ = begun
    question = made_up(0).questions[1]
    worths = [answer_worth(type(question)(kind=question.kind, text="", answer=a)) for a in ("20.0", "24.0")]
    target = np.mean(worths, axis=0)
    packed = pack(model, [[Asked(question, question.prompt)]], (2, 6, 8))
    logits = torch.zeros_like(packed.worth)
    loss, figures = answer_loss(model, packed, logits, logits)
    assert figures[question.kind] == pytest.approx(np.log(logits.shape[1]), rel=1e-4)
    best = int(answer_words(question.kind)[int(target.argmax())])
    assert 20 <= best <= 24 and bool(torch.isfinite(loss))
