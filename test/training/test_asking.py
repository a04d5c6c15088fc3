"""Questions are drawn evenly, lessons come first, and no wording tells its answer."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from support.made_up import made_up

from spatial_mllm_ros.training.asking import QuestionPool, score_answers, with_parts_left_out
from spatial_mllm_ros.training.mirror import mirrored
from spatial_mllm_ros.training.scenes import Question
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.words import LESSONS

CHOSEN = np.arange(8)


def counting(answer, category="chair"):
    return Question(kind="object_counting", text=f"How many {category}(s)?", answer=answer, categories=(category,))


def direction(answer):
    return Question(kind="object_rel_direction_easy", text="?", answer=answer, options=("left", "right"))


def asked_in_all(pool, example, draws, course="all"):
    rng = np.random.default_rng(0)
    return [one.question for _ in range(draws) for one in pool.ask(example, CHOSEN, rng, course)]


def test_questions_whose_words_tell_their_answer_are_not_asked():
    """Three times left and once right: one of each is left to ask."""
    examples = [dataclasses.replace(made_up(seed), questions=[direction(letter)]) for seed, letter in enumerate("AAAB")]
    pool = QuestionPool()
    pool.keep_up(examples)
    asked = [Counter(q.answer for q in asked_in_all(pool, one, 3) if q.options) for one in examples]
    assert sum(asked[:3], Counter()) == {"A": 3} and asked[3] == {"B": 3}
    more = [*examples, *(dataclasses.replace(made_up(seed), questions=[direction("B")]) for seed in (4, 5))]
    pool.keep_up(more)
    asked = [Counter(q.answer for q in asked_in_all(pool, one, 3) if q.options) for one in more]
    assert sum(asked, Counter()) == {"A": 9, "B": 9}


def test_every_kind_is_asked_alike_however_many_there_are():
    many = [counting(str(1 + index % 4)) for index in range(40)]
    size = Question(kind="room_size_estimation", text="How large?", answer="20.0")
    example = dataclasses.replace(made_up(0), questions=[*many, *[size] * 5])
    kinds = Counter(question.kind for question in asked_in_all(QuestionPool(), example, 20))
    assert kinds["room_size_estimation"] == 5 * 20 and kinds["object_counting"] == 7 * 20  # twelve in a turn
    assert sum(count for kind, count in kinds.items() if kind in LESSONS) == 3 * 20


def test_kinds_that_are_not_wanted_are_asked_in_no_form():
    asked = asked_in_all(QuestionPool(("object_counting",)), made_up(0), 5)
    assert {q.kind for q in asked if q.kind not in LESSONS} == {"object_counting"}
    assert "lesson_direction" not in {q.kind for q in asked}


def test_lessons_come_first_then_choices_by_word_then_by_letter():
    pool, example = QuestionPool(), made_up(0)
    taught = {"lesson_near", "lesson_ahead", "lesson_left", "lesson_first"}
    numbers = {"object_counting", "room_size_estimation"}
    assert {q.kind for q in asked_in_all(pool, example, 5, "lessons")} == taught
    by_word = asked_in_all(pool, example, 5, "by word")
    assert {q.kind for q in by_word} == taught | numbers | {"lesson_direction"}
    assert {q.answer for q in by_word if q.kind == "lesson_direction"} == {"right"}
    kinds = {q.kind for q in asked_in_all(pool, example, 20)}
    assert kinds == taught | numbers | {"lesson_direction", "object_rel_direction_easy"}


def test_a_mirrored_example_is_asked_the_questions_that_were_kept():
    examples = [dataclasses.replace(made_up(seed), questions=[direction("AB"[seed])]) for seed in range(2)]
    pool = QuestionPool()
    pool.keep_up(examples)
    (question,) = (q for q in asked_in_all(pool, mirrored(examples[0]), 1) if q.options)
    assert question.chosen == "right"


def test_a_tenth_of_the_scenes_is_shown_to_each_encoder_alone_and_a_tenth_to_none():
    parts = torch.full((4000, 1, 1), 2.0), torch.full((4000, 1, 1), 5.0)
    shown = with_parts_left_out(parts, np.random.default_rng(0)).flatten().tolist()
    shares = {value: count / 4000 for value, count in Counter(shown).items()}
    assert shares == pytest.approx({7.0: 0.7, 2.0: 0.1, 5.0: 0.1, 0.0: 0.1}, abs=0.02)


def test_answers_are_scored_with_the_right_room_another_one_and_none(begun):
    """What is shown is nothing in every way here, so all scores are the same."""
    model, shown = begun[0], []

    def read(examples, sets):
        shown.append((len(examples), [len(chosen) for chosen in sets]))
        zeros = torch.zeros(len(examples), 48, SIZES.hidden)
        return zeros, zeros

    scores = score_answers(model, [made_up(seed) for seed in range(2)], read)
    assert shown == [(2, [8, 8])]
    assert scores["room_size_estimation"].keys() == {"n", "right", "wrong", "2D", "3D", "blind"}
    assert scores["room_size_estimation"]["n"] == 2
    assert len(set(list(scores["room_size_estimation"].values())[1:])) == 1
