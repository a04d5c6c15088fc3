"""Camera images in, `Frame`s out: decoding, putting together, gating, buffering and reading recordings.

Takes the plain fields of camera messages, or a ROS 2 bag, a video or a folder of images. Gives `Frame`s: RGB with
stamp, and depth, intrinsics and pose where the robot has them. Everything live is bounded and counts what it drops.
Knows no ROS node, no clock and no torch; cv_bridge and rosbags are imported where they are used.
"""

from spatial_mllm_ros.frames.assembler import AssemblerConfig, FrameAssembler
from spatial_mllm_ros.frames.bag import BagReader
from spatial_mllm_ros.frames.bag_file import BagFile
from spatial_mllm_ros.frames.bridge import CvBridgeProbe, cv_bridge_probe
from spatial_mllm_ros.frames.buffer import BufferConfig, FrameBuffer
from spatial_mllm_ros.frames.compressed import decode_compressed, decode_compressed_depth
from spatial_mllm_ros.frames.decoding import (
    COLOUR_ENCODINGS,
    DEPTH_ENCODINGS,
    DecodingConfig,
    decode_depth,
    decode_image,
)
from spatial_mllm_ros.frames.folder import FolderReader
from spatial_mllm_ros.frames.frame import Frame
from spatial_mllm_ros.frames.gate import FrameGate, GateConfig
from spatial_mllm_ros.frames.reader import FrameReader, Span
from spatial_mllm_ros.frames.sources import open_source
from spatial_mllm_ros.frames.video import VideoReader

__all__ = [
    "COLOUR_ENCODINGS",
    "DEPTH_ENCODINGS",
    "AssemblerConfig",
    "BagFile",
    "BagReader",
    "BufferConfig",
    "CvBridgeProbe",
    "DecodingConfig",
    "FolderReader",
    "Frame",
    "FrameAssembler",
    "FrameBuffer",
    "FrameGate",
    "FrameReader",
    "GateConfig",
    "Span",
    "VideoReader",
    "cv_bridge_probe",
    "decode_compressed",
    "decode_compressed_depth",
    "decode_depth",
    "decode_image",
    "open_source",
]
