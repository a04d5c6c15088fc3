import numpy as np
import pytest

from spatial_mllm_ros import frames
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.parameters import parameter_specs

IMAGE = np.zeros((4, 6, 3), np.uint8)


def test_a_frame_keeps_read_only_views_of_what_it_is_given():
    image, depth_m = IMAGE.copy(), np.ones((2, 3), np.float32)
    frame = Frame(image=image, stamp_ns=5, depth_m=depth_m, intrinsics=np.eye(3), world_from_camera=np.eye(4))
    assert np.shares_memory(frame.image, image) and np.shares_memory(frame.depth_m, depth_m)
    for array in (frame.image, frame.depth_m, frame.intrinsics, frame.world_from_camera):
        assert not array.flags.writeable
    assert image.flags.writeable


def test_a_frame_knows_its_size():
    frame = Frame(image=IMAGE, stamp_ns=0, depth_m=np.zeros((2, 3), np.float32))
    assert (frame.height, frame.width, frame.nbytes) == (4, 6, 72 + 24)


def test_a_frame_prints_in_one_line():
    frame = Frame(image=IMAGE, stamp_ns=7, camera="front", intrinsics=np.eye(3))
    assert repr(frame) == "Frame(6x4 of 'front' at 7 ns, with intrinsics)"
    assert repr(Frame(image=IMAGE, stamp_ns=7)) == "Frame(6x4 of 'camera' at 7 ns)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": IMAGE.astype(np.float32)}, r"image must be uint8 \[H,W,3\], not float32 \[4, 6, 3\]"),
        ({"image": IMAGE[..., 0]}, r"not uint8 \[4, 6\]"),
        ({"image": [[1]]}, "not 'list'"),
        ({"image": IMAGE[:0]}, "must not be empty"),
        ({"stamp_ns": 1.5}, "stamp_ns must be an int"),
        ({"depth_m": np.zeros((2, 2))}, r"depth_m must be float32 \[h,w\]"),
        ({"intrinsics": np.eye(4)}, r"intrinsics must be float64 \[3, 3\]"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "NaN"),
        ({"world_from_camera": np.eye(4) * 2}, "must be a rigid transform"),
        ({"world_from_camera": np.diag([1.0, 1.0, -1.0, 1.0])}, "must be a rigid transform"),
    ],
)
def test_what_is_no_frame_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Frame(**{"image": IMAGE, "stamp_ns": 0, **changes})


def test_the_parameters_of_the_stage_have_one_name_each():
    configs = [frames.AssemblerConfig, frames.BufferConfig, frames.DecodingConfig, frames.GateConfig]
    names = [spec.name for config in configs for spec in parameter_specs(config)]
    assert len(names) == len(set(names))


def test_the_face_of_the_stage_holds_all_that_it_lists():
    assert sorted(set(frames.__all__)) == sorted(frames.__all__, key=str)
    assert all(hasattr(frames, name) for name in frames.__all__)
