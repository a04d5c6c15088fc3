"""VGGT as Spatial-MLLM carries it: the aggregator, and the heads that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from spatial_mllm_ros.model.vggt.aggregator import Aggregator
from spatial_mllm_ros.model.vggt.camera_head import CameraHead
from spatial_mllm_ros.model.vggt.config import VggtConfig
from spatial_mllm_ros.model.vggt.dpt_head import DptHead, depth_from_log, points_from_log
from spatial_mllm_ros.model.vggt.track_head import TrackHead

__all__ = ["GEOMETRY_HEADS", "HEADS", "Vggt"]

GEOMETRY_HEADS = ("camera_head", "depth_head", "point_head")
HEADS = (*GEOMETRY_HEADS, "track_head")


class Vggt(nn.Module):
    """Aggregator and heads; `heads` names those to build."""

    def __init__(self, config: VggtConfig, heads: Sequence[str] = ()) -> None:
        super().__init__()
        self.config = config
        self.aggregator = Aggregator(config)
        if "camera_head" in heads:
            self.camera_head = CameraHead(config)
        if "point_head" in heads:
            self.point_head = DptHead(config, 3, points_from_log)
        if "depth_head" in heads:
            self.depth_head = DptHead(config, 1, depth_from_log)
        if "track_head" in heads:
            self.track_head = TrackHead(config)

    @property
    def has_geometry(self) -> bool:
        """True if cameras, depth and points can be predicted."""
        return all(hasattr(self, head) for head in GEOMETRY_HEADS)

    def predict(self, video: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Predict cameras, depth and points of frames [T,3,H,W] in [0, 1].

        The heads run in float32, whatever the aggregator runs in, as the original does.

        Returns:
            poses [4,T,9] (see `CameraHead`), depth [T,H,W,1], its confidence [T,H,W], points [T,H,W,3] in the first
            camera's frame, and their confidence [T,H,W]; all float32, in the network's own scale.
        """
        height, width = video.shape[-2:]
        *layers, last = (out.float() for out in self.aggregator(video, (*self.config.dpt_layers, -1)))
        depth, depth_confidence = self.depth_head(layers, height, width)
        points, confidence = self.point_head(layers, height, width)
        return self.camera_head(last), depth, depth_confidence, points, confidence
