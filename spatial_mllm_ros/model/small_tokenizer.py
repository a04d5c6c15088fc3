"""A small byte-level BPE tokenizer with Qwen2.5-VL's special tokens and chat template, for checkpoints of our own.

Any text can be encoded; its few hundred merges are learnt from questions like those of VSI-Bench.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.model.tokenizer import QWEN_CHAT_TEMPLATE

__all__ = ["SPECIAL_TOKENS", "save_tokenizer", "write_small_tokenizer"]

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_MAX_TOKENS = 1000  # without the special ones
_THINGS = ("chair", "sofa", "table", "bed", "door", "window", "lamp", "shelf", "stove", "TV", "plant", "box")
_SENTENCES = (
    "How many {}s are in this room?",
    "How far is the {} from the {}, in meters?",
    "Measuring from the closest point of each object, what is the distance between the {} and the {} (in meters)?",
    "If I am standing by the {} and facing the {}, is it to my left, right, or back?",
    "Which of these objects is the closest to the {}: {}?",
    "What is the size of this room (in square meters)?",
    "What will be the first-time appearance order of the following categories: {}, {}?",
    "There are two {}s near the {}. The answer is about 3.5 meters, 0 1 2 3 4 5 6 7 8 9.",
)


def write_small_tokenizer(folder: Path) -> dict[str, int]:
    """Write tokenizer.json and tokenizer_config.json, and give the number of every special token, which come last.

    Raises:
        DependencyError: if the tokenizers library is missing.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError as error:
        raise DependencyError("making a tokenizer needs the tokenizers library; `pip install tokenizers`") from error
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_MAX_TOKENS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    texts = [sentence.format(*things) for sentence in _SENTENCES for things in product(_THINGS, repeat=2)]
    backend.train_from_iterator(texts, trainer)
    return save_tokenizer(backend, folder)


def save_tokenizer(backend: Any, folder: Path) -> dict[str, int]:
    """Write a `tokenizers.Tokenizer` with Qwen2.5-VL's special tokens and chat template; give their numbers."""
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": QWEN_CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return {token: backend.token_to_id(token) for token in SPECIAL_TOKENS}
