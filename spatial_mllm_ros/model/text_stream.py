"""From tokens to pieces of text, as they come."""

from __future__ import annotations

import codecs

from spatial_mllm_ros.model.tokenizer import Tokenizer

__all__ = ["TokenTextStream"]


class TokenTextStream:
    """Decode tokens one by one into pieces that are valid UTF-8 by themselves.

    A token may end in the middle of a character; its bytes are held back until the character is whole. The pieces and
    the rest from `flush` add up to `Tokenizer.decode` of all tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Take one token and give the text that is complete by now, maybe none."""
        return self._decoder.decode(self._tokenizer.bytes_of(token))

    def flush(self) -> str:
        """Give what was held back; U+FFFD for a character that never became whole."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
