"""The network: Spatial-MLLM's two encoders, connector and language model, and what lies between files, images and text.

Takes a checkpoint in the official v1.1 layout, RGB frames and questions; gives the forward in parts (`encode_2d`,
`encode_spatial`, `fuse`, `prefill`, `generate`), each usable alone. It does not know how keyframes are chosen, what
runs an encoder instead of torch (`runtime/`), when a prefix is rebuilt or who asks (`reasoning/`), or ROS.
"""

from spatial_mllm_ros.model.config import ModelConfig
from spatial_mllm_ros.model.geometry import GeometryPrediction
from spatial_mllm_ros.model.loading import ENCODERS, load_spatial_mllm
from spatial_mllm_ros.model.positions import mrope_positions
from spatial_mllm_ros.model.prefill import Prefill
from spatial_mllm_ros.model.preprocessing import VisualInputs
from spatial_mllm_ros.model.prompt import ChatPrompt
from spatial_mllm_ros.model.spatial_mllm import SpatialMLLM
from spatial_mllm_ros.model.text_stream import TokenTextStream
from spatial_mllm_ros.model.tokenizer import Tokenizer
from spatial_mllm_ros.model.vggt import VggtConfig

__all__ = [
    "ENCODERS",
    "ChatPrompt",
    "GeometryPrediction",
    "ModelConfig",
    "Prefill",
    "SpatialMLLM",
    "TokenTextStream",
    "Tokenizer",
    "VggtConfig",
    "VisualInputs",
    "load_spatial_mllm",
    "mrope_positions",
]
