"""Checkpoint folders: finding one, and listing which tensors there are in which file.

Only safetensors; nothing that runs code when it is opened. Each fault is one `CheckpointError` that names the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spatial_mllm_ros.errors import CheckpointError, DependencyError
from spatial_mllm_ros.model.safetensors_file import StoredTensor, read_header

__all__ = ["SMALL", "Checkpoint", "find_checkpoint", "open_checkpoint", "read_json"]

SMALL = "small"
"""The checkpoint that ships with this package: trained on generated rooms, see docs/small-model.md."""

_SHIPPED = Path(__file__).parents[1] / "checkpoints"
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "merges.txt"]  # data only; no code is fetched


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


def find_checkpoint(checkpoint: str | Path) -> Path:
    """Give the folder of a checkpoint: "small", a path, or a hub id `owner/name`, which is fetched once and kept.

    Raises:
        CheckpointError: if there is no such folder and no such hub id can be had.
        DependencyError: if a hub id is given and huggingface_hub is missing.
    """
    folder = _SHIPPED / SMALL if str(checkpoint) == SMALL else Path(checkpoint).expanduser()
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
    return read_header(path)


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
        for tensor, entry in read_header(path).items():
            if tensor in stored:
                raise CheckpointError(f"{path}: the tensor {tensor} is also in {stored[tensor].file.name}")
            stored[tensor] = entry
    for tensor, file in weight_map.items():
        if tensor not in stored or stored[tensor].file.name != file:
            raise CheckpointError(f"{index}: says that {tensor} is in {file}, but it is not there")
    return stored
