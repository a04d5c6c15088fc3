"""Cameras, depth and points from VGGT's heads, for frames of one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model.preprocessing import geometry_frames
from spatial_mllm_ros.model.vggt import Vggt, decode_poses

__all__ = ["GeometryPrediction", "predict_geometry"]

# Undoes the clockwise quarter turn of a portrait image: x right was y down, y down was x left.
_UPRIGHT_FROM_TURNED = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class GeometryPrediction:
    """What VGGT says about T frames, on its own grid of H x W pixels; float32 throughout.

    Attributes:
        points: [T,H,W,3] in the world, which is the first camera (as the network saw it).
        confidence: [T,H,W] of the points, at least 1.
        depth_m: [T,H,W] along the optical axis. VGGT has no scale: "metres" only up to a common factor.
        depth_confidence: [T,H,W], at least 1.
        camera_from_world: [T,3,4], axes x right, y down, z forward; translation in the same scale.
        intrinsics: [T,3,3], pixels of the grid.
    """

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    depth_confidence: NDArray[np.float32]
    camera_from_world: NDArray[np.float32]
    intrinsics: NDArray[np.float32]


@torch.no_grad()
def predict_geometry(
    vggt: Vggt,
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> GeometryPrediction:
    """Run VGGT on images of one scene and one size.

    Images are prepared as the official frame sampling does; what it turns upright for the network is turned back, so
    grids, cameras and intrinsics are those of the images as given.

    Args:
        images: uint8 RGB [T,H,W,3].

    Raises:
        InputError: if the heads are not loaded, there is no image, or sizes differ.
    """
    if not vggt.has_geometry:
        raise InputError("the geometry heads are not loaded; load the model with geometry=True")
    if len({image.shape for image in images}) != 1:
        raise InputError("geometry is predicted for images of one size, and at least one of them")
    frames = geometry_frames(list(images), width=vggt.config.image_size, patch_size=vggt.config.patch_size)
    video = torch.from_numpy(frames).permute(0, 3, 1, 2).to(device).float().div(255).to(dtype)
    poses, depth, depth_confidence, points, confidence = vggt.predict(video)
    camera_from_world, intrinsics = decode_poses(poses[-1], *frames.shape[1:3])
    maps = [t.cpu().numpy() for t in (points, confidence, depth[..., 0], depth_confidence)]
    cameras = [t.cpu().numpy() for t in (camera_from_world, intrinsics)]
    if images[0].shape[0] > images[0].shape[1]:
        maps = [np.ascontiguousarray(np.rot90(values, k=1, axes=(1, 2))) for values in maps]
        cameras = [_UPRIGHT_FROM_TURNED @ cameras[0], _turned_back(cameras[1])]
    return GeometryPrediction(
        points=maps[0],
        confidence=maps[1],
        depth_m=maps[2],
        depth_confidence=maps[3],
        camera_from_world=cameras[0],
        intrinsics=cameras[1],
    )


def _turned_back(intrinsics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Exchange the axes of intrinsics [T,3,3] whose principal point is the image's centre."""
    order = [1, 0, 2]
    return intrinsics[:, order][:, :, order]
