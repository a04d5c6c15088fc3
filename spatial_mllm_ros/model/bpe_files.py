"""A byte-level BPE tokenizer from vocab.json and merges.txt, for checkpoints that were saved without tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.checkpoint import read_json

__all__ = ["tokenizer_from_bpe_files"]

# How Qwen2 cuts text before merging: contractions, words with one leading sign, digits, signs, line ends, spaces.
_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)


def tokenizer_from_bpe_files(folder: Path) -> Any:
    """Make a `tokenizers.Tokenizer` as Qwen2's, with the added tokens of tokenizer_config.json or added_tokens.json.

    Raises:
        CheckpointError: if a file is damaged, or an added token has another number than the files say.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    try:
        backend = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
    except Exception as error:  # the library raises plain Exception for whatever is wrong with the files
        raise CheckpointError(f"{vocabulary} and {merges.name}: cannot be read: {error}") from error
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    for number, text in sorted(_added_tokens(folder).items()):
        backend.add_special_tokens([AddedToken(text, normalized=False, special=True)])
        if backend.token_to_id(text) != number:
            raise CheckpointError(f"{folder}: the added token {text} should be {number}, but {vocabulary.name} differs")
    return backend


def _added_tokens(folder: Path) -> dict[int, str]:
    settings, added = folder / "tokenizer_config.json", folder / "added_tokens.json"
    if settings.is_file():
        decoder = read_json(settings).get("added_tokens_decoder") or {}
        if decoder:
            return {int(number): entry["content"] for number, entry in decoder.items()}
    return {number: text for text, number in read_json(added).items()} if added.is_file() else {}
