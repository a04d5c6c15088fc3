"""Where things are: `PointMap`."""

from spatial_mllm_ros.geometry.point_map import PointMap

__all__ = ["PointMap"]
