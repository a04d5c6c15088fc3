"""Training examples of noise with true shapes, which need no renderer."""

import cv2
import numpy as np

from spatial_mllm_ros.training.examples import CATEGORIES, Example
from spatial_mllm_ros.training.scenes import Question


def made_up(seed=0, frames=20, keyframes=8):
    """Make an example: a sofa shows from the start, a chair in the second half."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    poses[:, :3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looking along x, z up
    poses[:, 0, 3] = np.linspace(0, 1, frames)
    furniture = np.full((frames, 21, 28), -1, np.int8)
    furniture[:, 5:15, 3:12], furniture[frames // 2 :, 8:16, 16:24] = 0, 1
    images = rng.integers(0, 255, (frames, 84, 112, 3), np.uint8)
    return Example(
        seed=seed,
        jpegs=[cv2.imencode(".jpg", image)[1].tobytes() for image in images],
        frames=np.arange(frames),
        uniform=np.arange(keyframes) * (frames // keyframes),
        space_aware=np.random.default_rng(1).permutation(frames)[:keyframes],
        run=np.arange(frames - keyframes, frames),
        depth_m=np.full((frames, 21, 28), 2.5, np.float16),
        furniture=furniture,
        world_from_camera=poses,
        categories=np.array([CATEGORIES.index("sofa"), CATEGORIES.index("chair")], np.int8),
        centres=np.array([[2.5, 0.5, 0.4], [2.5, -0.6, 0.3]], np.float32),
        sizes=np.array([[0.8, 1.6, 0.8], [0.5, 0.5, 0.9]], np.float32),
        yaws=np.array([3.1, 2.0], np.float32),
        area_m2=20.0,
        questions=[
            Question(kind="object_counting", text="How many chair(s) are in this room?", answer="1",
                     categories=("chair",)),
            Question(kind="room_size_estimation", text="What is the size of this room (in square meters)?",
                     answer="20.0"),
            Question(kind="object_rel_direction_easy", text="If I am standing by the sofa and facing the chair, "
                     "is the lamp to the left or the right of the chair?", answer="B", options=("left", "right"),
                     categories=("sofa", "chair", "lamp")),
        ],
    )  # fmt: skip
