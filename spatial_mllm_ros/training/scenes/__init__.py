"""Generated rooms with named furniture, tours of a robot through them, and recordings of what its camera sees.

Takes seeds and sizes; gives rooms with their truth, poses, rendered views and ROS 2 bags. Rendering needs MuJoCo and
offscreen OpenGL; rooms and tours need numpy only.
"""

from spatial_mllm_ros.training.scenes.recording import record_bag, room_truth
from spatial_mllm_ros.training.scenes.renderer import RoomRenderer, View
from spatial_mllm_ros.training.scenes.room import Furniture, Room, make_room
from spatial_mllm_ros.training.scenes.tour import make_tour

__all__ = ["Furniture", "Room", "RoomRenderer", "View", "make_room", "make_tour", "record_bag", "room_truth"]
