"""After thinning out, a question's words say nothing about its answer."""

from collections import Counter

import pytest

from spatial_mllm_ros.training.scenes import Question, equalised, make_questions, make_room


def _counting(category, answer):
    return Question(kind="object_counting", text=category, answer=str(answer), categories=(category,))


def _direction(answer):
    options = ("left", "right")
    letter = "AB"[options.index(answer)]
    return Question(kind="object_rel_direction_easy", text="", answer=letter, options=options, categories=("a", "b"))


def test_every_category_keeps_the_shares_of_all():
    questions = (
        [_counting("chair", 1)] * 10
        + [_counting("chair", 2)] * 30
        + [_counting("bed", 1)] * 30
        + [_counting("bed", 2)] * 10
    )
    kept = Counter((question.categories[0], question.answer) for question in equalised(questions))
    assert kept == {("chair", "1"): 10, ("chair", "2"): 10, ("bed", "1"): 10, ("bed", "2"): 10}


def test_directions_become_equally_frequent_and_other_kinds_stay():
    room = Question(kind="room_size_estimation", text="?", answer="20")
    kept = equalised([_direction("left")] * 9 + [room] + [_direction("right")] * 4)
    assert Counter(question.chosen for question in kept) == {"left": 4, "right": 4, "20": 1}


def test_order_is_kept_and_the_choice_is_seeded():
    questions = [
        Question(kind="object_rel_direction_easy", text=str(i), answer="AB"[i % 3 == 0], options=("l", "r"))
        for i in range(30)
    ]
    kept = equalised(questions, seed=1)
    assert kept == equalised(questions, seed=1) and kept != equalised(questions, seed=2)
    assert [int(question.text) for question in kept] == sorted(int(question.text) for question in kept)


@pytest.mark.slow
def test_questions_of_generated_rooms_end_up_alike_per_category():
    questions = [
        q
        for seed in range(150)
        for q in make_questions(make_room(seed), seed=seed, per_kind=8, kinds=["object_counting"])
    ]
    kept = equalised(questions)
    shares = {}
    for question in kept:
        shares.setdefault(question.categories[0], Counter())[question.answer] += 1
    assert len(shares) == 12
    every = sum(shares.values(), Counter())
    for counts in shares.values():
        for answer, count in every.items():
            assert abs(counts[answer] / sum(counts.values()) - count / sum(every.values())) < 0.08
