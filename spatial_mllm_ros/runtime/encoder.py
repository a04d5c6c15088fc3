"""What every runtime offers: an encoder is called with one tensor and gives one tensor.

The encoders and their tensors (all shapes static, see `EngineSpec`):

- `encoder_2d`: `pixel_values` [P,1176] to `visual_embeds` [P/4,D], P patches of all frame pairs in processor order;
- `spatial_encoder`: `video` [T,3,H,W], RGB in 0..1, to `connector_embeds` [P/4,D], in the order of `visual_embeds`.

Their sum is what the language model gets (paper, section 3.2).
"""

from __future__ import annotations

from typing import Protocol

import torch

__all__ = ["Encoder"]


class Encoder(Protocol):
    """One compiled or plain encoder.

    Attributes:
        backend: "torch", "onnxruntime" or "tensorrt".
    """

    backend: str

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encode; input and output shapes and dtypes are those of the encoder's stage."""
        ...
