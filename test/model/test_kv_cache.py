import pytest
import torch

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.kv_cache import KVCache


def tokens(count, first=0):
    """Keys and values [1,2,count,3] that tell which token they are of."""
    numbers = torch.arange(first, first + count, dtype=torch.float32)
    key = numbers[None, None, :, None].expand(1, 2, -1, 3)
    return key, -key


def append(cache, count, first):
    for layer in range(2):
        keys, values = cache.append(layer, *tokens(count, first))
    cache.commit(count)
    return keys, values


def test_all_tokens_come_back_in_order_while_buffers_grow():
    cache = KVCache(2)
    for first, count in ((0, 5), (5, 1), (6, 300), (306, 1000)):
        keys, values = append(cache, count, first)
        assert keys[0, 0, :, 0].tolist() == list(range(first + count))
        assert torch.equal(values, -keys)
    assert cache.length == 1306


def test_cropping_forgets_and_keeps_memory():
    cache = KVCache(2)
    append(cache, 100, 0)
    held = cache.nbytes
    cache.crop(10)
    keys, _ = append(cache, 3, 50)
    assert keys[0, 0, :, 0].tolist() == [*range(10), 50, 51, 52]
    assert cache.nbytes == held


def test_tokens_that_were_not_committed_are_overwritten():
    cache = KVCache(2)
    append(cache, 4, 0)
    cache.append(0, *tokens(7, 90))
    keys, _ = append(cache, 2, 4)
    assert keys[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_room_for_a_question_is_made_at_once():
    cache = KVCache(2)
    append(cache, 1000, 0)
    held = cache.nbytes
    append(cache, 200, 1000)
    assert cache.nbytes == held < 2 * 2 * 1300 * 2 * 3 * 4


@pytest.mark.parametrize("length", [-1, 6])
def test_cropping_to_what_is_not_there_is_refused(length):
    cache = KVCache(2)
    append(cache, 5, 0)
    with pytest.raises(InputError, match=f"cannot crop a cache of 5 tokens to {length}"):
        cache.crop(length)
