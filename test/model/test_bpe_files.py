import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.tokenizer import load_tokenizer

WORDS = "the room's 12 chairs, where is it?\n  Où est-elle ? 沙发 I'LL we've\r\n\r\n x=3.5;"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """vocab.json and merges.txt with two added tokens, as a slow tokenizer leaves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("bpe")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator([WORDS * 3], trainer)
    backend.model.save(str(folder))
    size = backend.get_vocab_size()
    added = {str(size): {"content": "<|im_end|>"}, str(size + 1): {"content": "<|video_pad|>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return folder


@given(text=st.text(alphabet=st.sampled_from(WORDS + "é̈<|>_")))
@settings(deadline=None)
def test_text_is_cut_as_transformers_cuts_it_for_qwen(folder, text):
    assert load_tokenizer(folder).encode(text) == reference(folder).encode(text)


@pytest.mark.parametrize("text", [WORDS, "a<|im_end|>b<|video_pad|><|video_pad|>", " \n \n\n a"])
def test_these_texts_too(folder, text):
    ours = load_tokenizer(folder)
    assert ours.encode(text) == reference(folder).encode(text)
    assert ours.decode(ours.encode(WORDS)) == WORDS


@functools.lru_cache(maxsize=1)
def reference(folder):
    """Qwen2's tokenizer of transformers, from the same files."""
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, "Qwen2TokenizerFast", None) or transformers.Qwen2Tokenizer
    added = json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    names = [entry["content"] for entry in added.values()]
    options = {"unk_token": None, "eos_token": None, "pad_token": None}
    return kind.from_pretrained(str(folder), additional_special_tokens=names, **options)


def test_added_tokens_of_older_releases_are_read(folder, tmp_path):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    size = len(json.loads((folder / "vocab.json").read_text()))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|video_pad|>": size + 1, "<|im_end|>": size}))
    assert load_tokenizer(tmp_path).id_of("<|video_pad|>") == size + 1


def test_an_added_token_with_another_number_is_refused(folder, tmp_path):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_end|>": 9999}))
    with pytest.raises(CheckpointError, match=r"the added token <\|im_end\|> should be 9999"):
        load_tokenizer(tmp_path)


def test_a_damaged_vocabulary_is_named(folder, tmp_path):
    (tmp_path / "vocab.json").write_text("{")
    (tmp_path / "merges.txt").write_bytes((folder / "merges.txt").read_bytes())
    with pytest.raises(CheckpointError, match=r"vocab\.json and merges\.txt: cannot be read"):
        load_tokenizer(tmp_path)
