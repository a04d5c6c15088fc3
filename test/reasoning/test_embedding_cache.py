"""Embeddings are kept by content, exactly, and within their bytes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.reasoning.embedding_cache import EmbeddingCache, content_key


class Encoder:
    """Gives [n,2] float32 (8 bytes each) from the number that a key stands for, and counts what it encodes."""

    def __init__(self, cache):
        self.cache, self.encoded = cache, []

    def __call__(self, numbers, kind="pair"):
        def encode(missing):
            self.encoded += [numbers[index] for index in missing]
            return torch.tensor([[float(numbers[index]), 1.0] for index in missing])

        return self.cache.gather(kind, [bytes([number]) for number in numbers], encode)


def test_content_is_encoded_once():
    encoder = Encoder(EmbeddingCache(1000))
    encoder([1, 2, 3])
    assert encoder([2, 4, 1])[:, 0].tolist() == [2, 4, 1]
    assert encoder.encoded == [1, 2, 3, 4]
    assert (encoder.cache.hits["pair"], encoder.cache.misses["pair"]) == (2, 4)


def test_kinds_are_kept_apart():
    encoder = Encoder(EmbeddingCache(1000))
    encoder([1], "pair")
    encoder([1], "frame")
    assert encoder.encoded == [1, 1]


def test_least_recently_used_goes_first():
    encoder = Encoder(EmbeddingCache(16))  # two embeddings of 8 bytes
    encoder([1, 2])
    encoder([1])
    encoder([3])
    encoder([1, 2])
    assert encoder.encoded == [1, 2, 3, 2]


def test_without_room_everything_is_encoded_and_nothing_kept():
    encoder = Encoder(EmbeddingCache(0))
    for _ in range(2):
        assert encoder([1, 2])[:, 0].tolist() == [1, 2]
    assert encoder.encoded == [1, 2, 1, 2] and encoder.cache.nbytes == 0


def test_kept_embedding_does_not_hold_its_batch():
    encoder = Encoder(EmbeddingCache(8))
    encoder(list(range(100)))
    (kept,) = encoder.cache._embeddings.values()
    assert kept.untyped_storage().nbytes() == 8


@given(
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6), max_size=30),
    st.integers(0, 80),
)
def test_gives_what_was_asked_for_within_its_bytes(requests, max_bytes):
    encoder = Encoder(EmbeddingCache(max_bytes))
    for numbers in requests:
        assert encoder(numbers)[:, 0].tolist() == numbers
        assert encoder.cache.nbytes == 8 * len(encoder.cache._embeddings) <= max_bytes


def test_key_tells_pixels_and_shapes_apart():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert content_key(image) == content_key(image.copy())
    assert content_key(image) == content_key(np.asfortranarray(image))
    assert content_key(image) != content_key(image.reshape(1, 4, 3))
    assert content_key(image) != content_key(image + np.uint8(1))
