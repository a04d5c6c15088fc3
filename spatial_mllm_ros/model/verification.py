"""Compare a model with a golden fixture, array by array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model.golden import INPUTS, Fixture, recompute
from spatial_mllm_ros.model.spatial_mllm import SpatialMLLM

__all__ = ["MIN_COSINE", "TOLERANCES", "ArrayCheck", "verify"]

# Largest difference as a share of the golden array's largest value. Two correct float32 runs of the paper's code differ
# by up to 3e-6. For shorter dtypes the cosine counts.
TOLERANCES: dict[str, float | None] = {"float32": 2e-5, "bfloat16": None, "float16": None}
MIN_COSINE = 0.999
_PIXEL_TOLERANCE = 1e-6  # preprocessing is float32 whatever the model's dtype
_TOKEN_FILE = "generate.json"


@dataclass(frozen=True, kw_only=True)
class ArrayCheck:
    """How one array compares.

    Attributes:
        file, name: of the golden array.
        shape: of the golden array.
        max_error: largest absolute difference.
        relative_error: the same as a share of the golden array's largest value.
        cosine: of the angle between both arrays as vectors.
        tolerance: bound for `relative_error`; 0 for integers; None if the cosine counts.
        passed: whether it is met; None if the array was not compared.
        note: why it was not compared, or why it failed beyond numbers.
    """

    file: str
    name: str
    shape: tuple[int, ...]
    max_error: float | None = None
    relative_error: float | None = None
    cosine: float | None = None
    tolerance: float | None = None
    passed: bool | None = None
    note: str = ""


def verify(model: SpatialMLLM, fixture: Fixture) -> list[ArrayCheck]:
    """Compare every array of a fixture that is known by its name; list the others with a note.

    Greedy tokens must be the same in float32. In shorter dtypes a near tie may fall the other way, which is noted.
    """
    dtype = str(model.dtype).replace("torch.", "")
    checks = [_compare(file, name, golden, ours, dtype) for file, name, golden, ours in recompute(model, fixture)]
    compared = {(check.file, check.name) for check in checks}
    for file, arrays in fixture.arrays.items():
        for name, golden in arrays.items():
            is_input = name in INPUTS or "_in" in name[-4:]
            if (f"{file}.npz", name) not in compared and not is_input:
                note = "the checkpoint has no geometry heads" if file == "geometry" else "not known"
                checks.append(ArrayCheck(file=f"{file}.npz", name=name, shape=golden.shape, note=note))
    if not compared:
        raise CheckpointError(f"{fixture.folder}: nothing in this fixture could be compared")
    return checks


def _compare(file: str, name: str, golden: Any, ours: Any, dtype: str) -> ArrayCheck:
    if isinstance(ours, torch.Tensor):
        ours = ours.detach().float().cpu().numpy() if ours.is_floating_point() else ours.cpu().numpy()
    shape = tuple(golden.shape)
    if ours.shape != shape and ours.shape != shape[1:]:
        return ArrayCheck(file=file, name=name, shape=shape, passed=False, note=f"our shape is {list(ours.shape)}")
    a, b = golden.astype(np.float64).ravel(), ours.astype(np.float64).ravel()
    if not np.array_equal(np.isfinite(a), np.isfinite(b)) or not np.array_equal(a[~np.isfinite(a)], b[~np.isfinite(a)]):
        return ArrayCheck(file=file, name=name, shape=shape, passed=False, note="NaN or infinite where golden is not")
    a, b = a[np.isfinite(a)], b[np.isfinite(a)]
    max_error = float(np.abs(a - b).max(initial=0.0))
    largest = float(np.abs(a).max(initial=0.0)) or 1.0
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(a @ b) / norms if norms else float(max_error == 0)
    tolerance = _tolerance(file, name, golden.dtype, dtype)
    passed = cosine > MIN_COSINE if tolerance is None else max_error <= tolerance * largest
    note = ""
    if file == _TOKEN_FILE and dtype != "float32":
        passed, note = None, f"{int((a == b).sum())} of {len(a)} tokens are the same"
    return ArrayCheck(
        file=file,
        name=name,
        shape=shape,
        max_error=max_error,
        relative_error=max_error / largest,
        cosine=cosine,
        tolerance=tolerance,
        passed=passed,
        note=note,
    )


def _tolerance(file: str, name: str, golden_dtype: np.dtype, dtype: str) -> float | None:
    if golden_dtype.kind in "iub":
        return 0.0
    if "pixel_values" in name or name == "video_tchw":
        return _PIXEL_TOLERANCE
    return TOLERANCES[dtype]
