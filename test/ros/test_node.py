"""The node, with a double of the model: lifecycle, camera, questions, and what goes wrong with each."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

import cv2
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from spatial_mllm_ros.action import AskSpatial
from spatial_mllm_ros.msg import Keyframes, SpatialAnswer
from std_srvs.srv import Trigger
from support.running_node import RunningNode, image_msg, until

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.ros.camera_counts import images_received
from spatial_mllm_ros.ros.process import _spin

pytestmark = pytest.mark.ros
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def run():
    running = []

    def start(**options):
        running.append(RunningNode(**options))
        return running[-1]

    yield start
    for node in running:
        node.close()


# Lifecycle


def entities(node):
    """How many of each thing a node has; what a transition makes shows here."""
    kinds = ("publishers", "subscriptions", "services", "clients", "timers", "waitables", "guards")
    return {kind: len(list(getattr(node, kind))) for kind in kinds}


def our_threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("spatial_mllm "))


def test_a_round_trip_through_the_lifecycle_frees_what_it_made_and_can_be_made_again(run):
    running = run(autostart=False)
    node, unconfigured = running.node, entities(running.node)
    for _ in range(2):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        until(lambda: not node.is_loading, "a model")
        inactive, threads = entities(node), our_threads()
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        camera = running.make_ready()
        assert running.answer("what is here?").status == SpatialAnswer.OK
        running.peer.destroy_publisher(camera)
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert (entities(node), our_threads()) == (inactive, threads)
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert (entities(node), our_threads()) == (unconfigured, [])


def test_diagnostics_tell_the_state(run):
    running = run(autostart=False)
    for transition, state in (
        (None, "unconfigured"),
        (running.node.trigger_configure, "inactive"),
        (running.node.trigger_activate, "active"),
        (running.node.trigger_deactivate, "inactive"),
        (running.node.trigger_shutdown, "finalized"),
    ):
        if transition is not None:
            transition()
        until(lambda state=state: running.message("node") == state, f"the state {state}")


def test_a_missing_checkpoint_fails_the_transition_and_leaves_the_node_unconfigured(run, tmp_path):
    running = run(autostart=False, model__checkpoint=str(tmp_path / "nothing"))
    before = entities(running.node)
    assert running.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert entities(running.node) == before
    assert running.answer("what is here?").status == SpatialAnswer.NOT_READY


def test_a_fault_in_a_transition_leaves_the_node_unconfigured(run, monkeypatch):
    running = run(autostart=False)
    before = entities(running.node)
    monkeypatch.setattr("spatial_mllm_ros.ros.node.CameraInput", None)
    assert running.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert running.node.trigger_activate() == TransitionCallbackReturn.ERROR
    assert entities(running.node) == before
    until(lambda: running.message("node") == "unconfigured", "the state unconfigured")


def test_a_question_before_activation_is_not_ready(run):
    running = run(autostart=False)
    answer = running.answer("what is here?", query_id="first")
    assert (answer.status, answer.query_id, answer.question) == (SpatialAnswer.NOT_READY, "first", "what is here?")
    assert "not active" in answer.message


def test_a_question_while_the_model_is_loading_is_not_ready(run):
    may_load = threading.Event()
    running = run(load=lambda _: may_load.wait() and None)
    answer = running.answer("what is here?")
    may_load.set()
    assert answer.status == SpatialAnswer.NOT_READY and "still being loaded" in answer.message


def test_a_model_that_cannot_be_loaded_is_said_in_answers_and_diagnostics(run):
    def load(_):
        raise CheckpointError("shard 2 is damaged; fetch it again")

    running = run(load=load)
    until(lambda: running.node._pipeline.problem, "a problem")
    answer = running.answer("what is here?")
    assert answer.status == SpatialAnswer.INTERNAL_ERROR and "shard 2 is damaged" in answer.message
    until(lambda: "shard 2 is damaged" in running.message("model"), "the reason")


@pytest.mark.parametrize(("pose", "provider"), [("odometry", "depth"), ("pose", "depth"), ("", "auto")])
def test_auto_geometry_is_depth_if_all_that_it_needs_is_published_already(run, pose, provider):
    loaded = []
    running = run(load=lambda config: loaded.append(config), autostart=False, geometry__provider="auto")
    kinds = {"depth": Image, "camera_info": CameraInfo, "odometry": Odometry, "pose": PoseStamped}
    for name in ("depth", "camera_info", *([pose] if pose else ())):
        running.peer.create_publisher(kinds[name], f"/spatial_mllm/{name}", 10)
    running.node.start()  # at once: the node has not yet found the publishers
    assert until(lambda: loaded, "loading")[0].geometry.provider == provider


def test_a_wrong_override_names_the_parameter():
    with pytest.raises(InputError, match="sampling.num_keyframes"):
        RunningNode(sampling__num_keyframes=3)
    assert logging.getLogger("spatial_mllm_ros").propagate  # as before


# Camera


def test_camera_images_become_keyframes_and_an_answer_with_their_stamps(run):
    running = run()
    keyframes, answers = [], []
    running.peer.create_subscription(SpatialAnswer, "/spatial_mllm/answer", answers.append, 10)
    camera = running.make_ready()
    answer = running.answer("what is here?")
    assert answer.status == SpatialAnswer.OK and answer.answer.endswith("|what is here?") and answer.meaningful
    stamps = [stamp.sec + stamp.nanosec / 1e9 for stamp in answer.keyframe_stamps]
    assert len(stamps) == 2 and 100 <= stamps[0] < stamps[1]
    assert answer.model == "fake" and answer.keyframe_age > 0
    assert until(lambda: answers, "the answer on its topic")[0].answer == answer.answer
    running.peer.create_subscription(Keyframes, "/spatial_mllm/keyframes", keyframes.append, LATCHED)
    assert until(lambda: keyframes, "keyframes for a late subscriber")[0].method == "uniform"
    assert camera.get_subscription_count() == 1


def test_depth_and_odometry_give_coverage_and_a_point_cloud(run):
    running = run(sampling__voxel_size_m=0.2, geometry__provider="depth")
    clouds, keyframes = [], []
    running.peer.create_subscription(PointCloud2, "/spatial_mllm/coverage", clouds.append, LATCHED)
    running.peer.create_subscription(Keyframes, "/spatial_mllm/keyframes", keyframes.append, LATCHED)
    colour, depth = running.camera(), running.camera("/spatial_mllm/depth")
    odometry = running.camera("/spatial_mllm/odometry", kind=Odometry)
    info = running.camera("/spatial_mllm/camera_info", kind=CameraInfo)
    stamps = iter(range(1000))

    def publish_and_look():
        stamp_s = 100 + 0.1 * next(stamps)
        info.publish(_camera_info())
        colour.publish(image_msg(stamp_s))
        far = np.full((24, 32), 2000, np.uint16).tobytes()
        depth_msg = image_msg(stamp_s, encoding="16UC1", data=far)
        depth_msg.step = 64
        depth.publish(depth_msg)
        pose = Odometry(child_frame_id="camera")
        pose.header.frame_id, pose.header.stamp = "odom", depth_msg.header.stamp
        pose.pose.pose.position.x = stamp_s - 100
        odometry.publish(pose)
        return clouds and clouds[-1].width and keyframes and keyframes[-1].method == "space-aware"

    until(publish_and_look, "a cloud of voxels")
    cloud = clouds[-1]
    points = np.frombuffer(cloud.data, np.float32).reshape(-1, 3)
    assert cloud.header.frame_id == "odom" and len(points) == cloud.width
    np.testing.assert_allclose(points[:, 2], 2.1, atol=0.11)  # the wall is 2 m away: the voxel from 2.0 to 2.2
    assert keyframes[-1].header.frame_id == "odom" and 0 < keyframes[-1].coverage <= 1


def test_a_compressed_topic_follows_the_remapping_of_the_raw_one(run):
    running = run(image_transport="compressed", remap=["~/image:=/front/image_raw"])
    camera = running.camera("/front/image_raw/compressed", kind=CompressedImage)
    stamps = iter(range(1000))

    def publish_and_look():
        encoded = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()
        msg = CompressedImage(header=image_msg(100 + 0.1 * next(stamps)).header, format="jpeg", data=encoded)
        camera.publish(msg)
        return running.reasoning().is_ready

    until(publish_and_look, "keyframes")


def test_a_bad_image_is_dropped_counted_and_reported_and_the_next_good_one_used(run):
    running = run()
    camera = running.camera()
    running.feed(camera, lambda: "expected" in running.message("camera"), "a report", data=b"too short")
    values = running.values("camera")
    assert int(values["images_unusable"]) > 0 and "images cannot be used" in running.message("camera")
    running.feed(camera, lambda: running.message("camera").startswith("images are"), "a good end", first_s=200.0)
    running.make_ready(camera)


def test_every_image_that_arrives_is_counted_even_if_the_gate_refuses_it(run):
    running = run(frames__max_rate_hz=1.0)
    camera = running.camera()
    for number in range(30):
        camera.publish(image_msg(100 + number / 30))
        until(lambda n=number: _count(running) > n, "the image")
    until(lambda: running.values("camera").get("images_received") == "30", "thirty images in diagnostics")
    assert int(running.values("camera")["images_too_soon"]) > 20


def test_a_publisher_whose_quality_of_service_does_not_fit_is_named(run, caplog):
    topic = "/front/image_raw"
    override = {f"qos_overrides.{topic}.subscription.reliability": "reliable"}
    running = run(remap=[f"~/image:={topic}"], **override)
    running.peer.create_publisher(Image, topic, BEST_EFFORT)
    until(lambda: "does not fit" in running.message("camera"), "a report")
    for word in ("/peer", topic, "best effort publisher and reliable subscription", "qos_overrides"):
        assert word in running.message("camera")


def test_an_override_of_one_subscription_leaves_the_others_alone(run):
    running = run(**{"qos_overrides./spatial_mllm/image.subscription.depth": 3})
    depths = {s.topic_name.rpartition("/")[2]: s.qos_profile.depth for s in running.node._camera._subscriptions}
    assert depths["image"] == 3 and depths["depth"] == depths["camera_info"] == 30


def test_a_silent_camera_is_explained_with_the_topics_that_have_images(run):
    running = run(camera_timeout_s=0.1)
    until(lambda: "nobody publishes on it" in running.message("camera"), "a report")
    assert "no image on /spatial_mllm/image yet" in running.message("camera")
    running.peer.create_publisher(CompressedImage, "/front/image_raw/compressed", 10)
    until(lambda: "/front/image_raw/compressed (CompressedImage)" in running.message("camera"), "a hint")
    assert "is ~/image remapped, and image_transport right?" in running.message("camera")


def test_a_camera_that_stops_is_reported_and_welcomed_back(run):
    running = run(camera_timeout_s=0.3)
    camera = running.make_ready()
    until(lambda: running.message("camera").startswith("no image on /spatial_mllm/image for"), "a report")
    assert "/peer (reliable, volatile)" in running.message("camera")
    running.feed(camera, lambda: running.message("camera").startswith("images are"), "a good end", first_s=200.0)


def test_stamps_of_another_clock_are_reported(run):
    running = run()
    camera = running.camera()
    running.feed(camera, lambda: "set use_sim_time" in running.message("camera"), "a report")


# Time


def test_stamps_that_go_back_clear_the_window(run):
    running = run(sampling__num_keyframes=16)
    camera = running.camera()
    running.feed(camera, lambda: running.reasoning().window_frames >= 8, "a window", first_s=200.0)
    camera.publish(image_msg(100.0))
    camera.publish(image_msg(100.1))
    until(lambda: running.reasoning().window_frames == 2, "a new window")
    stamps = running.node._pipeline.reasoner.keyframes.frames
    assert [frame.stamp_ns for frame in stamps] == [100_000_000_000, 100_100_000_000]


def test_a_clock_that_goes_back_clears_the_window(run):
    running = run(use_sim_time=True)
    clock = running.camera("/clock", kind=Clock)
    publish_clock(running, clock, 200)
    running.make_ready()
    publish_clock(running, clock, 100)
    until(lambda: not running.reasoning().is_ready, "a new beginning")


def test_a_missing_clock_is_reported(run):
    running = run(use_sim_time=True)
    until(lambda: "nothing is published on /clock" in running.message("node"), "a report")


def test_reset_forgets_all_frames(run):
    running = run()
    running.make_ready()
    client = running.peer.create_client(Trigger, "/spatial_mllm/reset")
    assert client.wait_for_service(10.0)
    done = client.call_async(Trigger.Request())
    until(done.done, "a reset")
    assert done.result().success and not running.reasoning().is_ready


# Questions


def test_a_waiting_question_does_not_hold_up_the_camera(run):
    running = run()
    camera = running.make_ready()
    running.model.may_speak.clear()
    question = running.ask("what is here?")
    until(lambda: running.node._doors._streams, "a question under way")
    before = _count(running)
    running.feed(camera, lambda: _count(running) > before + 20, "more images", first_s=300.0)
    assert not question.done()
    running.model.may_speak.set()
    until(question.done, "an answer")
    assert question.result().answer.status == SpatialAnswer.OK


def test_of_64_clients_each_gets_an_answer_or_busy(run):
    running = run(reasoning__queue_size=8)
    camera = running.make_ready()
    running.model.may_speak.clear()
    questions = [running.ask(f"question {number}") for number in range(64)]
    until(lambda: sum(future.done() for future in questions) >= 64 - 9, "all but those in line")
    before = _count(running)
    running.feed(camera, lambda: _count(running) > before, "an image meanwhile", first_s=300.0)
    running.model.may_speak.set()
    until(lambda: all(future.done() for future in questions), "all answers")
    statuses = [future.result().answer.status for future in questions]
    assert set(statuses) == {SpatialAnswer.OK, SpatialAnswer.BUSY}
    assert 8 <= statuses.count(SpatialAnswer.OK) <= 9


def test_the_action_gives_stages_and_pieces_and_then_the_whole_answer(run):
    running = run()
    running.make_ready()
    feedback = []
    goal = send_goal(running, "what is here?", feedback.append)
    result = wait_for_result(goal)
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    until(lambda: "".join(f.feedback.text for f in feedback) == result.result.answer.answer, "all pieces")
    assert feedback[-1].feedback.num_tokens == result.result.answer.num_tokens
    assert {f.feedback.stage for f in feedback} <= {"queued", "encoding", "prefill", "answering", "done"}


def test_a_cancelled_goal_ends_cancelled_with_what_was_said(run):
    running = run(reasoning__max_new_tokens=4096)
    running.make_ready()
    feedback = []
    running.model.may_speak = Taps(taps=3)
    goal = send_goal(running, "what is here?", feedback.append)
    until(lambda: sum(len(f.feedback.text) for f in feedback) >= 3, "three letters")
    cancelled = goal.cancel_goal_async()
    until(lambda: running.node._doors._cancelled or cancelled.done(), "the cancellation to arrive")
    running.model.may_speak.open_one()
    result = wait_for_result(goal)
    assert result.status == GoalStatus.STATUS_CANCELED
    answer = result.result.answer
    assert answer.status == SpatialAnswer.CANCELLED and 3 <= len(answer.answer) <= 5


def test_a_goal_without_keyframes_is_aborted_with_a_status_that_says_so(run):
    running = run()
    running.reasoning()
    goal = send_goal(running, "what is here?", timeout=0.2)
    result = wait_for_result(goal)
    assert result.status == GoalStatus.STATUS_ABORTED
    assert result.result.answer.status == SpatialAnswer.NOT_READY


@pytest.mark.parametrize("transition", ["trigger_deactivate", "trigger_shutdown"])
def test_leaving_the_active_state_ends_questions_under_way(run, transition):
    running = run()
    running.make_ready()
    running.model.may_speak = Taps(taps=3)
    questions = [running.ask(f"question {number}") for number in range(3)]
    until(lambda: len(running.node._doors._streams) == 3, "questions under way")
    threading.Timer(0.2, running.model.may_speak.set).start()
    getattr(running.node, transition)()
    until(lambda: all(future.done() for future in questions), "all answers")
    answers = [future.result().answer for future in questions]
    assert {answer.status for answer in answers} == {SpatialAnswer.CANCELLED}
    assert {answer.message for answer in answers} == {"the node was deactivated"}


def test_an_empty_question_is_refused_with_a_reason(run):
    running = run()
    running.make_ready()
    answer = running.answer("  ")
    assert answer.status == SpatialAnswer.INVALID_QUESTION and "empty" in answer.message


# Parameters and process


def test_live_parameters_reach_the_gate_and_the_selector(run):
    running = run()
    running.make_ready()
    changes = [Parameter("frames.min_motion", value=7.0), Parameter("sampling.min_gain", value=0.5)]
    result = running.node.set_parameters_atomically(changes)
    assert result.successful
    assert running.node._camera._gate.config.min_motion == 7.0
    assert running.node._pipeline._config.sampling.min_gain == 0.5


def test_a_callback_that_raises_does_not_end_the_process():
    class Executor:
        calls = 0

        def spin(self):
            self.calls += 1
            if self.calls < 3:
                raise ValueError("a fault in a callback")

    executor, is_asked, is_over = Executor(), threading.Event(), threading.Event()
    _spin(executor, is_asked, is_over)
    assert executor.calls == 3 and is_asked.is_set()


# Helpers


class Taps:
    """A gate for `FakeModel.may_speak` that lets a number of letters through, and then one at a time."""

    def __init__(self, taps):
        self._semaphore, self._is_open = threading.Semaphore(taps), False

    def wait(self):
        if not self._is_open:
            self._semaphore.acquire()

    def open_one(self):
        self._semaphore.release()

    def set(self):
        self._is_open = True
        self._semaphore.release()


def _count(running):
    return running.node._camera._tally.counts["images_received"]


def _camera_info():
    info = CameraInfo(width=32, height=24, k=[30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0])
    info.header.frame_id = "camera"
    return info


def publish_clock(running, publisher, seconds):
    def publish_and_look():
        msg = Clock()
        msg.clock.sec = seconds
        publisher.publish(msg)
        return running.node.get_clock().now().nanoseconds == seconds * 10**9

    until(publish_and_look, f"the clock at {seconds} s")


def send_goal(running, question, on_feedback=lambda _: None, **fields):
    client = ActionClient(running.peer, AskSpatial, "/spatial_mllm/ask")
    assert client.wait_for_server(10.0)
    sent = client.send_goal_async(AskSpatial.Goal(question=question, **fields), feedback_callback=on_feedback)
    until(sent.done, "the goal to be accepted")
    assert sent.result().accepted
    return sent.result()


def wait_for_result(goal):
    result = goal.get_result_async()
    until(result.done, "a result")
    return result.result()


def test_images_received_is_read_from_diagnostics(run):
    running = run()
    arrays = []
    from diagnostic_msgs.msg import DiagnosticArray

    running.peer.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, 10)
    until(lambda: any(images_received(message) == 0 for message in arrays), "a count of 0")
