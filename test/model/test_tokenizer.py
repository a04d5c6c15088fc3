import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.small_tokenizer import SPECIAL_TOKENS, write_small_tokenizer
from spatial_mllm_ros.model.tokenizer import QWEN_CHAT_TEMPLATE, byte_of_char, load_tokenizer

MESSAGES = [{"role": "user", "content": [{"type": "video", "video": "x"}, {"type": "text", "text": "Where?"}]}]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    return folder, write_small_tokenizer(folder)


@pytest.fixture
def folder(written, tmp_path):
    shutil.copytree(written[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


@given(text=st.text().filter(lambda text: "<|" not in text))
def test_any_text_survives(written, text):
    tokenizer = load_tokenizer(written[0])
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_come_last_and_are_one_token_each(written):
    folder, numbers = written
    tokenizer = load_tokenizer(folder)
    assert list(numbers) == list(SPECIAL_TOKENS) == list(tokenizer.special_tokens)
    assert sorted(numbers.values()) == list(range(min(numbers.values()), min(numbers.values()) + 8))
    for token, number in numbers.items():
        assert tokenizer.encode(f"a{token}b") == [*tokenizer.encode("a"), number, *tokenizer.encode("b")]
        assert tokenizer.id_of(token) == number


def test_every_byte_has_one_character():
    assert sorted(byte_of_char().values()) == list(range(256))
    assert byte_of_char()["A"] == 65 and byte_of_char()["Ġ"] == 32


def test_a_folder_without_a_tokenizer_gives_none(tmp_path):
    assert load_tokenizer(tmp_path) is None


def test_the_template_is_found_where_each_release_of_transformers_puts_it(folder):
    settings = folder / "tokenizer_config.json"
    content = json.loads(settings.read_text())
    assert load_tokenizer(folder).chat_template == QWEN_CHAT_TEMPLATE
    settings.write_text(json.dumps({**content, "chat_template": "in the settings"}))
    assert load_tokenizer(folder).chat_template == "in the settings"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "in json"}))
    assert load_tokenizer(folder).chat_template == "in json"
    (folder / "chat_template.jinja").write_text("in jinja")
    assert load_tokenizer(folder).chat_template == "in jinja"


def test_without_any_template_it_is_qwens(folder):
    (folder / "tokenizer_config.json").unlink()
    assert load_tokenizer(folder).render(MESSAGES).endswith("<|vision_end|>Where?<|im_end|>\n<|im_start|>assistant\n")


def test_rendering_equals_transformers(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    text = theirs.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    ours = load_tokenizer(folder)
    assert ours.render(MESSAGES) == text
    assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "tokenizer.json").write_text("{"), r"tokenizer\.json: cannot be read"),
        (lambda f: (f / "tokenizer_config.json").write_text("{"), r"tokenizer_config\.json: is no JSON"),
        (lambda f: swap_decoder(f / "tokenizer.json"), r"tokenizer\.json: is not a byte-level tokenizer"),
    ],
)
def test_a_damaged_tokenizer_is_one_error_that_names_the_file(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(folder)


def swap_decoder(path):
    content = json.loads(path.read_text())
    content["decoder"] = {"type": "Fuse"}
    path.write_text(json.dumps(content))
