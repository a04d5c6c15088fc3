"""A batch gives what one scene after the other gives, so what is trained is what is run."""

import torch

from spatial_mllm_ros.training.batched import encode_2d, encode_spatial


def test_batched_encoders_equal_those_of_inference(begun):
    model, _ = begun
    images = torch.randint(0, 256, (2, 4, 84, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    video = images.permute(0, 1, 4, 2, 3).float() / 255
    with torch.no_grad():
        visual = encode_2d(model.network, video).flatten(1, 2)
        layers, patches = encode_spatial(model.network, video)
    for index, one in enumerate(images.numpy()):
        inputs = model.visual_inputs(one)
        assert inputs.grid_thw == (2, 6, 8)
        torch.testing.assert_close(visual[index], model.encode_2d(inputs.pixel_values, inputs.grid_thw))
        torch.testing.assert_close(layers[-1][index], model.encode_spatial(inputs.video))
        torch.testing.assert_close(patches[index], model.encode_frames(inputs.video))
