"""Checkpoint files on disk: which tensors there are, in which file, and reading them one by one.

Only safetensors; nothing that runs code when it is opened. Each fault is one `CheckpointError` that names the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from spatial_mllm_ros.errors import CheckpointError, DependencyError

__all__ = ["Checkpoint", "StoredTensor", "find_checkpoint", "open_checkpoint", "read_json"]

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "merges.txt"]  # data only; no code is fetched


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is, and its shape."""

    file: Path
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint folder: every tensor is listed, none is read.

    Attributes:
        folder: where it is.
        config, generation: the parsed config.json and generation_config.json (empty if there is none).
        tensors: every tensor by name.
    """

    folder: Path
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]

    def read(self, names: list[str]) -> Iterator[tuple[str, Tensor]]:
        """Read tensors one after another, file by file, on the CPU, in the dtype they are stored in.

        Raises:
            CheckpointError: naming file and tensor, if one cannot be read.
        """
        by_file: dict[Path, list[str]] = {}
        for name in names:
            by_file.setdefault(self.tensors[name].file, []).append(name)
        for file, members in by_file.items():
            with _open(file) as reader:
                for name in members:
                    try:
                        yield name, reader.get_tensor(name)
                    except Exception as error:  # safetensors has its own error type, per language binding
                        raise CheckpointError(f"{file}: the tensor {name} cannot be read: {error}") from error


def find_checkpoint(checkpoint: str | Path) -> Path:
    """Give the folder of a checkpoint: a path, or a hub id `owner/name`, which is fetched once and kept.

    Raises:
        CheckpointError: if there is no such folder and no such hub id can be had.
        DependencyError: if a hub id is given and huggingface_hub is missing.
    """
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or not _HUB_ID.fullmatch(str(checkpoint)):
        raise CheckpointError(f"{checkpoint}: is neither a folder nor a hub id (owner/name)")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise DependencyError("a hub id needs huggingface_hub; `pip install huggingface_hub`") from error
    try:
        return Path(snapshot_download(str(checkpoint), allow_patterns=_HUB_FILES))
    except Exception as error:  # the library raises many types, from several HTTP libraries, for "cannot be had"
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"{checkpoint}: cannot be fetched from the hub ({reason[0] if reason else type(error).__name__}); "
            "give a local folder, or fetch it where there is a network"
        ) from error


def open_checkpoint(folder: Path) -> Checkpoint:
    """List a checkpoint folder's tensors.

    Raises:
        CheckpointError: if config.json is missing, or the index, a shard or a header is missing or damaged.
    """
    config = read_json(folder / "config.json")
    generation = read_json(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
    index = folder / _INDEX
    tensors = _sharded(index) if index.is_file() else _single(folder / _SINGLE)
    return Checkpoint(folder, config, generation, MappingProxyType(tensors))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: if the file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: is no JSON object")
    return value


def _single(path: Path) -> dict[str, StoredTensor]:
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: there is neither {_SINGLE} nor {_INDEX}")
    return _header(path)


def _sharded(index: Path) -> dict[str, StoredTensor]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{index}: has no weight_map from tensor names to files")
    stored: dict[str, StoredTensor] = {}
    for name in sorted(set(weight_map.values())):
        path = index.parent / name
        if Path(name).name != name:
            raise CheckpointError(f"{index}: {name!r} is not a file beside it")
        if not path.is_file():
            owner = next(tensor for tensor, file in weight_map.items() if file == name)
            raise CheckpointError(f"{path}: is missing, with the tensor {owner} and others")
        for tensor, entry in _header(path).items():
            if tensor in stored:
                raise CheckpointError(f"{path}: the tensor {tensor} is also in {stored[tensor].file.name}")
            stored[tensor] = entry
    for tensor, file in weight_map.items():
        if tensor not in stored or stored[tensor].file.name != file:
            raise CheckpointError(f"{index}: says that {tensor} is in {file}, but it is not there")
    return stored


def _header(path: Path) -> dict[str, StoredTensor]:
    with _open(path) as reader:
        return {name: StoredTensor(path, tuple(reader.get_slice(name).get_shape())) for name in reader.keys()}


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(str(path), framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: is no complete safetensors file: {error}") from error
