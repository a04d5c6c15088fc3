"""Generated rooms with named furniture, a robot's tours through them, what its camera sees, and questions about them.

Takes seeds and sizes; gives rooms with their truth, poses, rendered arrays, ROS 2 bags, and questions in the words of
VSI-Bench with true answers. The same seed gives the same room, tour and questions on every machine. Rendering needs
MuJoCo and OpenGL that works without a screen; rooms, tours and questions need numpy and OpenCV only.
"""

from spatial_mllm_ros.training.scenes.balance import equalised
from spatial_mllm_ros.training.scenes.furniture import CATALOGUE
from spatial_mllm_ros.training.scenes.layout import RoomConfig, make_room
from spatial_mllm_ros.training.scenes.question import KINDS, Question
from spatial_mllm_ros.training.scenes.questions import make_questions
from spatial_mllm_ros.training.scenes.recording import RecordingPlan, record_bag
from spatial_mllm_ros.training.scenes.renderer import RoomRenderer, View
from spatial_mllm_ros.training.scenes.rendering import RenderedTour, render_tour
from spatial_mllm_ros.training.scenes.room import Furniture, Room
from spatial_mllm_ros.training.scenes.scoring import mean_relative_accuracy, score
from spatial_mllm_ros.training.scenes.tour import Tour, TourConfig, make_tour
from spatial_mllm_ros.training.scenes.truth import questions_from_truth, room_truth, save_arrays

__all__ = [
    "CATALOGUE",
    "KINDS",
    "Furniture",
    "Question",
    "RecordingPlan",
    "RenderedTour",
    "Room",
    "RoomConfig",
    "RoomRenderer",
    "Tour",
    "TourConfig",
    "View",
    "equalised",
    "make_questions",
    "make_room",
    "make_tour",
    "mean_relative_accuracy",
    "record_bag",
    "render_tour",
    "questions_from_truth",
    "room_truth",
    "save_arrays",
    "score",
]
