"""The language model learns from what it is told; no encoder takes part."""

import numpy as np
import torch
from support.clock import put_clock
from support.small_training import RememberingWorkspace, small_workspace, state_of, take_small_steps

from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.reading_stage import ReadingStage, likened
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.telling import Teller


def test_only_the_language_model_learns_course_by_course(tmp_path, monkeypatch):
    small_workspace(tmp_path / "work")
    take_small_steps(monkeypatch)
    clock = put_clock(monkeypatch)
    work = RememberingWorkspace(tmp_path / "work", num_validation=2)
    stage, rng = ReadingStage(work, hours=1.0), np.random.default_rng(0)
    before, courses = state_of(work.model.network), []
    for now in (0.0, 1000.0, 3000.0):
        clock.now = now
        stage.step(rng)
        courses.append(stage.run.log().keys())
    assert "loss_object_counting" not in courses[0] and "loss_lesson_first" in courses[0]
    assert "loss_lesson_direction" in courses[1] and "loss_object_rel_direction_easy" not in courses[1]
    assert "loss_object_rel_direction_easy" in courses[2]
    changed = {
        name for name, tensor in work.model.network.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed and all(name.startswith(("model.", "lm_head.")) for name in changed)


def test_a_category_is_told_by_its_word_from_the_start_and_like_finds_like(begun, tmp_path):
    model, teller = RememberingWorkspace(tmp_path).begin(), Teller(SIZES.hidden)
    likened(model, teller)
    words = model.network.model.embed_tokens.weight
    for index, category in enumerate(CATEGORIES):
        (token,) = model.tokenizer.encode(category)
        for column in (index, len(CATEGORIES) + index):  # in the first frame of a pair, and in the second
            torch.testing.assert_close(teller.words.weight[:, column], words[token])
    layers = [layer.self_attn for layer in model.network.model.layers]
    assert [torch.equal(layer.k_proj.weight, layer.q_proj.weight) for layer in layers[:3]] == [True, True, False]
