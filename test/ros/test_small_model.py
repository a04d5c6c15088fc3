"""The model that ships looks: it answers 40 fixed questions over the service, and better than about another room."""

import itertools

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.model.checkpoint import SMALL, find_checkpoint, open_checkpoint
from spatial_mllm_ros.model.loading import read_config
from spatial_mllm_ros.ros.exam import examine
from spatial_mllm_ros.training.examples import ExampleConfig, ExampleMaker

pytestmark = [pytest.mark.ros, pytest.mark.slow]

QUESTIONS, ROOMS = 40, 8
FLOOR = 0.60  # of the mean score; measured 0.690, and 0.358 when another room is seen


@pytest.fixture(scope="module")
def exam_paper():
    """Held-out rooms, and 40 questions about them: of each kind in turn, of each room alike."""
    kinds = read_config(open_checkpoint(find_checkpoint(SMALL))).scope.templates
    try:
        with ExampleMaker(ExampleConfig(split="heldout")) as maker:
            examples = [maker.make(seed) for seed in range(1000, 1000 + ROOMS)]
    except DependencyError as error:
        pytest.skip(str(error))
    asked = [[] for _ in examples]
    for kind in itertools.cycle(kinds):
        for group, example in zip(asked, examples):
            left = [q for q in example.questions if q.kind == kind and q not in group]
            group += left[:1] if sum(map(len, asked)) < QUESTIONS else []
        if sum(map(len, asked)) == QUESTIONS:
            return examples, asked


def test_forty_questions_are_answered_by_looking(exam_paper, tmp_path):
    worth, replies = examine(SMALL, *exam_paper, tmp_path, lambda: None)
    assert replies == {"OK": 2 * QUESTIONS}
    right, wrong = np.mean(worth["video"]), np.mean(worth["wrong video"])
    assert right >= FLOOR and right > wrong + 0.05, f"{right:.3f} from the right room, {wrong:.3f} from another"
