"""The same tour through the mirrored room: twice as many examples for nothing."""

from __future__ import annotations

import dataclasses

import numpy as np

from spatial_mllm_ros.training.examples import Example
from spatial_mllm_ros.training.scenes import Question

__all__ = ["mirrored"]

_WORLD = np.diag([1, -1, 1, 1]).astype(np.float32)  # left and right change places (REP 103: y to the left)
_CAMERA = np.diag([-1, 1, 1, 1]).astype(np.float32)  # optical axes: x to the right
_SWAPPED = {"left": "right", "front-left": "front-right", "back-left": "back-right"}
_SWAPPED.update({value: key for key, value in _SWAPPED.items()})


def mirrored(example: Example) -> Example:
    """Give an example as a mirror shows it: images, geometry, places and the answers to questions.

    The principal point lies in the middle, so the mirrored images are those of a camera of the same intrinsics.
    """
    return dataclasses.replace(
        example,
        is_mirrored=not example.is_mirrored,
        depth_m=example.depth_m[..., ::-1],
        furniture=example.furniture[..., ::-1],
        world_from_camera=_WORLD @ example.world_from_camera @ _CAMERA,
        centres=example.centres * np.array([1, -1, 1], np.float32),
        yaws=-example.yaws,
        questions=[_mirrored(question) for question in example.questions],
    )


def _mirrored(question: Question) -> Question:
    swapped = _SWAPPED.get(question.chosen)
    if swapped is None:
        return question
    return dataclasses.replace(question, answer="ABCD"[question.options.index(swapped)])
