"""From keyframes to answers: a visual prefix kept ready in the background, and questions answered from it.

Takes `Frame`s and questions; gives `AnswerStream`s that always end in a status. Has threads and knows the monotonic
clock; knows neither ROS nor a terminal, nor the time of day.
"""

from spatial_mllm_ros.reasoning.answer import Answer, AnswerStatus
from spatial_mllm_ros.reasoning.config import ReasonerConfig
from spatial_mllm_ros.reasoning.prefix import VisualPrefix, build_prefix
from spatial_mllm_ros.reasoning.reasoner import Reasoner, ReasonerDiagnostics
from spatial_mllm_ros.reasoning.stream import AnswerStream

__all__ = [
    "Answer",
    "AnswerStatus",
    "AnswerStream",
    "Reasoner",
    "ReasonerConfig",
    "ReasonerDiagnostics",
    "VisualPrefix",
    "build_prefix",
]
