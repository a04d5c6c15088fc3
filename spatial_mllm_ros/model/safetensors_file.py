"""Read safetensors files tensor by tensor, in pieces, without mapping them into memory.

The safetensors library maps the whole file. That is quick, but on a robot whose GPU shares the machine's memory a
mapped checkpoint beside its converted copy is what does not fit. Here a tensor is read straight into its place, in
pieces where the dtype changes, so that nothing is held twice.

Source: the format as described at github.com/huggingface/safetensors (8 bytes of length, a JSON header, the data).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from spatial_mllm_ros.errors import CheckpointError

__all__ = ["StoredTensor", "have_same_data", "read_header", "read_tensor", "staging_buffer"]

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
_MAX_HEADER_BYTES = 100_000_000  # as in the safetensors library; a larger length is a damaged file
_PIECE_BYTES = 4 << 20


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is: file, shape, dtype, and its first byte in the file."""

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> dict[str, StoredTensor]:
    """List the tensors of a file, and check that the file is as long as they say.

    Raises:
        CheckpointError: naming the file, if it cannot be read, is cut short or damaged, or holds quantised tensors.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
                raise CheckpointError(f"{path}: is no complete safetensors file: its header is cut short")
            header = json.loads(file.read(length))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: is no safetensors file: its header is no JSON: {error}") from error
    tensors, end = {}, 8 + length
    for name, entry in header.items():
        if name != "__metadata__":
            tensors[name] = _stored_tensor(name, entry, path, 8 + length)
            end = max(end, tensors[name].start + tensors[name].nbytes)
    if end != size:
        raise CheckpointError(f"{path}: is no complete safetensors file: {size} bytes where its header says {end}")
    return tensors


def staging_buffer() -> Tensor:
    """Make the buffer that `read_tensor` stages pieces in: 4 MiB, to be used for one tensor after another."""
    return torch.empty(_PIECE_BYTES, dtype=torch.uint8)


def read_tensor(stored: StoredTensor, device: torch.device, dtype: torch.dtype, staging: Tensor) -> Tensor:
    """Read a tensor onto a device in a dtype; nothing is held besides the result and the staging buffer.

    Raises:
        CheckpointError: naming file and tensor, if it cannot be read.
    """
    target = torch.empty(stored.shape, device=device, dtype=dtype)
    try:
        with stored.file.open("rb", buffering=0) as file:
            file.seek(stored.start)
            if target.device.type == "cpu" and dtype == stored.dtype:
                _read_into(file, target.reshape(-1))
            else:
                room = staging.view(stored.dtype)
                for piece in target.reshape(-1).split(len(room)):
                    values = room[: len(piece)]
                    _read_into(file, values)
                    piece.copy_(values)
    except (OSError, EOFError) as error:
        raise CheckpointError(f"{stored.file}: the tensor {stored.name} cannot be read: {error}") from error
    return target


def have_same_data(one: StoredTensor, other: StoredTensor) -> bool:
    """Say whether two tensors of one shape have the same values, reading both in pieces."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    with one.file.open("rb") as first, other.file.open("rb") as second:
        first.seek(one.start), second.seek(other.start)
        left = one.nbytes
        while left > 0:
            count = min(left, _PIECE_BYTES)
            if first.read(count) != second.read(count):
                return False
            left -= count
    return True


def _stored_tensor(name: str, entry: Any, path: Path, data_start: int) -> StoredTensor:
    try:
        shape = tuple(int(side) for side in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
        dtype_name = entry["dtype"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the header's entry for {name} is damaged") from error
    if dtype_name not in _DTYPES:
        raise CheckpointError(f"{path}: the tensor {name} is stored as {dtype_name}; only floating point is supported")
    stored = StoredTensor(name, path, shape, _DTYPES[dtype_name], data_start + start)
    if start < 0 or min(shape, default=0) < 0 or end - start != stored.nbytes:
        found = f"{end - start} bytes for {list(shape)}"
        raise CheckpointError(f"{path}: the header's entry for {name} is damaged: {found}")
    return stored


def _read_into(file: BinaryIO, values: Tensor) -> None:
    """Fill a contiguous CPU tensor [n] with the file's next bytes."""
    left = memoryview(values.view(torch.uint8).numpy())
    while left:
        count = file.readinto(left)
        if not count:
            raise EOFError("the file ends before it")
        left = left[count:]
