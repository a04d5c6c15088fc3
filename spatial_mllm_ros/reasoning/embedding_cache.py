"""What the encoders gave for images that they have seen before.

Two of the encoders' parts look at few images at a time: the 2D encoder at a pair (its attention never crosses a pair,
DESIGN decision 5), DINOv2 at a single frame. What they give depends on these images alone and can be kept, exactly, by
content. Bounded in bytes; what was not used for longest goes first.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["EmbeddingCache", "content_key"]


def content_key(image: NDArray[np.uint8]) -> bytes:
    """Give bytes that tell an image from any other: SHA-256, for which most processors have instructions."""
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image))
    return digest.digest()


class EmbeddingCache:
    """A least-recently-used cache of embeddings, for one writing thread.

    Args:
        max_bytes: most bytes of embeddings held; 0 holds none.

    Attributes:
        nbytes: bytes held.
        hits, misses: how often an embedding was found and not found, by kind.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self._embeddings: OrderedDict[tuple[str, bytes], Tensor] = OrderedDict()

    def gather(self, kind: str, keys: Sequence[bytes], encode: Callable[[list[int]], Tensor]) -> Tensor:
        """Give the embeddings [n,...] of n contents, encoding only those not held.

        Args:
            kind: keeps embeddings of different encoders apart.
            keys: what tells the contents apart.
            encode: takes m positions in `keys` and gives their embeddings [m,...].
        """
        found = [self._take((kind, key)) for key in keys]
        missing = [index for index, embeddings in enumerate(found) if embeddings is None]
        self.hits[kind] += len(keys) - len(missing)
        self.misses[kind] += len(missing)
        if len(missing) == len(keys):
            encoded = encode(missing)
            self._put_all(kind, keys, encoded)
            return encoded
        if missing:
            encoded = encode(missing)
            for index, embeddings in zip(missing, encoded, strict=True):
                found[index] = embeddings
            self._put_all(kind, [keys[index] for index in missing], encoded)
        return torch.stack(found)

    def _take(self, key: tuple[str, bytes]) -> Tensor | None:
        embeddings = self._embeddings.get(key)
        if embeddings is not None:
            self._embeddings.move_to_end(key)
        return embeddings

    def _put_all(self, kind: str, keys: Sequence[bytes], encoded: Tensor) -> None:
        size = encoded[0].numel() * encoded.element_size()
        if size > self.max_bytes:
            return
        for key, embeddings in zip(keys, encoded, strict=True):
            if (kind, key) in self._embeddings:  # the same image twice
                continue
            while self.nbytes + size > self.max_bytes:
                _, oldest = self._embeddings.popitem(last=False)
                self.nbytes -= oldest.numel() * oldest.element_size()
            self._embeddings[kind, key] = embeddings.clone()  # a view would keep all of its batch alive
            self.nbytes += size
