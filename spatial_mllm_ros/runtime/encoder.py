"""What every runtime offers: an encoder is called with one tensor and gives one tensor; and both encoders together.

The encoders and their tensors (all shapes static, see `EngineSpec`):

- `encoder_2d`: `pixel_values` [P,1176] to `visual_embeds` [P/4,D], P patches of all frame pairs in processor order;
- `spatial_encoder`: `video` [T,3,H,W], RGB in 0..1, to `connector_embeds` [P/4,D], in the order of `visual_embeds`.

Their sum is what the language model gets (paper, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from spatial_mllm_ros.errors import EngineError

if TYPE_CHECKING:
    from spatial_mllm_ros.model import VisualInputs

__all__ = ["Encoder", "Encoders"]


class Encoder(Protocol):
    """One compiled or plain encoder.

    Attributes:
        backend: "torch", "onnxruntime" or "tensorrt".
    """

    backend: str

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encode; input and output shapes and dtypes are those of the encoder's stage."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoders:
    """Both encoders of one model for keyframe sets of one shape, ready to serve.

    Attributes:
        backend: what runs them, as `Encoder.backend`; "torch" if they are not compiled.
        video_shape: (T, 3, H, W) of the frames that they take.
        device: where they take their inputs.
        encoder_2d, spatial_encoder: see the module's contract.
    """

    backend: str
    video_shape: tuple[int, int, int, int]
    device: torch.device
    encoder_2d: Encoder
    spatial_encoder: Encoder

    def fit(self, inputs: VisualInputs) -> bool:
        """Say whether keyframes have the number and the size that the encoders were made for."""
        return tuple(inputs.video.shape) == self.video_shape

    def misfit(self, inputs: VisualInputs) -> str:
        """Say why keyframes do not fit; empty if they do."""
        if self.fit(inputs):
            return ""
        shapes = (inputs.video.shape, self.video_shape)
        has, takes = (f"{count} frames of {width}x{height}" for count, _, height, width in shapes)
        return f"the keyframes are {has}, the {self.backend} encoders take {takes}"

    def encode_2d(self, inputs: VisualInputs) -> torch.Tensor:
        """Give the visual embeddings [N/4,D].

        Raises:
            EngineError: if the encoder fails, whatever its library raises.
        """
        return self._run("encoder_2d", self.encoder_2d, inputs.pixel_values)

    def encode_spatial(self, inputs: VisualInputs) -> torch.Tensor:
        """Give the spatial tokens, projected by the connector: [N/4,D].

        Raises:
            EngineError: if the encoder fails, whatever its library raises.
        """
        return self._run("spatial_encoder", self.spatial_encoder, inputs.video)

    def fuse(self, visual: torch.Tensor, spatial: torch.Tensor) -> torch.Tensor:
        """Add what both encoders gave: [N/4,D].

        Raises:
            EngineError: if it is not finite, as when numbers of few bits overflow.
        """
        fused = visual + spatial
        if not bool(torch.isfinite(fused).all()):
            raise EngineError(f"the {self.backend} encoders gave numbers that are not finite")
        return fused

    def _run(self, stage: str, encoder: Encoder, inputs: torch.Tensor) -> torch.Tensor:
        try:
            return encoder(inputs.to(self.device))
        except EngineError:
            raise
        except Exception as error:  # the edge to a foreign library, each of which has errors of its own
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise EngineError(f"{self.backend} failed to run {stage}: {reason}") from error
