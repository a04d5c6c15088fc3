"""Reading generated tokens, one at a time: what a step reads and writes stays in its place, so a GPU can replay it.

On a CPU a token is one ordinary pass. On a GPU, launching some hundred small kernels takes longer than running them:
there the pass is recorded once as a CUDA graph and replayed for each token. A graph holds addresses, so it belongs to
one `Prefill` and its cache; it is recorded again only if the cache had to grow.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spatial_mllm_ros.model.network import SpatialNetwork
from spatial_mllm_ros.model.prefill import Prefill

__all__ = ["Capture", "TokenReader", "capture_cuda_graph"]

Capture = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Takes work that reads and writes fixed tensors; gives a function that does it again and returns the same tensor."""

_WARM_UPS = 2  # runs before a recording, in which libraries allocate what they keep


def capture_cuda_graph(device: torch.device, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Record work on a CUDA device as a graph; calling the result replays it on the current stream.

    Other threads may use the GPU meanwhile.
    """
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = work()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class TokenReader:
    """Lets the language model read one generated token after another, as text, whatever its number.

    Args:
        network: the language model and its output embedding.
        capture: how to record a step; None runs ordinary passes.
    """

    def __init__(self, network: SpatialNetwork, capture: Capture | None = None) -> None:
        self._network, self._capture = network, capture

    @torch.no_grad()
    def prepare(self, state: Prefill) -> None:
        """Record the step for a prefill ahead of its first token; nothing to do on a CPU."""
        if self._capture is not None and state.attention_mask is None:
            self._step(state)

    @torch.no_grad()
    def read(self, token: int, state: Prefill) -> None:
        """Read a token; the logits of the next one are in `state` then."""
        ids, positions = torch.tensor([[token]]), torch.full((3, 1, 1), state.next_position)
        mask = state.joined_mask(None, 1)
        if self._capture is None or mask is not None:  # padding is not worth a graph: no prompt of ours has any
            embeds = self._network.model.embed_tokens(ids.to(self._device))
            hidden = self._network.model(embeds, positions.to(self._device), state.cache, mask)
            logits = self._network.lm_head(hidden[:, -1])
        else:
            logits = self._step(state).run(token, state.next_position, state.length)
            state.cache.commit(1)
        state.record(ids, positions, mask, logits)

    @property
    def _device(self) -> torch.device:
        return self._network.model.embed_tokens.weight.device

    def _step(self, state: Prefill) -> _Step:
        state.cache.make_room(1)
        step = state.step
        if not isinstance(step, _Step) or step.capacity != state.cache.capacity:
            state.step = None  # frees the graph that is of no use any more
            step = state.step = _Step(self._network, state, self._capture)
        return step


class _Step:
    """One recorded pass over one token of one prefill."""

    def __init__(self, network: SpatialNetwork, state: Prefill, capture: Capture) -> None:
        self.capacity = state.cache.capacity
        device = network.model.embed_tokens.weight.device
        # Token, position and place. The place is valid from the start: recording writes there, behind the last token.
        self._inputs = torch.tensor([0, state.next_position, state.length], device=device)
        cache = state.cache  # not `state`, which holds this step

        def work() -> Tensor:
            token, position, place = self._inputs.split(1)
            embeds = network.model.embed_tokens(token[None])
            hidden = network.model.step(embeds, position.expand(3, 1, 1), cache, place)
            return network.lm_head(hidden[:, -1])

        self._replay = capture(work)

    def run(self, token: int, position: int, place: int) -> Tensor:
        """Give the logits [1,V] after a token; they are written anew by the next run."""
        self._inputs.copy_(torch.tensor([token, position, place]))
        return self._replay()
