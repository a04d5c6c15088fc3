"""VGGT (Wang et al., CVPR 2025): the 3D spatial encoder, written anew after the published model.

Takes frames [T,3,H,W] in [0, 1] of one scene; gives tokens per frame, and cameras, depth and points where the heads
are loaded. Knows nothing of checkpoints, language or ROS. Everything is free of data-dependent control flow, so each
part can be exported for a fixed frame size.
"""

from spatial_mllm_ros.model.vggt.camera_head import decode_poses
from spatial_mllm_ros.model.vggt.config import VggtConfig
from spatial_mllm_ros.model.vggt.model import GEOMETRY_HEADS, HEADS, Vggt

__all__ = ["GEOMETRY_HEADS", "HEADS", "Vggt", "VggtConfig", "decode_poses"]
