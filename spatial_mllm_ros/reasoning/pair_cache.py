"""2D embeddings of frame pairs that were encoded before.

The vision tower's attention never crosses a pair of frames (DESIGN, decision 5), so a pair's embeddings depend on its
two images alone and can be kept, exactly, by their content. Bounded in bytes; the least recently used pair goes first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["PairCache"]


class PairCache:
    """A least-recently-used cache of 2D embeddings; for one thread.

    Args:
        max_bytes: most bytes of embeddings held; 0 holds none.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.hits = 0
        self.misses = 0
        self._embeddings: OrderedDict[bytes, torch.Tensor] = OrderedDict()

    def encoder(self, model: SpatialMLLM, images: Sequence[NDArray[np.uint8]]) -> Callable[..., torch.Tensor]:
        """Return a stand-in for `model.encode_2d` that encodes only the pairs of `images` not seen before."""

        def encode_2d(pixel_values: torch.Tensor, grid_thw: tuple[int, int, int]) -> torch.Tensor:
            num_pairs, height, width = grid_thw
            keys = [_content_key(images[2 * i : 2 * i + 2]) for i in range(num_pairs)]
            found = [self._take(key) for key in keys]
            missing = [i for i in range(num_pairs) if found[i] is None]
            if missing:
                pairs = pixel_values.unflatten(0, (num_pairs, -1))[missing].flatten(0, 1)
                encoded = model.encode_2d(pairs, (len(missing), height, width)).unflatten(0, (len(missing), -1))
                for i, embeddings in zip(missing, encoded, strict=True):
                    found[i] = embeddings
                    self._put(keys[i], embeddings)
            return torch.cat(found)

        return encode_2d

    def _take(self, key: bytes) -> torch.Tensor | None:
        embeddings = self._embeddings.get(key)
        if embeddings is None:
            self.misses += 1
            return None
        self.hits += 1
        self._embeddings.move_to_end(key)
        return embeddings

    def _put(self, key: bytes, embeddings: torch.Tensor) -> None:
        size = embeddings.numel() * embeddings.element_size()
        if size > self.max_bytes or key in self._embeddings:
            return
        while self.nbytes + size > self.max_bytes:
            _, oldest = self._embeddings.popitem(last=False)
            self.nbytes -= oldest.numel() * oldest.element_size()
        self._embeddings[key] = embeddings.clone()  # a view would keep all pairs of its batch alive
        self.nbytes += size


def _content_key(images: Sequence[NDArray[np.uint8]]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        digest.update(str(image.shape).encode())
        digest.update(np.ascontiguousarray(image))
    return digest.digest()
