"""Publish the space that the keyframes see, as a point cloud of voxel centres."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from spatial_mllm_ros.ros.conversions import point_cloud_from_centres
from spatial_mllm_ros.ros.qos import LATEST
from spatial_mllm_ros.sampling import Selection

__all__ = ["CoveragePublisher"]


class CoveragePublisher:
    """The topic `~/coverage`, until `close`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(PointCloud2, "~/coverage", LATEST)

    def publish(self, selection: Selection) -> None:
        """Publish the voxels that a set of keyframes sees; an empty cloud where there is no geometry."""
        stamp_ns = selection.frames[-1].stamp_ns
        cloud = point_cloud_from_centres(selection.voxel_centres, stamp_ns, selection.world_frame_id)
        self._publisher.publish(cloud)

    def close(self) -> None:
        """Stop publishing."""
        self._node.destroy_publisher(self._publisher)
