import pytest
import torch

from spatial_mllm_ros.model.vggt import VggtConfig
from spatial_mllm_ros.model.vggt.dpt_head import DptHead, depth_from_log, points_from_log

CONFIG = VggtConfig(
    image_size=56, embed_dim=8, num_heads=2, dino_heads=2, camera_heads=2, dpt_features=8, dpt_channels=(4, 8, 8, 8)
)


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return DptHead(CONFIG, 3, points_from_log).eval().requires_grad_(False)


def layers(count):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(count, 5 + 6, 16, generator=generator) for _ in range(4)]


def test_every_pixel_gets_a_value_and_a_confidence(head):
    values, confidence = head(layers(3), 28, 42)
    assert values.shape == (3, 28, 42, 3) and confidence.shape == (3, 28, 42)
    assert confidence.min() >= 1


def test_frames_beyond_one_pass_equal_frames_alone(head):
    tokens = layers(11)
    values, confidence = head(tokens, 28, 42)
    for frame in (0, 7, 8, 10):
        alone, alone_confidence = head([layer[frame : frame + 1] for layer in tokens], 28, 42)
        torch.testing.assert_close(values[frame], alone[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(confidence[frame], alone_confidence[0], rtol=1e-4, atol=1e-5)


def test_camera_and_register_tokens_are_left_out(head):
    tokens = layers(2)
    values, _ = head(tokens, 28, 42)
    for layer in tokens:
        layer[:, :5] = 99
    assert torch.equal(head(tokens, 28, 42)[0], values)


def test_activations_by_hand():
    x = torch.tensor([-2.0, 0.0, 1.0])
    torch.testing.assert_close(points_from_log(x), torch.tensor([-6.389056, 0.0, 1.718282]))
    torch.testing.assert_close(depth_from_log(x), torch.tensor([0.135335, 1.0, 2.718282]))
