"""Load a Spatial-MLLM: check every tensor by name and shape first, then read what is needed, one tensor at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model.checkpoint import Checkpoint, find_checkpoint, open_checkpoint
from spatial_mllm_ros.model.config import OWN_ENTRY, ModelConfig, config_from_json
from spatial_mllm_ros.model.network import TIED_NAME, SpatialNetwork, empty_network
from spatial_mllm_ros.model.random_checkpoint import RANDOM_SMALL, write_random_small
from spatial_mllm_ros.model.safetensors_file import have_same_data, read_tensor, staging_buffer
from spatial_mllm_ros.model.spatial_mllm import SpatialMLLM
from spatial_mllm_ros.model.tokenizer import load_tokenizer
from spatial_mllm_ros.model.vggt import GEOMETRY_HEADS, HEADS, VggtConfig
from spatial_mllm_ros.model.vggt.config import infer_sizes, sizes_from

__all__ = ["ENCODERS", "PARTS", "load_spatial_mllm", "read_config"]

_EMBEDDING = "model.embed_tokens.weight"
_VGGT = "spatial_encoder.vggt_model."
_SPATIAL_NAMES = {"img_size": "image_size", "patch_size": "patch_size", "embed_dim": "embed_dim"}
_PREFIXES = {
    "encoder_2d": ("visual.",),
    "spatial_encoder": (_VGGT, "connector."),
    "language_model": ("model.", "lm_head."),
}
PARTS = tuple(_PREFIXES)
ENCODERS = PARTS[:2]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_spatial_mllm(
    checkpoint: str | Path,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "float32",
    *,
    geometry: bool | None = False,
    parts: Sequence[str] = PARTS,
    **sizes: Any,
) -> SpatialMLLM:
    """Load a checkpoint in the official v1.1 layout.

    Args:
        checkpoint: a folder, a hub id (`Diankun/Spatial-MLLM-v1.1-Instruct-135K`), "small": trained on generated rooms,
            ships with this package, or "random-small": seeded random weights, whose answers mean nothing.
        device: where the weights go.
        dtype: "float32", "bfloat16" or "float16"; of all weights but the geometry heads, which are float32.
        geometry: load the camera, depth and point heads too, for `predict_geometry`; None: if the checkpoint has them.
        parts: of `PARTS`, which to read; the others stay on torch's meta device, without memory and of no use.
        sizes: sizes of VGGT that neither config.json nor the tensors' shapes tell, see `VggtConfig`; by its fields'
            names, or nested by part (`dinov2={"num_heads": 2}`). Unless said, VGGT-1B's are assumed.

    Memory on the way is that of the weights in use and 4 MiB more.

    Raises:
        CheckpointError: naming file and tensor, if something is missing, unexpected, damaged or of a wrong shape.
        InputError: if a size is unknown or contradicts another, the dtype is not one of the three, or torch cannot use
            the device.
    """
    options = (_device(device), _dtype(dtype), geometry, parts, sizes)
    if str(checkpoint) == RANDOM_SMALL:
        with tempfile.TemporaryDirectory(prefix="spatial_mllm_") as folder:
            write_random_small(Path(folder))
            return _load(Path(folder), RANDOM_SMALL, *options)
    return _load(find_checkpoint(checkpoint), str(checkpoint), *options)


def read_config(stored: Checkpoint, sizes: Mapping[str, Any] | None = None, *, geometry: bool = False) -> ModelConfig:
    """Put together what config.json, the tensors' shapes and the caller say about sizes; the later one wins.

    Args:
        stored: the opened checkpoint.
        sizes: the caller's, see `load_spatial_mllm`.
        geometry: whether the sizes of the geometry heads have to be known.

    Raises:
        CheckpointError: if config.json is not that of a Spatial-MLLM, or a size that is needed cannot be told.
        InputError: if a size is unknown or contradicts another.
    """
    path = str(stored.folder / "config.json")
    spatial = stored.config.get("spatial_config") or {}
    known = {field: spatial[name] for name, field in _SPATIAL_NAMES.items() if name in spatial}
    shapes = {name[len(_VGGT) :]: t.shape for name, t in stored.tensors.items() if name.startswith(_VGGT)}
    known.update(infer_sizes(shapes))
    known.update(sizes_from((stored.config.get(OWN_ENTRY) or {}).get("vggt") or {}))
    known.update(sizes_from(sizes or {}))
    vggt = VggtConfig(**_without_gaps(known, path, geometry))
    return config_from_json(stored.config, generation=stored.generation, vggt=vggt, source=path)


def _without_gaps(known: dict[str, Any], path: str, geometry: bool) -> dict[str, Any]:
    """Leave out what VGGT-1B's sizes may fill in, but refuse to guess what another VGGT's tensors do not tell."""
    channels, depth = known.get("embed_dim", VggtConfig.embed_dim), known.get("depth", VggtConfig.depth)
    gaps = []
    if channels != VggtConfig.embed_dim:
        gaps = [("dino_heads", True, 1), ("camera_heads", geometry, 1)]
    if depth == 4:
        known = {"dpt_layers": (0, 1, 2, 3), **known}  # there is no other choice
    elif depth != VggtConfig.depth:
        gaps.append(("dpt_layers", geometry, (0, 0, 0, 0)))
    for field, is_needed, placeholder in gaps:
        if field not in known and is_needed:
            raise CheckpointError(
                f"{path}: does not tell {field}, which a VGGT of {channels} channels and depth {depth} needs; "
                f"give {field}=... to load_spatial_mllm"
            )
        known = {field: placeholder, **known}
    return known


def _load(
    folder: Path,
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    geometry: bool | None,
    parts: Sequence[str],
    sizes: dict[str, Any],
) -> SpatialMLLM:
    stored = open_checkpoint(folder)
    stored_heads = [head for head in HEADS if any(t.startswith(f"{_VGGT}{head}.") for t in stored.tensors)]
    missing = [head for head in GEOMETRY_HEADS if head not in stored_heads]
    geometry = not missing if geometry is None else geometry
    config = read_config(stored, sizes, geometry=geometry)
    if geometry and missing:
        raise CheckpointError(f"{folder}: geometry was asked for, but the checkpoint has no {missing[0]}")
    network = empty_network(config, stored_heads)
    _check_tensors(stored, network, config)
    for head in stored_heads:
        if not geometry or head not in GEOMETRY_HEADS:
            delattr(network.vggt, head)
    _read_weights(stored, network, config, device, dtype, parts)
    return SpatialMLLM(network, config, name=name, tokenizer=load_tokenizer(folder))


def _check_tensors(stored: Checkpoint, network: SpatialNetwork, config: ModelConfig) -> None:
    """Account for every tensor, read or not, before any is read."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tied = expected.pop(TIED_NAME) if config.ties_embeddings else None
    for name, entry in stored.tensors.items():
        shape = tied if name == TIED_NAME and tied else expected.get(name)
        if shape is None:
            raise CheckpointError(f"{entry.file}: the tensor {name} is not part of a Spatial-MLLM of these sizes")
        if entry.shape != shape:
            raise CheckpointError(
                f"{entry.file}: the tensor {name} has shape {list(entry.shape)}, but {list(shape)} is due"
            )
    absent = [name for name in expected if name not in stored.tensors]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise CheckpointError(f"{stored.folder}: the tensor {absent[0]}{more} is missing")
    if tied and TIED_NAME in stored.tensors:
        _check_tied(stored)


def _check_tied(stored: Checkpoint) -> None:
    embedding = stored.tensors[_EMBEDDING]
    if not have_same_data(stored.tensors[TIED_NAME], embedding):
        raise CheckpointError(
            f"{embedding.file}: {TIED_NAME} differs from {_EMBEDDING}, but config.json says that they are one"
        )


def _read_weights(
    stored: Checkpoint,
    network: SpatialNetwork,
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype,
    parts: Sequence[str],
) -> None:
    heads = tuple(f"{_VGGT}{head}." for head in HEADS)
    staging = staging_buffer()
    prefixes = tuple(prefix for part in parts for prefix in _PREFIXES[part])
    for name in filter(lambda name: name.startswith(prefixes), network.state_dict()):
        if name != TIED_NAME or not config.ties_embeddings:
            wanted = torch.float32 if name.startswith(heads) else dtype
            _set_parameter(network, name, read_tensor(stored.tensors[name], device, wanted, staging))
    if config.ties_embeddings:
        network.tie_embeddings()


def _set_parameter(network: nn.Module, name: str, tensor: Tensor) -> None:
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, nn.Parameter(tensor, requires_grad=False))


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:  # torch raises the former where it was built without CUDA
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"torch cannot use the device {str(device)!r}: {reason}") from error
    return found


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = _DTYPES.get(str(dtype).replace("torch.", ""))
    if found is None:
        raise InputError(f"dtype must be one of {', '.join(_DTYPES)}, not {dtype}")
    return found
