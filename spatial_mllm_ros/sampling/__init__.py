"""Choose the keyframes that see the most space.

Takes point maps (of a finished video, or one at a time beside their frames), gives the few frames to show to the
network. Knows neither where the maps come from nor what is done with the frames; keeps no clock and no threads.
"""

from spatial_mllm_ros.sampling.config import SelectorConfig
from spatial_mllm_ros.sampling.offline import Sampling, coverage_of, space_aware_sampling
from spatial_mllm_ros.sampling.picking import METHODS
from spatial_mllm_ros.sampling.selection import Selection
from spatial_mllm_ros.sampling.selector import KeyframeSelector
from spatial_mllm_ros.sampling.spacing import even_count, uniform_indices

__all__ = [
    "METHODS",
    "KeyframeSelector",
    "Sampling",
    "Selection",
    "SelectorConfig",
    "coverage_of",
    "even_count",
    "space_aware_sampling",
    "uniform_indices",
]
