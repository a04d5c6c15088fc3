"""The mirrored room: what is true of a tour stays true of its mirror image."""

from __future__ import annotations

import dataclasses

import numpy as np
from support.made_up import made_up

from spatial_mllm_ros.training.examples import points_in_world
from spatial_mllm_ros.training.mirror import mirrored
from spatial_mllm_ros.training.scenes import Question


def test_points_are_those_of_the_room_with_left_and_right_changed():
    example = made_up(0)
    image = mirrored(example)
    points = points_in_world(example.depth_m.astype(np.float32), example.world_from_camera)
    reflected = points_in_world(image.depth_m.astype(np.float32), image.world_from_camera)
    np.testing.assert_allclose(reflected[:, :, ::-1], points * [1, -1, 1], atol=1e-4)
    assert np.allclose(np.linalg.det(image.world_from_camera), 1)


def test_a_mirror_of_a_mirror_shows_the_room_itself():
    example = made_up(1)
    twice = mirrored(mirrored(example))
    chosen = np.arange(2)
    np.testing.assert_array_equal(twice.images(chosen), example.images(chosen))
    np.testing.assert_array_equal(mirrored(example).images(chosen)[:, :, ::-1], example.images(chosen))
    np.testing.assert_allclose(twice.world_from_camera, example.world_from_camera)
    assert list(twice.questions) == list(example.questions)


def test_answers_change_sides_and_nothing_else():
    options = ("front-left", "back-left", "front-right", "back-right")
    side = Question(kind="object_rel_direction_hard", text="?", answer="B", options=options)
    number = Question(kind="object_counting", text="?", answer="2")
    example = dataclasses.replace(made_up(0), questions=[side, number])
    turned, kept = mirrored(example).questions
    assert turned.chosen == "back-right" and kept == number
