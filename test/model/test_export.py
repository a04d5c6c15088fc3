"""Both encoders can be captured as graphs of one size: no control flow depends on data. What runtime/ builds on."""

import pytest
import torch

export = pytest.importorskip("torch.export", reason="this torch has no torch.export")
GRID = (2, 4, 6)


class Encoder2d(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.visual = network.visual

    def forward(self, pixel_values):
        return self.visual(pixel_values, GRID)


class SpatialEncoder(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.aggregator, self.connector = network.vggt.aggregator, network.connector

    def forward(self, video):
        (tokens,) = self.aggregator(video)
        return self.connector(tokens[:, 5:], GRID)


@pytest.mark.parametrize(
    ("kind", "shape"), [(Encoder2d, (48, 1176)), (SpatialEncoder, (4, 3, 56, 84))], ids=["2d", "spatial"]
)
def test_the_graph_gives_the_same_numbers(golden_model, kind, shape):
    module, example = kind(golden_model.network).eval(), torch.rand(shape)
    with torch.no_grad():
        graph = export.export(module, (example,)).module()
        other = torch.rand(shape)
        torch.testing.assert_close(graph(other), module(other), rtol=1e-5, atol=1e-5)


def test_capturing_leaves_nothing_behind(golden_model):
    """A table that was made, and kept, while a graph was captured would break the next call."""
    pixels = torch.rand(2 * 10 * 6, 1176)

    class Other(torch.nn.Module):
        def forward(self, pixel_values):
            return golden_model.network.visual(pixel_values, (2, 10, 6))

    with torch.no_grad():
        export.export(Other(), (pixels,))
        assert golden_model.encode_2d(pixels, (2, 10, 6)).isfinite().all()
