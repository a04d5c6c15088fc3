"""Keys and values of the tokens that a language model has seen, in buffers with room to grow, which crop for free."""

from __future__ import annotations

from torch import Tensor

from spatial_mllm_ros.errors import InputError

__all__ = ["DEFAULT_ROOM", "KVCache"]

DEFAULT_ROOM = 256  # tokens beyond those at hand; most questions and their answers fit without another copy
_STEP = 64  # capacities are multiples of it: attention kernels of GPUs like masks of such lengths


class KVCache:
    """Keys and values per layer, [1,heads,length,D] each.

    The first tokens fix how large the buffers are: so many, and room for more. Whatever fits is written in place; only
    what does not makes the buffers grow, with a copy. All layers share one length, which moves only when a whole pass
    is done (`commit`): a pass that fails half way leaves the cache as it was. Cropping forgets tokens without moving
    or freeing memory. For one thread at a time.

    Args:
        num_layers: of the language model.
        room: tokens beyond the first ones, for which memory is taken together with theirs.
    """

    def __init__(self, num_layers: int, room: int = DEFAULT_ROOM) -> None:
        self.length = 0
        self.room = room
        self._keys: list[Tensor | None] = [None] * num_layers
        self._values: list[Tensor | None] = [None] * num_layers

    @property
    def capacity(self) -> int:
        """Tokens that fit without the buffers growing; they have other addresses only if this has changed."""
        return min(0 if keys is None else keys.shape[2] for keys in self._keys)

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values [1,heads,n,D] of new tokens, and give those of all tokens [1,heads,length+n,D].

        Seen by no one but this layer until `commit(n)`.
        """
        end = self.length + key.shape[2]
        self._reserve(layer, key, end)
        for buffer, new in ((self._keys[layer], key), (self._values[layer], value)):
            buffer[:, :, self.length : end] = new
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def write_at(self, place: Tensor, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the key and value [1,heads,1,D] of one token, and give the whole buffers [1,heads,capacity,D].

        Nothing here depends on how many tokens there are, so a CUDA graph can hold it. What the buffers have from
        `length` on is finite and of no meaning: attention must leave it out. Counted by `commit(1)`.

        Args:
            place: int64 [1], the token's index, below `capacity`.
        """
        for buffer, new in ((self._keys[layer], key), (self._values[layer], value)):
            buffer.index_copy_(2, place, new)
        return self._keys[layer], self._values[layer]

    def make_room(self, count: int) -> None:
        """See to it that `count` more tokens fit into every layer's buffers, which must have tokens already."""
        for layer, keys in enumerate(self._keys):
            self._reserve(layer, keys, self.length + count)

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
            capacity = length + max(self.room, 0 if old is None else old.shape[2] // 4)
            capacity = -(-capacity // _STEP) * _STEP
            new = like.new_zeros(like.shape[0], like.shape[1], capacity, like.shape[3])  # see `write_at`: finite
            if old is not None:
                new[:, :, : self.length] = old[:, :, : self.length]
            buffers[layer] = new
