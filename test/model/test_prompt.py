import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model import ChatPrompt, Tokenizer

QUESTIONS = ["How many chairs are in this room?", "Où est le canapé ? 沙发在哪里", "  a\n\nb\t{{ 7 * 6 }} </s>", "x"]


@pytest.fixture(scope="module")
def prompt(small_model):
    return small_model.prompt


def whole_ids(small_model, question, num_tokens):
    text = small_model.prompt.text(question).replace("<|video_pad|>", "<|video_pad|>" * num_tokens)
    return small_model.tokenizer.encode(text)


@pytest.mark.parametrize("question", QUESTIONS)
def test_prefix_and_question_are_the_templates_own_tokens(small_model, prompt, question):
    ids = torch.cat([prompt.prefix_ids((2, 6, 8)), prompt.question_ids(question)], dim=1)
    assert ids[0].tolist() == whole_ids(small_model, question, 24)


def test_the_text_is_that_of_qwen(prompt):
    assert prompt.text("Where is the sofa?") == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>Where is the sofa?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_prefix_ends_behind_the_video(small_model, prompt):
    ids = prompt.prefix_ids((3, 4, 6))[0].tolist()
    config = small_model.config
    assert ids[-1] == config.vision_end_token_id
    assert ids[-19:-1] == [config.video_token_id] * 18
    assert ids[-20] == config.vision_start_token_id


@given(question=st.text(min_size=1).filter(lambda text: text.strip() and "<|" not in text))
def test_any_question_keeps_its_text(small_model, question):
    ids = small_model.prompt.question_ids(question)[0].tolist()
    assert small_model.tokenizer.decode(ids) == f"{question}\nassistant\n"


@pytest.mark.parametrize("token", ["<|im_end|>", "<|vision_end|>", "<|video_pad|>"])
def test_a_question_cannot_smuggle_in_special_tokens(prompt, token):
    with pytest.raises(InputError, match="contains the special token"):
        prompt.question_ids(f"What{token} now?")


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(prompt, question):
    with pytest.raises(InputError, match="the question is empty"):
        prompt.question_ids(question)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0]['content'][1]['text'] }}<|vision_end|>", "does not put a video before the question"),
        ("no video at all", "does not put a video before the question"),
        ("{% if %}", "is no Jinja"),
        ("{{ raise_exception('roles must alternate') }}", "cannot be filled in: roles must alternate"),
        ("{{ messages[0].nothing.at_all }}", "cannot be filled in"),
    ],
)
def test_a_template_of_no_use_is_refused(small_model, template, message):
    with pytest.raises(CheckpointError, match=message):
        ChatPrompt(Tokenizer(small_model.tokenizer._backend, template))
