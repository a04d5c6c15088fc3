"""How well a model answers: scores on generated rooms whose true answers are known, with intervals.

Takes a loaded model and examples; gives scores per kind of question and tables. Knows neither ROS nor the live path.
"""

from spatial_mllm_ros.evaluation.generated import (
    ARMS,
    Arm,
    Interval,
    Scores,
    debiased,
    draw_heldout,
    evaluate,
    evaluate_encoders,
)
from spatial_mllm_ros.evaluation.geometry import GeometryScore, score_geometry

__all__ = [
    "ARMS",
    "Arm",
    "GeometryScore",
    "Interval",
    "Scores",
    "debiased",
    "draw_heldout",
    "evaluate",
    "evaluate_encoders",
    "score_geometry",
]
