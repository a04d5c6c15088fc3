"""Say how far an encoder is from torch, on stored real images and on the pattern that makes float16 overflow.

A compiled encoder serves only if it passes here. The tolerances are in one table, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.frames import decode_compressed
from spatial_mllm_ros.model.preprocessing import patches_from
from spatial_mllm_ros.runtime.encoder import Encoder
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage

__all__ = ["TOLERANCES", "Parity", "Tolerance", "compare", "measure_parity", "stored_inputs", "worst"]

_PICTURES = Path(__file__).with_name("pictures")
_SQUARE = 56  # pixels; the side of the squares that make activations of the 2D encoder leave float16's range


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far from torch an encoder may be.

    Attributes:
        cosine: least cosine of the angle between both embeddings of one token; the worst token counts, so that a fault
            in one window is not lost among thousands.
        relative_error: largest difference of one number, as a share of the reference's largest.
        reason: why these.
    """

    cosine: float
    relative_error: float
    reason: str


TOLERANCES: dict[torch.dtype, Tolerance] = {
    torch.float32: Tolerance(
        cosine=0.99999, relative_error=1e-3, reason="other kernels add in another order; measured 1e-6 to 1e-5"
    ),
    torch.float16: Tolerance(
        cosine=0.999, relative_error=5e-2, reason="11 bits in each of some fifty layers, each kernel rounding elsewhere"
    ),
    torch.bfloat16: Tolerance(
        cosine=0.99, relative_error=0.2, reason="8 bits: torch in bfloat16 is itself that far from torch in float32"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far an encoder was from torch on its worst input.

    Attributes:
        stage: which encoder.
        backend: what ran it.
        input_name: the worst input.
        cosine, largest_relative_error: see `Tolerance`; NaN if the output is not finite.
        is_finite: no number overflowed.
        tolerance: what was allowed.
        passed: the verdict.
    """

    stage: str
    backend: str
    input_name: str
    cosine: float
    largest_relative_error: float
    is_finite: bool
    tolerance: Tolerance
    passed: bool


def stored_inputs(stage: Stage, spec: EngineSpec) -> Sequence[tuple[str, Tensor]]:
    """Give named inputs of a stage: a rendered room seen by a moving camera, and a checkerboard of 56-pixel squares.

    Returns:
        float32 on the CPU, in the spec's shapes: [N,1176] or [T,3,H,W].
    """
    videos = {"room": _room(spec), "checkerboard": _checkerboard(spec)}
    return [(name, _inputs(stage, frames)) for name, frames in videos.items()]


def measure_parity(encoder: Encoder, reference: Encoder, inputs: Sequence[tuple[str, Tensor]]) -> Parity:
    """Compare an encoder with a reference on every input; what counts is the worst.

    Args:
        encoder: what is on trial; its `name` is the stage.
        reference: torch.
        inputs: (name, tensor), at least one.
    """
    return worst(compare(encoder, name, values, reference(values)) for name, values in inputs)


def worst(parities: Iterable[Parity]) -> Parity:
    """Give the one that says most against an encoder."""
    return min(parities, key=lambda parity: (parity.passed, parity.is_finite, parity.cosine))


def compare(encoder: Encoder, input_name: str, inputs: Tensor, expected: Tensor) -> Parity:
    """Compare what an encoder gives with what torch gave; the tolerance is that of the coarser dtype of both."""
    output = encoder(inputs)
    coarser = max(output.dtype, expected.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    tolerance = TOLERANCES[coarser]
    output, expected = (tensor.detach().cpu().double() for tensor in (output, expected))  # [N/4,D]
    is_finite = bool(torch.isfinite(output).all())
    cosine = relative_error = float("nan")
    passed = False
    if is_finite:
        cosine = float(F.cosine_similarity(output, expected, dim=1).min())
        relative_error = float((output - expected).abs().max() / expected.abs().max())
        passed = cosine >= tolerance.cosine and relative_error <= tolerance.relative_error
    return Parity(
        stage=encoder.name,
        backend=encoder.backend,
        input_name=input_name,
        cosine=cosine,
        largest_relative_error=relative_error,
        is_finite=is_finite,
        tolerance=tolerance,
        passed=passed,
    )


def _room(spec: EngineSpec) -> NDArray[np.uint8]:
    """The stored pictures at the spec's size, there and back until there are enough of them."""
    pictures = [decode_compressed(path.read_bytes()) for path in sorted(_PICTURES.glob("*.jpg"))]
    there_and_back = [*pictures, *pictures[-2:0:-1]]
    sized = [_resized(picture, spec) for picture in there_and_back]
    return np.stack([sized[index % len(sized)] for index in range(spec.num_keyframes)])


def _resized(picture: NDArray[np.uint8], spec: EngineSpec) -> NDArray[np.uint8]:
    values = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    values = F.interpolate(values, size=(spec.height, spec.width), mode="bilinear", antialias=True)
    return values[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def _checkerboard(spec: EngineSpec) -> NDArray[np.uint8]:
    rows, columns = np.indices((spec.height, spec.width)) // _SQUARE
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    return np.broadcast_to(board[None, :, :, None], (spec.num_keyframes, spec.height, spec.width, 3))


def _inputs(stage: Stage, frames: NDArray[np.uint8]) -> Tensor:
    frames = np.ascontiguousarray(frames)
    if stage == "encoder_2d":
        return patches_from(frames)[0]
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
