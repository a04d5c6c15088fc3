"""Keys and values of the tokens that a language model has seen, in buffers with room to grow, which crop for free."""

from __future__ import annotations

from torch import Tensor

from spatial_mllm_ros.errors import InputError

__all__ = ["KVCache"]

_ROOM = 256  # tokens beyond those at hand; a question and its answer mostly fit without another copy


class KVCache:
    """Keys and values per layer, [1,heads,length,D] each.

    All layers share one length, which moves only when a whole pass is done (`commit`): a pass that fails half way
    leaves the cache as it was. Cropping forgets tokens without moving or freeing memory. For one thread at a time.
    """

    def __init__(self, num_layers: int) -> None:
        self.length = 0
        self._keys: list[Tensor | None] = [None] * num_layers
        self._values: list[Tensor | None] = [None] * num_layers

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values [1,heads,n,D] of new tokens, and give those of all tokens [1,heads,length+n,D].

        Seen by no one but this layer until `commit(n)`.
        """
        end = self.length + key.shape[2]
        self._reserve(layer, key, end)
        for buffer, new in ((self._keys[layer], key), (self._values[layer], value)):
            buffer[:, :, self.length : end] = new
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def commit(self, count: int) -> None:
        """Count the `count` tokens that every layer has appended."""
        self.length += count

    def crop(self, length: int) -> None:
        """Forget all tokens but the first `length`.

        Raises:
            InputError: if there are not that many.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"cannot crop a cache of {self.length} tokens to {length}")
        self.length = length

    @property
    def nbytes(self) -> int:
        """Bytes held, spare room included."""
        return sum(t.numel() * t.element_size() for t in (*self._keys, *self._values) if t is not None)

    def _reserve(self, layer: int, like: Tensor, length: int) -> None:
        for buffers in (self._keys, self._values):
            old = buffers[layer]
            if old is not None and old.shape[2] >= length:
                continue
            capacity = length + max(_ROOM, 0 if old is None else old.shape[2] // 4)
            new = like.new_empty(like.shape[0], like.shape[1], capacity, like.shape[3])
            if old is not None:
                new[:, :, : self.length] = old[:, :, : self.length]
            buffers[layer] = new
