"""The last stage: the encoders stay as they are, questions are drawn evenly, and the beginning makes looking easy."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from support.clock import put_clock
from support.made_up import made_up
from support.small_training import pretend_encoders_were_trained, small_workspace, take_small_steps

from spatial_mllm_ros.training.answer_stage import (
    AnswerStage,
    QuestionPool,
    SceneMemory,
    SceneProbe,
    _Scene,
    _with_parts_left_out,
    settle,
    together,
)
from spatial_mllm_ros.training.answers import Seen, fuse, see
from spatial_mllm_ros.training.encoders import RecognitionProbe
from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.mirror import mirrored
from spatial_mllm_ros.training.scenes import Question
from spatial_mllm_ros.training.small_model import SIZES, begin_small_model
from spatial_mllm_ros.training.targets import video_of
from spatial_mllm_ros.training.words import LESSONS
from spatial_mllm_ros.training.workspace import Workspace

CHOSEN = np.arange(8)


class RememberingWorkspace(Workspace):
    """Tells which model a stage works on."""

    def begin(self):
        self.model = super().begin()
        return self.model


@pytest.fixture
def folder(tmp_path):
    pretend_encoders_were_trained(small_workspace(tmp_path / "work"))
    return tmp_path / "work"


def state_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_encoders_stay_as_they_are_while_connector_and_language_model_learn(folder, monkeypatch):
    take_small_steps(monkeypatch)
    clock = put_clock(monkeypatch)
    work = RememberingWorkspace(folder, num_validation=2)
    stage = AnswerStage(work, hours=1.0)
    network, rng = work.model.network, np.random.default_rng(0)
    before = state_of(network)
    stage.step(rng)  # lessons
    clock.now = 1800.0
    stage.step(rng)  # all questions
    line = stage.run.log()
    assert line["step"] == 2 and {"loss_lesson_first", "loss_object_counting"} <= line.keys()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith(("connector.", "model.", "lm_head.")) for name in changed)
    assert any(name.startswith("connector.") for name in changed)
    assert {name for name in before if name.startswith("model.layers.") and before[name].ndim == 2} <= changed
    trained = {id(p) for optimizer in stage.run.optimizers for group in optimizer.param_groups for p in group["params"]}
    for encoder in (network.visual, network.spatial_encoder):  # nor would they, should gradients ever reach them
        assert not trained & {id(parameter) for parameter in encoder.parameters()}


def test_a_stage_that_goes_on_is_not_settled_again(folder, monkeypatch):
    take_small_steps(monkeypatch)
    put_clock(monkeypatch)
    work = RememberingWorkspace(folder, num_validation=2)
    stage = AnswerStage(work, hours=1.0)
    stage.step(np.random.default_rng(0))
    stage.run.save()
    expected = state_of(work.model.network)
    again = AnswerStage(work, hours=1.0)
    assert again.run.step == 1
    assert all(torch.equal(tensor, expected[name]) for name, tensor in work.model.network.state_dict().items())


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """What the encoders give before and after a model is settled, the model, and the probe."""
    with torch.random.fork_rng():
        model = begin_small_model(tmp_path_factory.mktemp("settled"), seed=3)
        probe = RecognitionProbe(SIZES.hidden).state_dict()
    examples = [made_up(seed) for seed in range(2)]
    video = video_of(examples, [one.uniform for one in examples])
    before = see(model, video).visual
    settle(model, probe, examples)
    seen = see(model, video)
    with torch.no_grad():
        connected = fuse(model, seen) - seen.visual
    model.network.requires_grad_(False)
    return model, probe, before, seen.visual, connected


def test_what_the_2d_encoder_gives_is_centred_at_the_scale_of_words_and_else_the_same(settled):
    model, _, before, after, _ = settled
    tokens, words = after.flatten(0, 1), model.network.model.embed_tokens.weight
    assert float(tokens.mean(0).abs().max()) < 1e-3 * float(tokens.std())
    assert float(tokens.std() / words.std()) == pytest.approx(2.0, rel=0.02)
    centred = before - before.flatten(0, 1).mean(0)
    torch.testing.assert_close(after / after.std(), centred / centred.std(), atol=1e-3, rtol=1e-3)


def test_the_connector_begins_at_half_the_scale_of_what_it_is_added_to(settled):
    model, _, _, after, connected = settled
    assert float(connected.std() / after.std()) == pytest.approx(0.5, rel=0.05)


def test_a_categorys_word_begins_as_the_direction_that_shows_it(settled):
    model, probe, *_ = settled
    words = model.network.model.embed_tokens.weight
    shows = (probe["shares.weight"] * probe["norm.weight"]).unflatten(0, (2, len(CATEGORIES))).sum(0)
    lengths = []
    for category, direction in zip(CATEGORIES, shows):
        (token,) = model.tokenizer.encode(category)
        assert float(torch.cosine_similarity(words[token], direction, dim=0)) == pytest.approx(1.0, abs=1e-5)
        lengths.append(float(words[token].norm()))
    assert lengths == pytest.approx([lengths[0]] * len(lengths))
    assert lengths[0] == pytest.approx(float(words.norm(dim=1).mean()), rel=1e-3)


def test_in_the_first_two_layers_like_finds_like(settled):
    layers = [layer.self_attn for layer in settled[0].network.model.layers]
    assert [torch.equal(layer.k_proj.weight, layer.q_proj.weight) for layer in layers] == [True, True, False, False]


def counting(answer, category="chair"):
    return Question(kind="object_counting", text=f"How many {category}(s)?", answer=answer, categories=(category,))


def direction(answer):
    return Question(kind="object_rel_direction_easy", text="?", answer=answer, options=("left", "right"))


def asked_in_all(pool, example, draws, **options):
    rng = np.random.default_rng(0)
    return [one.question for _ in range(draws) for one in pool.ask(example, CHOSEN, rng, **options)]


def test_questions_whose_words_tell_their_answer_are_not_asked():
    """Three times left and once right: one of each is left to ask."""
    examples = [
        dataclasses.replace(made_up(seed), questions=[direction(letter)]) for seed, letter in enumerate("AAAB")
    ]
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
    example = dataclasses.replace(made_up(0), questions=[*many, *[size] * 3])
    questions = asked_in_all(QuestionPool(), example, 20)
    kinds = Counter(question.kind for question in questions)
    assert kinds["room_size_estimation"] == 3 * 20 and kinds["object_counting"] == 5 * 20  # eight in a turn
    lessons = {kind: count for kind, count in kinds.items() if kind in LESSONS}
    assert sum(lessons.values()) == 5 * 20 and set(lessons) == set(LESSONS)


def test_lessons_come_first_and_alone():
    kinds = {question.kind for question in asked_in_all(QuestionPool(), made_up(0), 5, lessons_only=True)}
    assert kinds == set(LESSONS)


def test_a_mirrored_example_is_asked_the_questions_that_were_kept():
    examples = [dataclasses.replace(made_up(seed), questions=[direction("AB"[seed])]) for seed in range(2)]
    pool = QuestionPool()
    pool.keep_up(examples)
    (question,) = (q for q in asked_in_all(pool, mirrored(examples[0]), 1) if q.options)
    assert question.chosen == "right"


def test_a_tenth_of_the_scenes_is_shown_to_each_encoder_alone_and_a_tenth_to_none():
    visual, spatial = torch.full((4000, 1, 1), 2.0), torch.full((4000, 1, 1), 5.0)
    shown = _with_parts_left_out(visual + spatial, visual, np.random.default_rng(0)).flatten().tolist()
    shares = {value: count / 4000 for value, count in Counter(shown).items()}
    assert shares == pytest.approx({7.0: 0.7, 2.0: 0.1, 5.0: 0.1, 0.0: 0.1}, abs=0.02)


def scene(number, squares=12):
    """Make a scene of four frames of which every number is the same."""
    of = {name: torch.full(shape, float(number)) for name, shape in {
        "visual": (1, 2 * squares, 3), "spatial": (1, 4, 4 * squares, 6), "shares": (4, squares, 2), "points": (4, squares, 3),
    }.items()}  # fmt: skip
    seen = Seen(visual=of["visual"], spatial=of["spatial"], grid=(2, 6, 8))
    return _Scene(made_up(0), np.arange(4), seen, of["shares"], of["points"])


def test_only_the_last_scenes_are_kept_in_half_precision():
    memory = SceneMemory(3)
    for number in range(5):
        memory.add(scene(number))
        assert len(memory) == min(number + 1, 3)
    drawn = memory.draw(50, np.random.default_rng(0))
    assert {float(one.points[0, 0, 0]) for one in drawn} == {2.0, 3.0, 4.0}
    kept = (drawn[0].seen.visual, drawn[0].seen.spatial, drawn[0].shares, drawn[0].points)
    assert {tensor.dtype for tensor in kept} == {torch.float16}


def test_scenes_are_put_together_in_their_order():
    seen, shares, points = together([scene(7), scene(1), scene(7)])
    for tensor in (seen.visual, seen.spatial, shares, points):
        assert tensor.dtype == torch.float32 and tensor.flatten(1)[:, 0].tolist() == [7.0, 1.0, 7.0]
    assert (seen.visual.shape, seen.spatial.shape, seen.grid) == ((3, 24, 3), (3, 4, 48, 6), (2, 6, 8))
    assert (shares.shape, points.shape) == ((3, 4, 12, 2), (3, 4, 12, 3))


def test_the_dense_target_is_lost_only_where_it_is_missed():
    """A probe whose answers are set by hand: none is asked of a token that shows nothing, nor far from where it is."""
    probe = SceneProbe(4)
    shares, points = torch.zeros(1, 4, 6, len(CATEGORIES)), torch.zeros(1, 4, 6, 3)
    points[..., 2] = torch.arange(24.0).reshape(4, 6)  # frame by frame, square by square
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
        probe.shares.bias.fill_(-30.0)
        probe.points.weight[2, 0] = probe.points.weight[5, 1] = 1.0  # how far, in the first frame of a pair and the second
        states = torch.zeros(1, 2, 6, 4)
        states[..., 0], states[..., 1] = points[0, ::2, :, 2], points[0, 1::2, :, 2]
        what, where = probe.losses(states.flatten(1, 2), shares, points)
        assert float(what) < 1e-6 and float(where) == pytest.approx(0.0, abs=1e-6)
        what, where = probe.losses(states.flatten(1, 2).flip(1), shares + 1, points)
        assert float(what) > 1 and float(where) > 1
