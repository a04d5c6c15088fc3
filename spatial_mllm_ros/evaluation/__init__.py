"""How well a model answers: scores on generated rooms whose true answers are known, with intervals.

Takes a loaded model and examples; gives scores per kind of question and tables. Knows neither ROS nor the live path.
"""

from spatial_mllm_ros.evaluation.generated import (
    ARMS,
    Arm,
    Interval,
    Looks,
    Scores,
    answered_kinds,
    debiased,
    draw_heldout,
    evaluate,
    evaluate_encoders,
    heldout_config,
)
from spatial_mllm_ros.evaluation.geometry import GeometryScore, score_geometry

__all__ = [
    "ARMS",
    "Arm",
    "GeometryScore",
    "Interval",
    "Looks",
    "Scores",
    "answered_kinds",
    "debiased",
    "draw_heldout",
    "evaluate",
    "evaluate_encoders",
    "heldout_config",
    "score_geometry",
]
