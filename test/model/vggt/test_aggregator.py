import pytest
import torch

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import attention
from spatial_mllm_ros.model.vggt import VggtConfig
from spatial_mllm_ros.model.vggt.aggregator import Aggregator

CONFIG = VggtConfig(
    image_size=56,
    embed_dim=16,
    depth=3,
    num_heads=2,
    dino_depth=2,
    dino_heads=2,
    camera_heads=2,
    dpt_layers=(0, 0, 1, 2),
)


@pytest.fixture(scope="module")
def aggregator():
    torch.manual_seed(0)
    module = Aggregator(CONFIG).eval().requires_grad_(False)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture(scope="module")
def video():
    return torch.rand(4, 3, 42, 70, generator=torch.Generator().manual_seed(1))


def test_layers_are_given_in_the_order_asked_for(aggregator, video):
    last, first, middle = aggregator(video, (-1, 0, 1))
    assert last.shape == (4, 5 + 15, 32)
    assert torch.equal(last, aggregator(video)[0])
    assert torch.equal(first, aggregator(video, (0,))[0]) and torch.equal(middle, aggregator(video, (1,))[0])


def test_layers_behind_the_last_one_asked_for_are_not_run(aggregator, video, monkeypatch):
    monkeypatch.setattr(aggregator.frame_blocks[2], "forward", lambda *_, **__: 1 / 0)
    aggregator(video, (1,))
    with pytest.raises(ZeroDivisionError):
        aggregator(video, (2,))


def test_the_first_half_is_the_frame_block_and_knows_of_its_frame_alone_in_the_first_layer(aggregator, video):
    channels = CONFIG.embed_dim
    whole = aggregator(video, (0,))[0]
    changed = video.clone()
    changed[3] = 0
    other = aggregator(changed, (0,))[0]
    torch.testing.assert_close(whole[:3, :, :channels], other[:3, :, :channels])
    assert (whole[:3, :, channels:] - other[:3, :, channels:]).abs().max() > 1e-3


def test_frames_after_the_first_can_be_exchanged(aggregator, video):
    """Only the first frame is special: no time is encoded."""
    order = [0, 3, 1, 2]
    torch.testing.assert_close(aggregator(video[order])[0], aggregator(video)[0][order], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(aggregator(video[[1, 0, 2, 3]])[0], aggregator(video)[0][[1, 0, 2, 3]], atol=1e-2)


def test_one_frame_is_enough(aggregator, video):
    assert aggregator(video[:1])[0].isfinite().all()


def test_blocks_of_queries_do_not_change_the_result(aggregator, video, monkeypatch):
    whole = aggregator(video)[0]
    defaults = {**attention.attend.__kwdefaults__, "max_score_bytes": 4000}
    monkeypatch.setattr(attention.attend, "__kwdefaults__", defaults)
    torch.testing.assert_close(aggregator(video)[0], whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 3, 42, 71), "multiples of 14"), ((0, 3, 42, 70), "takes frames"), ((4, 1, 42, 70), "takes frames")],
)
def test_frames_of_no_use_are_refused(aggregator, shape, message):
    with pytest.raises(InputError, match=message):
        aggregator(torch.zeros(shape))


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_refused(aggregator, video, layer):
    with pytest.raises(InputError, match=f"layers 0 to 2, not {layer}"):
        aggregator(video, (layer,))


def test_positions_of_the_trained_square_are_taken_as_they_are(aggregator):
    _, patches = aggregator.patch_embed.position_embedding(56, 56)
    assert torch.equal(patches, aggregator.patch_embed.pos_embed[:, 1:])
    assert aggregator.patch_embed.position_embedding(28, 98)[1].shape == (1, 14, 16)
