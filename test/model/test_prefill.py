import torch

from spatial_mllm_ros.model.kv_cache import KVCache
from spatial_mllm_ros.model.prefill import Prefill


def read(state, ids, positions):
    """Note tokens as a pass does."""
    count = len(ids)
    state.cache.commit(count)
    rows = torch.tensor(positions).expand(3, 1, count)
    state.record(torch.tensor([ids]), rows, None, torch.zeros(1, 7))


def test_tokens_and_positions_come_back_in_order_while_the_account_grows():
    state = Prefill(KVCache(1))
    for token in range(3000):
        read(state, [token], [token + 5])
    assert state.input_ids.tolist() == [list(range(3000))]
    assert state.positions.tolist() == [[list(range(5, 3005))]] * 3
    assert state.next_position == 3005


def test_a_token_is_noted_in_place():
    state = Prefill(KVCache(1))
    read(state, [1, 2, 3], [0, 1, 2])
    place = state.input_ids.data_ptr()
    for token in range(200):
        read(state, [token], [3 + token])
    assert state.input_ids.data_ptr() == place


def test_next_position_follows_the_furthest_of_all_axes_and_goes_back_with_a_crop():
    state = Prefill(KVCache(1))
    state.cache.commit(2)
    state.record(torch.tensor([[1, 2]]), torch.tensor([[[0, 1]], [[0, 9]], [[0, 4]]]), None, None)
    assert state.next_position == 10
    read(state, [3], [30])
    assert state.next_position == 31
    state.crop(2)
    assert (state.next_position, state.input_ids.tolist(), state.logits) == (10, [[1, 2]], None)
    state.crop(0)
    assert state.next_position == 0
