"""What the language model has read so far: tokens, positions, keys and values, and the logits of the last pass."""

from __future__ import annotations

import torch
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.kv_cache import KVCache

__all__ = ["Prefill"]

_ROOM = 1024  # tokens of which account can be kept before it is copied; 32 bytes each


class Prefill:
    """A read prompt, to be continued, generated from and cropped back.

    Continuing and generating extend it in place; `crop` undoes that at no cost. Not for use by two threads at once.
    Tokens and positions stay on the CPU, so that keeping account of them never waits for a GPU.

    Attributes:
        logits: what the last pass was asked for: [1,V] of the last token, [1,n,V] of all its tokens, or None. Good
            until the next pass, which may write them in place.
        cache: keys and values.
        attention_mask: bool [1,L], False for padding; None if there is no padding.
        next_position: position of the next token, in all three axes.
        step: what `decoding` has recorded for this cache; None before that, and on a CPU.
    """

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.logits: Tensor | None = None
        self.attention_mask: Tensor | None = None
        self.next_position = 0
        self.step: object | None = None
        self._account = torch.zeros(4, 1, 0, dtype=torch.int64)  # of each token: number, time, row, column

    @property
    def length(self) -> int:
        """Number of tokens read, padding included."""
        return self.cache.length

    @property
    def input_ids(self) -> Tensor:
        """All tokens, int64 [1,L]."""
        return self._account[0, :, : self.length]

    @property
    def positions(self) -> Tensor:
        """Time, row and column of every token, int64 [3,1,L]."""
        return self._account[1:, :, : self.length]

    def crop(self, length: int) -> None:
        """Forget all tokens but the first `length`; the logits are gone.

        Raises:
            InputError: if fewer tokens than that were read.
        """
        self.cache.crop(length)
        self.next_position = int(self.positions.max()) + 1 if length else 0
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
        end, count = self.length, input_ids.shape[1]
        if self._account.shape[2] < end:
            longer = torch.zeros(4, 1, end + max(_ROOM, end // 4), dtype=torch.int64)
            longer[:, :, : end - count] = self._account[:, :, : end - count]
            self._account = longer
        self._account[0, :, end - count : end] = input_ids
        self._account[1:, :, end - count : end] = positions
        self.next_position = max(self.next_position, int(positions.max()) + 1)
        self.attention_mask = mask
        self.logits = logits
