"""Dense targets lie in the first camera's frame, patch by patch."""

import numpy as np
import torch
from support.made_up import made_up

from spatial_mllm_ros.model.vggt.camera_head import rotation_from_quaternion
from spatial_mllm_ros.training.encoders import pose_errors
from spatial_mllm_ros.training.examples import CATEGORIES
from spatial_mllm_ros.training.targets import batch_of, draw_set


def test_points_and_poses_are_those_of_the_first_camera():
    example = made_up(0)
    chosen = np.array([0, 19])
    batch = batch_of([example], [chosen])
    assert batch.points.shape == (1, 2, 48, 4, 3) and batch.depth_m.shape == (1, 2, 48, 4)
    moved = torch.tensor([0, 0, 1.0])  # from 0 to 1 m along the view
    torch.testing.assert_close(batch.poses[0, 1, :3], -moved, atol=1e-3, rtol=0)
    torch.testing.assert_close(rotation_from_quaternion(batch.poses[..., 3:])[0, 1], torch.eye(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(batch.points[0, 1] - batch.points[0, 0], moved.expand(48, 4, 3), atol=1e-2, rtol=0)
    assert batch.points[0, 0, 0, 0, 0] < 0 and batch.points[0, 0, 0, 0, 1] < 0  # the first patch is left and up


def test_shares_name_what_shows_where():
    shares = batch_of([made_up(0)], [np.arange(2)]).shares[0, 0]  # [P/4,categories]
    sofa, chair = CATEGORIES.index("sofa"), CATEGORIES.index("chair")
    assert shares[0, sofa] == 1 and shares[:, chair].sum() == 0 and shares[3, sofa] == 0


def test_a_camera_that_is_predicted_right_has_no_error():
    poses = batch_of([made_up(0)], [np.array([0, 10, 19])]).poses
    cameras = torch.cat([poses, torch.ones(*poses.shape[:-1], 2)], dim=-1)
    errors = pose_errors(cameras, poses)
    assert errors["rotation_deg"].max() < 0.1 and errors["translation_m"].max() < 1e-4
    assert errors["still_translation_m"].max() > 0.9


def test_sets_have_the_size_asked_for_and_keep_the_order_of_time():
    rng = np.random.default_rng(0)
    for count in (2, 4, 8, 16):
        for _ in range(20):
            chosen = draw_set(made_up(0), count, rng)
            assert len(chosen) == count and (np.diff(chosen) >= 0).all()
