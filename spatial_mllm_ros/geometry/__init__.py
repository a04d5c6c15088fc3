"""Where things are: a point map for each frame, in one world.

Takes `Frame`s with what the robot knows (depth, intrinsics, pose), or a function that runs VGGT; gives `PointMap`s on a
small working grid, in a common coordinate frame. Knows no network and no clock.
"""

from spatial_mllm_ros.geometry.alignment import Alignment, Sim3, align_cameras, align_points, umeyama
from spatial_mllm_ros.geometry.config import GeometryConfig
from spatial_mllm_ros.geometry.depth import DepthProvider, scale_intrinsics, unproject
from spatial_mllm_ros.geometry.point_map import PointMap
from spatial_mllm_ros.geometry.provider import DepthElseVggt, PointMapProvider, choose_provider
from spatial_mllm_ros.geometry.vggt import ChunkReport, VggtPrediction, VggtProvider

__all__ = [
    "Alignment",
    "ChunkReport",
    "DepthElseVggt",
    "DepthProvider",
    "GeometryConfig",
    "PointMap",
    "PointMapProvider",
    "Sim3",
    "VggtPrediction",
    "VggtProvider",
    "align_cameras",
    "align_points",
    "choose_provider",
    "scale_intrinsics",
    "umeyama",
    "unproject",
]
