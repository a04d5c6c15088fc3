"""What the language model has read so far: tokens, positions, keys and values, and the logits of the last pass."""

from __future__ import annotations

import torch
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.kv_cache import KVCache

__all__ = ["Prefill"]


class Prefill:
    """A read prompt, to be continued, generated from and cropped back.

    Continuing and generating extend it in place; `crop` undoes that at no cost. Not for use by two threads at once.
    Tokens and positions stay on the CPU, so that keeping account of them never waits for a GPU.

    Attributes:
        logits: what the last pass was asked for: [1,V] of the last token, [1,n,V] of all its tokens, or None.
        cache: keys and values.
        input_ids: int64 [1,L], all tokens.
        positions: int64 [3,1,L], time, row and column of every token.
        attention_mask: bool [1,L], False for padding; None if there is no padding.
    """

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.logits: Tensor | None = None
        self.input_ids = torch.zeros(1, 0, dtype=torch.int64)
        self.positions = torch.zeros(3, 1, 0, dtype=torch.int64)
        self.attention_mask: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of tokens read, padding included."""
        return self.cache.length

    @property
    def next_position(self) -> int:
        """Position of the next token, in all three axes."""
        return 0 if self.length == 0 else int(self.positions[:, 0, : self.length].max()) + 1

    def crop(self, length: int) -> None:
        """Forget all tokens but the first `length`; the logits are gone.

        Raises:
            InputError: if fewer tokens than that were read.
        """
        self.cache.crop(length)
        self.input_ids = self.input_ids[:, :length]
        self.positions = self.positions[:, :, :length]
        if self.attention_mask is not None:
            self.attention_mask = self.attention_mask[:, :length]
        self.logits = None

    def joined_mask(self, attention_mask: Tensor | None, count: int) -> Tensor | None:
        """Give the mask [1,L+count] of all tokens after `count` more with that mask; None if there is no padding.

        Raises:
            InputError: if the mask is not [1,count].
        """
        if attention_mask is not None and attention_mask.shape != (1, count):
            raise InputError(f"attention_mask {list(attention_mask.shape)} is not that of {count} tokens")
        if attention_mask is not None and bool(attention_mask.all()):
            attention_mask = None
        if attention_mask is None and self.attention_mask is None:
            return None
        parts = []
        for mask, size in ((self.attention_mask, self.length), (attention_mask, count)):
            parts.append(torch.ones(1, size, dtype=torch.bool) if mask is None else mask.cpu().bool())
        return torch.cat(parts, dim=1)

    def record(self, input_ids: Tensor, positions: Tensor, mask: Tensor | None, logits: Tensor | None) -> None:
        """Note what a pass has read; the cache has been extended by then."""
        self.input_ids = torch.cat([self.input_ids, input_ids], dim=1)
        self.positions = torch.cat([self.positions, positions], dim=2)
        self.attention_mask = mask
        self.logits = logits
