"""Camera images: `Frame`."""

from spatial_mllm_ros.frames.frame import Frame

__all__ = ["Frame"]
