"""Golden fixtures: data that the paper's own code gave for a checkpoint, and the same computed by us.

A fixture is a folder with `checkpoint/` and some of vision.npz, prefill.npz, geometry.npz, preprocess.npz and
generate.json; sizes of VGGT are in a JSON file with "hparams" in its name. One function here per file computes every
array that is known by its name, from our own output of the stages before it, as in use.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.checkpoint import read_json
from spatial_mllm_ros.model.kv_cache import KVCache
from spatial_mllm_ros.model.positions import grids_from, mrope_positions
from spatial_mllm_ros.model.prefill import Prefill
from spatial_mllm_ros.model.preprocessing import frame_size, geometry_frames, patches_from, processor_patches
from spatial_mllm_ros.model.spatial_mllm import SpatialMLLM
from spatial_mllm_ros.model.vggt import decode_poses

__all__ = ["INPUTS", "Fixture", "open_fixture", "recompute"]

Arrays = Mapping[str, NDArray]

# What a fixture gives and nothing has to match.
INPUTS = frozenset(
    {
        "frames",
        "input_ids",
        "attention_mask",
        "second_per_grid_ts",
        "alt_second_per_grid_ts",
        "leftpad_input_ids",
        "leftpad_attention_mask",
        "text_only_input_ids",
        "processor_frames",
    }
)
_FILES = ("vision", "prefill", "geometry", "preprocess")
_VIDEO_PIXELS = (128 * 28 * 28, 768 * 28 * 28)  # bounds of the official inference, for preprocess.json's table of sizes


@dataclass(frozen=True)
class Fixture:
    """An opened fixture.

    Attributes:
        arrays: file (without its ending) to arrays by name.
        generated: name of a run to its tokens and repetition penalty.
        sizes: of VGGT, as `load_spatial_mllm` takes them.
        video_sizes: rows of preprocess.json's table of frame sizes.
        preprocessor: the checkpoint's preprocessor_config.json.
    """

    folder: Path
    arrays: Mapping[str, Arrays]
    generated: Mapping[str, tuple[list[int], float]]
    sizes: Mapping[str, Any]
    video_sizes: tuple[Mapping[str, Any], ...] = ()
    preprocessor: Mapping[str, Any] = field(default_factory=dict)


def open_fixture(folder: Path) -> Fixture:
    """Read a fixture's arrays.

    Raises:
        InputError: if the folder holds none of the known files, or one cannot be read.
        CheckpointError: if a JSON file in it is damaged.
    """
    arrays: dict[str, Arrays] = {}
    for name in _FILES:
        path = folder / f"{name}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as stored:
                    arrays[name] = {key: stored[key] for key in stored}
            except (OSError, ValueError, zipfile.BadZipFile) as error:
                raise InputError(f"{path}: cannot be read: {error}") from error
    generate, table = folder / "generate.json", folder / "preprocess.json"
    if not arrays and not generate.is_file():
        raise InputError(f"{folder}: is no fixture; it has none of {', '.join(_FILES)}.npz and generate.json")
    sizes: dict[str, Any] = {}
    for path in sorted(folder.glob("*hparams*.json")):
        sizes.update(read_json(path))
    preprocessor = folder / "checkpoint" / "preprocessor_config.json"
    return Fixture(
        folder,
        arrays,
        _generated(read_json(generate)) if generate.is_file() else {},
        sizes,
        tuple(read_json(table).get("video_resize_table", ())) if table.is_file() else (),
        read_json(preprocessor) if preprocessor.is_file() else {},
    )


def _generated(content: Mapping[str, Any]) -> dict[str, tuple[list[int], float]]:
    runs = {}
    if "new_tokens" in content:
        runs["greedy"] = (content["new_tokens"], 1.0)
    for name, run in content.items():
        if isinstance(run, dict) and "new_token_ids" in run:
            runs[name] = (run["new_token_ids"], float(run.get("kwargs", {}).get("repetition_penalty", 1.0)))
    return runs


@torch.no_grad()
def recompute(model: SpatialMLLM, fixture: Fixture) -> Iterator[tuple[str, str, NDArray | Tensor, NDArray | Tensor]]:
    """Compute what a fixture holds.

    Yields:
        file, name of the array, the golden array and ours, for every array that is known.
    """
    fused = grid = None
    if "vision" in fixture.arrays:
        golden = fixture.arrays["vision"]
        ours = _vision(model, golden)
        fused, grid = ours.get("fused_embeds"), golden["video_grid_thw"]
        yield from _pairs("vision.npz", golden, ours)
    if "prefill" in fixture.arrays:
        golden = fixture.arrays["prefill"]
        if "inputs_embeds" in fixture.arrays.get("vision", ()):
            embeds = model.embed(torch.from_numpy(golden["input_ids"]), fused)
            yield "vision.npz", "inputs_embeds", fixture.arrays["vision"]["inputs_embeds"], embeds
        yield from _pairs("prefill.npz", golden, _prefill(model, golden, fused, grid))
        for name, (tokens, penalty) in fixture.generated.items():
            ours = _generate(model, golden, fused, grid, len(tokens), penalty)
            yield "generate.json", name, np.array(tokens), np.array(ours)
    if "geometry" in fixture.arrays and "vision" in fixture.arrays and model.has_geometry:
        golden = fixture.arrays["geometry"]
        yield from _pairs("geometry.npz", golden, _geometry(model, fixture.arrays["vision"]))
    if "preprocess" in fixture.arrays:
        golden = fixture.arrays["preprocess"]
        yield from _pairs("preprocess.npz", golden, _preprocess(golden, fixture.preprocessor))
    if fixture.video_sizes:
        yield "preprocess.json", "video sizes", *_video_sizes(fixture.video_sizes)


def _pairs(file: str, golden: Arrays, ours: Mapping[str, Any]) -> Iterator[tuple[str, str, NDArray, Any]]:
    return ((file, name, golden[name], ours[name]) for name in golden if name in ours)


def _vision(model: SpatialMLLM, golden: Arrays) -> dict[str, Any]:
    network, ours = model.network, {}
    grid = golden["video_grid_thw"]
    if "frames" in golden:
        patch_size = model.config.vision.patch_size
        ours["pixel_values_videos"], our_grid = patches_from(golden["frames"], patch_size=patch_size)
        ours["video_grid_thw"] = np.array([our_grid])
        ours["video_tchw"] = _video_from(golden["frames"])
    pixels, video = (
        torch.as_tensor(golden.get(name, ours.get(name))).to(model.device, model.dtype)
        for name in ("pixel_values_videos", "video_tchw")
    )
    ours["vit_patch_embed"] = network.visual.embed(pixels)
    ours["vit_output"] = ours["visual_embeds"] = visual = model.encode_2d(pixels, grid)

    special = model.config.vggt.num_special_tokens
    ours["patch_start_idx"] = np.array(special)
    ours["dino_patch_tokens"] = network.vggt.aggregator.embed(video)[:, special:]
    first, last = network.vggt.aggregator(video, (0, model.config.spatial_layer))
    ours["spatial_first_layer"] = first
    ours["spatial_last_layer"] = ours["spatial_tokens"] = last
    ours["spatial_patch_tokens"] = patches = last[:, special:]
    ours["connector_merged_input"] = network.connector.merge_tokens(patches, grids_from(grid)[0])
    ours["connector_out"] = ours["connector_output"] = model.connect(last, grid)
    ours["fused_embeds"] = model.fuse(visual, model.encode_spatial(video), grid)
    return ours


def _prefill(model: SpatialMLLM, golden: Arrays, fused: Tensor | None, grid: NDArray | None) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    seconds = _seconds(golden)
    if "input_ids" in golden:
        read = _read(model, golden["input_ids"], fused, grid, seconds)
        ours["position_ids"] = read.positions
        ours["rope_deltas"] = _rope_delta(read.positions)
        ours["logits"] = read.logits
        ours["final_hidden"] = _final_hidden(model, golden["input_ids"], fused, read.positions)
    if "alt_second_per_grid_ts" in golden:
        read = _read(model, golden["input_ids"], fused, grid, golden["alt_second_per_grid_ts"].tolist())
        ours["alt_position_ids"] = read.positions
        ours["alt_rope_deltas"] = _rope_delta(read.positions)
        ours["alt_last_logits"] = read.logits[:, -1]
    if "leftpad_input_ids" in golden:
        ours["leftpad_position_ids"] = _positions(model, golden, grid, seconds)
    if "text_only_input_ids" in golden:
        ours["text_only_logits"] = model.prefill(torch.from_numpy(golden["text_only_input_ids"]), logits="all").logits
    return ours


def _read(model: SpatialMLLM, ids: NDArray, fused: Tensor | None, grid: NDArray | None, seconds: Any) -> Prefill:
    return model.prefill(torch.from_numpy(ids), fused=fused, grid_thw=grid, second_per_grid_s=seconds, logits="all")


def _final_hidden(model: SpatialMLLM, ids: NDArray, fused: Tensor | None, positions: Tensor) -> Tensor:
    embeds = model.embed(torch.from_numpy(ids), fused)
    return model.network.model(embeds, positions.to(model.device), KVCache(model.config.text.num_hidden_layers))


def _rope_delta(positions: Tensor) -> NDArray:
    return np.array([[int(positions.max()) + 1 - positions.shape[2]]])


def _seconds(golden: Arrays) -> list[float] | float:
    return golden["second_per_grid_ts"].tolist() if "second_per_grid_ts" in golden else 1.0


def _positions(model: SpatialMLLM, golden: Arrays, grid: NDArray | None, seconds: list[float] | float) -> Tensor:
    return mrope_positions(
        torch.from_numpy(golden["leftpad_input_ids"]),
        grids_from(grid) if grid is not None else (),
        video_token_id=model.config.video_token_id,
        merge=model.config.vision.spatial_merge_size,
        tokens_per_second=model.config.vision.tokens_per_second,
        second_per_grid_s=seconds,
        attention_mask=torch.from_numpy(golden["leftpad_attention_mask"]),
    )


def _generate(
    model: SpatialMLLM, golden: Arrays, fused: Tensor | None, grid: NDArray | None, count: int, penalty: float
) -> list[int]:
    read = _read(model, golden["input_ids"], fused, grid, _seconds(golden))
    return list(model.generate(read, max_new_tokens=count, repetition_penalty=penalty))


def _video_from(frames: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def _geometry(model: SpatialMLLM, golden: Arrays) -> dict[str, Any]:
    video = torch.from_numpy(golden["video_tchw"]) if "video_tchw" in golden else _video_from(golden["frames"])
    video = video.to(model.device, model.dtype)
    poses, depth, depth_confidence, points, confidence = model.network.vggt.predict(video)
    camera_from_world, intrinsics = decode_poses(poses[-1], *video.shape[-2:])
    ours = {
        "pose_enc": poses[-1],
        "extrinsic": camera_from_world,
        "intrinsic": intrinsics,
        "depth": depth,
        "depth_conf": depth_confidence,
        "world_points": points,
        "world_points_conf": confidence,
    }
    return {name: tensor[None] for name, tensor in ours.items()} | {"pose_enc_iterations": poses[:, None]}


def _preprocess(golden: Arrays, preprocessor: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    for name in golden:
        if name.endswith("_out_u8"):
            stem = name[: -len("_out_u8")]
            images = [golden[key] for key in sorted(golden) if key.startswith(f"{stem}_in")]
            ours[name] = geometry_frames(images, width=golden[name].shape[3]).transpose(0, 3, 1, 2)
    if "processor_frames" in golden:
        bounds = {key: int(preprocessor[key]) for key in ("min_pixels", "max_pixels")}
        ours["processor_pixel_values_videos"], grid = processor_patches(golden["processor_frames"], **bounds)
        ours["processor_video_grid_thw"] = np.array([grid])
    return ours


def _video_sizes(rows: Sequence[Mapping[str, Any]]) -> tuple[NDArray, NDArray]:
    """Sizes (height, width) that frames of a video file are resized to, for any number of frames: golden and ours."""
    least, most = _VIDEO_PIXELS
    golden = [size for row in rows for key, size in row.items() if key.startswith("mp4_")]
    ours = [
        frame_size(row["h"], row["w"], min_pixels=least, max_pixels=most)
        for row in rows
        for key in row
        if key.startswith("mp4_")
    ]
    return np.array(golden), np.array(ours)
