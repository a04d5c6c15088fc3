"""Run an encoder's graph with torch itself: the reference that every other runtime is compared with."""

from __future__ import annotations

import torch

from spatial_mllm_ros.runtime.graphs import EncoderGraph

__all__ = ["TorchEncoder"]


class TorchEncoder:
    """An `Encoder` that runs a graph where its weights are, without gradients.

    Attributes:
        name: the graph's stage.
    """

    backend = "torch"

    def __init__(self, graph: EncoderGraph) -> None:
        self.name = graph.stage
        self._graph = graph
        self._weight = next(graph.parameters())

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encode; inputs are cast and moved to the weights."""
        with torch.no_grad():
            return self._graph(inputs.to(self._weight.device, self._weight.dtype))
