import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames import AssemblerConfig, FrameAssembler
from spatial_mllm_ros.frames.poses import BODY_FROM_OPTICAL

MS = 1_000_000
IMAGE = np.zeros((6, 8, 3), np.uint8)
DEPTH = np.ones((3, 4), np.float32)
K = (10.0, 0.0, 4.0, 0.0, 10.0, 3.0, 0.0, 0.0, 1.0)
STILL = (0.0, 0.0, 0.0, 1.0)
HALF = np.sqrt(0.5)
EXACT = {"rtol": 0, "atol": 1e-9}


def add_image(assembler: FrameAssembler, time_ms: float, frame_id: str = "optical"):
    return assembler.add_image(IMAGE, stamp_ns=round(time_ms * MS), camera="/camera/image", frame_id=frame_id)


def add_depth(assembler: FrameAssembler, time_ms: float, depth_m: np.ndarray = DEPTH, frame_id: str = "optical"):
    return assembler.add_depth(depth_m, stamp_ns=round(time_ms * MS), frame_id=frame_id)


def add_pose(
    assembler: FrameAssembler, time_ms: float, x: float = 0.0, quaternion=STILL, frame_id="odom", child="optical"
):
    return assembler.add_pose(
        (x, 0.0, 0.0), quaternion, stamp_ns=round(time_ms * MS), frame_id=frame_id, child_frame_id=child
    )


def times_ms(frames) -> list[float]:
    return [frame.stamp_ns / MS for frame in frames]


def test_an_image_alone_is_released_at_once():
    assembler = FrameAssembler()
    (frame,) = add_image(assembler, 5)
    assert (frame.stamp_ns, frame.camera, frame.frame_id) == (5 * MS, "/camera/image", "optical")
    assert frame.depth_m is None and frame.intrinsics is None and frame.world_from_camera is None
    assert assembler.counts == {"frames": 1}


def test_an_image_waits_for_depth_that_is_on_its_way():
    assembler = FrameAssembler()
    add_depth(assembler, 0)
    assert add_image(assembler, 33) == []
    (frame,) = add_depth(assembler, 33, DEPTH * 7)
    assert frame.stamp_ns == 33 * MS and frame.depth_m[0, 0] == 7
    assert assembler.counts == {"frames": 1, "with_depth": 1}


def test_the_first_image_waits_for_streams_that_are_expected():
    assembler = FrameAssembler(expected=("depth", "pose"))
    assert add_image(assembler, 0) == [] and add_depth(assembler, 0) == []
    (frame,) = add_pose(assembler, 0)
    assert frame.depth_m is not None and frame.world_from_camera is not None


def test_an_expected_stream_that_never_comes_is_given_up_and_reported(caplog):
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=0.1), expected=("depth",))
    released = [times_ms(add_image(assembler, time)) for time in (0, 50, 150, 1100, 1200)]
    assert released == [[], [], [0], [50, 150, 1100], [1200]]
    assert assembler.counts == {"frames": 5, "depth_missing": 5} and "no depth has come" in caplog.text


def test_depth_that_came_before_its_image_is_not_waited_for():
    assembler = FrameAssembler()
    add_depth(assembler, 33)
    (frame,) = add_image(assembler, 33)
    assert frame.depth_m is not None


def test_the_nearest_depth_within_the_tolerance_is_taken():
    assembler = FrameAssembler(AssemblerConfig(depth_tolerance_s=0.02))
    add_depth(assembler, 0, DEPTH * 1)
    add_image(assembler, 18)
    (frame,) = add_depth(assembler, 30, DEPTH * 2)
    assert frame.depth_m[0, 0] == 2


def test_depth_out_of_tolerance_is_missing_and_reported_with_its_distance(caplog):
    assembler = FrameAssembler(AssemblerConfig(depth_tolerance_s=0.02))
    add_depth(assembler, 0)
    add_image(assembler, 50)
    (frame,) = add_depth(assembler, 100)
    assert frame.depth_m is None
    assert assembler.counts == {"frames": 1, "depth_missing": 1}
    assert "-0.050 s away" in caplog.text


def test_no_image_waits_longer_than_the_largest_delay():
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=0.1))
    add_depth(assembler, 0)
    assert [times_ms(add_image(assembler, time)) for time in (40, 90, 140, 190)] == [[], [], [], [40]]


def test_a_stream_that_fell_silent_is_not_waited_for():
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=10.0))
    add_depth(assembler, 0)
    assert add_image(assembler, 900) == []
    assert times_ms(add_image(assembler, 1100)) == []  # behind the first, which still waits
    assert times_ms(assembler.flush()) == [900, 1100]
    assert times_ms(add_image(assembler, 1200)) == [1200]


def test_images_come_out_in_the_order_of_their_stamps():
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=1.0))
    add_pose(assembler, 0)
    for time in (30, 10, 20):
        assert add_image(assembler, time) == []
    assert times_ms(add_pose(assembler, 25)) == [10, 20]
    assert times_ms(assembler.flush()) == [30]


def test_the_pose_between_two_measurements_is_interpolated():
    assembler = FrameAssembler()
    add_pose(assembler, 0, x=0.0)
    assert add_image(assembler, 5) == []
    (frame,) = add_pose(assembler, 20, x=4.0, quaternion=(0, 0, HALF, HALF))
    angle = np.pi / 8  # a quarter of a quarter turn
    expected = [
        [np.cos(angle), -np.sin(angle), 0, 1.0],
        [np.sin(angle), np.cos(angle), 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(frame.world_from_camera, expected, **EXACT)
    assert frame.world_frame_id == "odom"
    assert assembler.counts == {"frames": 1, "with_pose": 1}


@given(
    stamps_ms=st.lists(st.integers(0, 1000), min_size=2, max_size=20, unique=True),
    image_ms=st.integers(0, 1000), max_gap_ms=st.integers(1, 400),
)  # fmt: skip
def test_an_interpolated_position_lies_on_the_line_and_a_single_one_within_its_tolerance(
    stamps_ms, image_ms, max_gap_ms
):
    config = AssemblerConfig(pose_max_gap_s=max_gap_ms / 1000, pose_tolerance_s=0.02, max_delay_s=10.0)
    assembler = FrameAssembler(config)
    for stamp in sorted(stamps_ms):
        add_pose(assembler, stamp, x=stamp)  # the camera moves 1 m in 1 ms
    frames = add_image(assembler, image_ms) or assembler.flush()
    pose = frames[0].world_from_camera
    before = max((stamp for stamp in stamps_ms if stamp <= image_ms), default=None)
    after = min((stamp for stamp in stamps_ms if stamp >= image_ms), default=None)
    nearest_ms = min(abs(stamp - image_ms) for stamp in stamps_ms)
    if before is not None and after is not None and after - before <= max_gap_ms:
        assert pose[0, 3] == pytest.approx(image_ms, abs=1e-6)
    elif nearest_ms <= 20:
        assert abs(pose[0, 3] - image_ms) == pytest.approx(nearest_ms, abs=1e-6)
    else:
        assert pose is None and assembler.counts["pose_missing"] == 1


def test_poses_of_different_frames_are_not_mixed():
    assembler = FrameAssembler()
    add_pose(assembler, 0, x=0.0, frame_id="odom")
    add_image(assembler, 5)
    (frame,) = add_pose(assembler, 20, x=4.0, frame_id="map")
    assert frame.world_frame_id == "odom" and frame.world_from_camera[0, 3] == 0.0


def test_a_nameless_pose_is_that_of_the_camera():
    assembler = FrameAssembler()
    add_pose(assembler, 10, x=3.0, child="")
    (frame,) = add_image(assembler, 10)
    np.testing.assert_allclose(frame.world_from_camera[:, 3], (3, 0, 0, 1), **EXACT)
    np.testing.assert_allclose(frame.world_from_camera[:3, :3], np.eye(3), **EXACT)


def test_the_camera_mount_stands_between_the_robot_and_the_camera():
    assembler = FrameAssembler(AssemblerConfig(camera_mount="1 0 0.5 0 0 0"))
    add_pose(assembler, 10, x=3.0, quaternion=(0, 0, HALF, HALF), child="base_link")
    (frame,) = add_image(assembler, 10)
    np.testing.assert_allclose(frame.world_from_camera[:3, 3], (3, 1, 0.5), **EXACT)  # the robot looks along y
    np.testing.assert_allclose(frame.world_from_camera[:3, 2], (0, 1, 0), **EXACT)  # and so does the optical axis


def test_a_pose_of_the_optical_frame_needs_no_mount():
    assembler = FrameAssembler(AssemblerConfig(camera_mount="1 0 0.5 0 0 0"))
    add_pose(assembler, 10, x=3.0, child="optical")
    (frame,) = add_image(assembler, 10)
    np.testing.assert_allclose(frame.world_from_camera[:, 3], (3, 0, 0, 1), **EXACT)


def test_without_a_mount_parameter_the_lookup_is_asked():
    asked = []

    def lookup(child_frame_id, camera_frame_id):
        asked.append((child_frame_id, camera_frame_id))
        return BODY_FROM_OPTICAL if child_frame_id == "base_link" else None

    assembler = FrameAssembler(mount_lookup=lookup)
    add_pose(assembler, 10, child="base_link")
    (frame,) = add_image(assembler, 10)
    np.testing.assert_allclose(frame.world_from_camera, BODY_FROM_OPTICAL, **EXACT)
    add_pose(assembler, 20, child="gripper")
    assert add_image(assembler, 20)[0].world_from_camera is None
    assert asked == [("base_link", "optical"), ("gripper", "optical")]


def test_an_unknown_mount_is_reported_with_what_to_do(caplog):
    assembler = FrameAssembler()
    add_pose(assembler, 10, child="base_link")
    (frame,) = add_image(assembler, 10)
    assert frame.world_from_camera is None and frame.world_frame_id == ""
    assert assembler.counts == {"frames": 1, "mount_unknown": 1}
    assert "poses are of 'base_link' but the image is in 'optical'; set frames.camera_mount" in caplog.text


def test_intrinsics_are_scaled_to_the_image():
    assembler = FrameAssembler()
    assembler.add_intrinsics(K, width=16, height=12, frame_id="optical")
    (frame,) = add_image(assembler, 0)
    assert frame.intrinsics[0].tolist() == [5.0, 0.0, 1.75]
    assert assembler.counts == {"frames": 1, "with_intrinsics": 1}


def test_an_uncalibrated_camera_is_counted_and_said_once(caplog):
    assembler = FrameAssembler()
    for _ in range(3):
        assembler.add_intrinsics((0.0,) * 9, width=8, height=6, frame_id="optical")
    assert assembler.counts == {"intrinsics_invalid": 3}
    assert len(caplog.records) == 1 and "is the camera calibrated?" in caplog.text


def test_depth_of_another_frame_is_used_but_reported(caplog):
    assembler = FrameAssembler()
    add_depth(assembler, 0, frame_id="depth_optical")
    (frame,) = add_image(assembler, 0)
    assert frame.depth_m is not None
    assert assembler.counts["depth_other_frame"] == 1 and "'depth_optical'" in caplog.text


def test_depth_of_another_aspect_ratio_is_not_used():
    assembler = FrameAssembler()
    add_depth(assembler, 0, np.ones((4, 4), np.float32))
    (frame,) = add_image(assembler, 0)
    assert frame.depth_m is None and assembler.counts["depth_other_view"] == 1


@pytest.mark.parametrize("add", [add_image, add_depth, add_pose])
def test_a_jump_back_of_any_stream_forgets_what_was_before(add):
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=10.0))
    add_image(assembler, 60_000)
    add_depth(assembler, 59_900)
    add_pose(assembler, 59_900)
    assert add_image(assembler, 60_100) == []
    add(assembler, 1_000)
    assert assembler.counts["time_jump"] == 1 and assembler.counts["cleared"] == 1
    remaining = assembler.flush()
    assert times_ms(remaining) == ([1_000] if add is add_image else [])
    assert all(frame.depth_m is None and frame.world_from_camera is None for frame in remaining)


def test_after_a_jump_the_streams_that_were_there_are_waited_for():
    assembler = FrameAssembler(AssemblerConfig(max_delay_s=0.1))
    add_depth(assembler, 60_000)
    add_image(assembler, 60_000)
    assert add_image(assembler, 1_000) == []
    assert times_ms(add_depth(assembler, 1_000)) == [1_000]
    assert add_image(assembler, 1_030) == [] and times_ms(add_image(assembler, 1_140)) == [1_030]


def test_a_late_message_is_no_jump():
    assembler = FrameAssembler()
    add_pose(assembler, 1000)
    add_pose(assembler, 500)
    assert assembler.counts == {}


def test_what_waits_is_bounded_by_number():
    assembler = FrameAssembler(AssemblerConfig(max_waiting=3, max_delay_s=10.0))
    add_depth(assembler, 0)
    released = [times_ms(add_image(assembler, time)) for time in (1, 2, 3, 4, 5)]
    assert released == [[], [], [], [1], [2]]


def test_what_waits_is_bounded_by_bytes():
    assembler = FrameAssembler(AssemblerConfig(max_waiting=100, max_waiting_bytes=2**20, max_delay_s=10.0))
    add_depth(assembler, 0, np.ones((512, 512), np.float32))
    large = np.zeros((400, 400, 3), np.uint8)  # two of them fit
    released = [len(assembler.add_image(large, stamp_ns=time * MS)) for time in (1, 2, 3, 4)]
    assert released == [0, 0, 1, 1]
    for time in range(10, 60, 10):
        add_depth(assembler, time, np.ones((512, 512), np.float32))
    assert assembler._depths.nbytes <= 2**20


def test_clocks_that_differ_are_reported_and_do_not_hold_up_images(caplog):
    assembler = FrameAssembler()
    add_pose(assembler, 1_700_000_000_000)  # wall time, while the camera has simulated time
    (frame,) = add_image(assembler, 5_000)
    assert frame.world_from_camera is None
    assert "use_sim_time" in caplog.text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.add_image(IMAGE.astype(np.float32), stamp_ns=0), "uint8"),
        (lambda a: a.add_depth(DEPTH.astype(np.float64), stamp_ns=0), r"float32 \[h,w\], not float64"),
        (lambda a: a.add_depth(DEPTH[..., None], stamp_ns=0), r"float32 \[h,w\]"),
    ],
)
def test_malformed_arrays_are_the_callers_error(call, message):
    assembler = FrameAssembler()
    with pytest.raises(InputError, match=message):
        call(assembler)
    assert assembler.flush() == []


def test_an_invalid_pose_is_counted_and_dropped(caplog):
    assembler = FrameAssembler()
    assert add_pose(assembler, 0, quaternion=(0, 0, 0, 0)) == []
    assert assembler.counts == {"pose_invalid": 1} and "of length 0" in caplog.text


def test_a_wrong_mount_is_refused_when_the_config_is_made():
    with pytest.raises(InputError, match="camera_mount must be six numbers"):
        AssemblerConfig(camera_mount="1 2 3")


@given(
    events=st.lists(st.tuples(st.sampled_from(["image", "depth", "pose"]), st.integers(0, 3000)), max_size=60),
    max_waiting=st.integers(1, 5),
)
def test_every_image_comes_out_once_or_is_cleared_and_no_more_wait_than_allowed(events, max_waiting):
    assembler = FrameAssembler(AssemblerConfig(max_waiting=max_waiting))
    add = {"image": add_image, "depth": add_depth, "pose": add_pose}
    released = []
    for stream, time in events:
        released += add[stream](assembler, time)
        assert len(assembler._waiting) <= max_waiting
    released += assembler.flush()
    images = sum(stream == "image" for stream, _ in events)
    assert len(released) == assembler.counts["frames"] == images - assembler.counts["cleared"]


def test_topics_may_arrive_from_different_threads():
    assembler = FrameAssembler(AssemblerConfig(max_waiting=1000))
    released = []

    def feed(add):
        for time in range(0, 3000, 10):
            released.extend(add(assembler, time))

    threads = [threading.Thread(target=feed, args=(add,)) for add in (add_image, add_depth, add_pose)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    released += assembler.flush()
    assert len(released) + assembler.counts["cleared"] == 300


def test_an_image_may_have_depth_that_is_here_or_still_to_come():
    assembler = FrameAssembler()
    assert not assembler.may_have_depth(0)  # nothing says that there is a depth camera
    for time_ms in (0, 200):
        add_depth(assembler, time_ms)
    known = {-30: False, 15: True, 33: False, 185: True, 233: True, 1200: True, 1201: False}
    assert {time_ms: assembler.may_have_depth(time_ms * MS) for time_ms in known} == known
    assembler.clear()
    assert assembler.may_have_depth(0) and FrameAssembler(expected=("depth",)).may_have_depth(0)
