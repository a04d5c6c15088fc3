"""A checkpoint's tokenizer: byte-level BPE and a chat template, without transformers' tokenizer classes.

Those look up the model type, which they do not know for Spatial-MLLM, and differ between releases.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_mllm_ros.errors import CheckpointError, DependencyError
from spatial_mllm_ros.model.bpe_files import tokenizer_from_bpe_files
from spatial_mllm_ros.model.checkpoint import read_json

__all__ = ["QWEN_CHAT_TEMPLATE", "Tokenizer", "byte_of_char", "load_tokenizer"]

# What Qwen2.5-VL's template gives for text and videos; used where a checkpoint brings a tokenizer but no template.
QWEN_CHAT_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' -%}
{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'video' -%}
{{ '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- else -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""


class Tokenizer:
    """Text to tokens and back.

    Args:
        backend: a `tokenizers.Tokenizer`.
        chat_template: Jinja text, as in tokenizer_config.json.
    """

    def __init__(self, backend: Any, chat_template: str) -> None:
        self._backend = backend
        self.chat_template = chat_template
        self._added = backend.get_added_tokens_decoder()
        self.special_tokens = tuple(token.content for token in self._added.values() if token.special)

    def encode(self, text: str) -> list[int]:
        """Give the tokens of a text; special tokens in it are recognised."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text of tokens, special tokens left out; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.bytes_of(token) for token in ids).decode("utf-8", errors="replace")

    def bytes_of(self, token: int) -> bytes:
        """Give the bytes that a token stands for; none for special and unknown tokens."""
        if token in self._added:
            added = self._added[token]
            return b"" if added.special else added.content.encode()
        text = self._backend.id_to_token(token)
        if text is None:
            return b""
        table = byte_of_char()
        return bytes(table[char] for char in text if char in table)

    def id_of(self, token: str) -> int | None:
        """Give the number of a token by its text."""
        return self._backend.token_to_id(token)

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Fill the chat template in, with the opening of the assistant's turn.

        Raises:
            DependencyError: if Jinja is missing.
            CheckpointError: if the template cannot be filled in.
        """
        from jinja2.exceptions import TemplateError

        try:
            return self._template.render(messages=messages, add_generation_prompt=True)
        except (TemplateError, TypeError) as error:
            raise CheckpointError(f"the chat template cannot be filled in: {error}") from error

    @functools.cached_property
    def _template(self) -> Any:
        """Compile the template as transformers does: a sandbox, with blocks that leave no white space."""
        try:
            from jinja2.exceptions import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise DependencyError("chat templates need Jinja; `pip install jinja2`") from error
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise_template_error
        try:
            return environment.from_string(self.chat_template)
        except TemplateError as error:
            raise CheckpointError(f"the chat template is no Jinja: {error}") from error


def _raise_template_error(message: str) -> None:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)


def load_tokenizer(folder: Path) -> Tokenizer | None:
    """Load a checkpoint's tokenizer.json (or vocab.json and merges.txt) and chat template; None if there is neither.

    Raises:
        CheckpointError: if a file is damaged, or the tokenizer is not byte-level.
        DependencyError: if the tokenizers library is missing.
    """
    path = folder / "tokenizer.json"
    has_parts = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    if not path.is_file() and not has_parts:
        return None
    try:
        from tokenizers import Tokenizer as Backend
    except ImportError as error:
        raise DependencyError("a tokenizer needs the tokenizers library; `pip install tokenizers`") from error
    if not path.is_file():
        return Tokenizer(tokenizer_from_bpe_files(folder), _chat_template(folder))
    try:
        backend = Backend.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for whatever is wrong with the file
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if "ByteLevel" not in json.dumps(read_json(path).get("decoder")):
        raise CheckpointError(f"{path}: is not a byte-level tokenizer, as Qwen2.5-VL's is")
    return Tokenizer(backend, _chat_template(folder))


def _chat_template(folder: Path) -> str:
    """Find the template where the releases of transformers have put it over time; Qwen2.5-VL's if it is nowhere."""
    plain = folder / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = folder / name
        if path.is_file():
            template = read_json(path).get("chat_template")
            if isinstance(template, str):
                return template
    return QWEN_CHAT_TEMPLATE


@functools.lru_cache(maxsize=1)
def byte_of_char() -> dict[str, int]:
    """Give the byte that each character of a byte-level token stands for (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(256 + index): byte for index, byte in enumerate(others)})
    return table
