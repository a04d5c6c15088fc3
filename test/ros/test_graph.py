"""Node, player and clients as processes on one graph: what a robot's operator would see, good days and bad."""

from __future__ import annotations

import array
import itertools
import signal
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

import cv2
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CompressedImage, Image
from spatial_mllm_ros.msg import SpatialAnswer
from spatial_mllm_ros.srv import SpatialQuery
from support.graph import TOPICS, Graph
from support.peer import NODE, Peer, until
from support.recorded_bags import BEGIN_NS, tour, write_bag

from spatial_mllm_ros.ros.conversions import stamp_ns_from_time

pytestmark = [pytest.mark.ros, pytest.mark.slow]
LONG = 4096  # tokens: some twenty seconds of talking
IMAGE = TOPICS["~/image"]
COMPRESSED = TOPICS["~/image/compressed"]


class World:
    """A graph with a client in this process, and the bags to play."""

    def __init__(self, folder):
        self.folder = folder
        self.graph = Graph(folder)
        self.peer = Peer(self.graph.domain_id)
        self.long_bag = write_bag(folder / "long", tour(900))  # 90 s: longer than a test
        self.short_bag = write_bag(folder / "short", tour(30))
        self._stamps = itertools.count(BEGIN_NS + 10**12, 10**9)  # after those of the bags, one a second

    def close(self):
        self.peer.close()
        self.graph.close()

    def start_node(self, **parameters):
        node = self.graph.start_node(camera_timeout_s=0.5, **parameters)
        node.wait_for_text("is loaded")
        node.wait_for_text("watching")
        return node

    def play(self, bag, *words):
        return self.graph.start("play_bag", bag, "--wait-for-subscribers", 20, *words)

    def ask(self, *words):
        return self.graph.start("ask", "what is here?", *words)

    def stamped(self, msg):
        """Give an image its header, with a stamp that is newer than all before."""
        msg.header.frame_id = "optical"
        msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(next(self._stamps), 10**9)
        return msg


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    show(world)
    world.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("shared"))
    world.node = world.start_node()
    yield world
    world.close()


@pytest.fixture
def ready(shared):
    """The shared node with an empty memory and nothing before the camera; players end with the test."""
    shared.peer.reset()
    before = len(shared.graph.processes)
    yield shared
    show(shared, before)
    for program in shared.graph.processes[before:]:
        program.stop()
    assert shared.node.process.poll() is None, shared.node.text()


@pytest.fixture
def seeing(ready):
    """The same while a camera plays, with a full set of keyframes."""
    ready.play(ready.long_bag)
    ready.peer.answer_from(4)
    return ready


def show(world, before=1):
    """Print the logs, which pytest shows where a test fails."""
    for program in (world.graph.processes[0], *world.graph.processes[before:]):
        print(f"--- {program.log.name}\n{program.text()}")


def image(**fields):
    """A grey picture of 32 x 24, with what is wrong with it."""
    good = {"height": 24, "width": 32, "encoding": "rgb8", "step": 96, "data": bytes(24 * 96)}
    fields = {**good, **fields}
    return Image(**{**fields, "data": array.array("B", fields["data"])})


def seconds(stamps):
    return [(stamp_ns_from_time(stamp) - BEGIN_NS) / 1e9 for stamp in stamps]


# Questions


def test_the_service_answers_from_four_keyframes_with_coverage_and_times(seeing):
    answer = seeing.peer.answer("how many chairs are there?", query_id="mine")
    assert (answer.status, answer.message, answer.query_id) == (SpatialAnswer.OK, "", "mine")
    assert answer.question == "how many chairs are there?" and answer.answer and 0 < answer.num_tokens <= 24
    stamps = seconds(answer.keyframe_stamps)
    assert len(stamps) == 4 and stamps == sorted(stamps) and stamps[0] >= 0
    assert 0 < answer.coverage <= 1
    assert not answer.meaningful and (answer.model, answer.backend) == ("random-small", "torch")
    times = {time.stage: time.seconds for time in answer.stage_times}
    assert {"queue", "prefill", "first_token", "total"} <= set(times)
    assert all(0 <= value < 60 for value in times.values()) and times["first_token"] <= times["total"]


def test_a_client_in_another_process_prints_the_answer(seeing):
    client = seeing.ask("--json", "--timeout", 20)
    assert client.wait() == 0, client.text()
    assert '"status": "OK"' in client.text() and client.text().count("\n") == 1


def test_the_pieces_of_the_feedback_join_to_the_answer(seeing):
    handle, feedback = seeing.peer.begin()
    status, answer = seeing.peer.finish(handle)
    assert (status, answer.status) == (GoalStatus.STATUS_SUCCEEDED, SpatialAnswer.OK)
    until(lambda: "".join(piece.text for piece in feedback) == answer.answer, "the last piece")
    counts = [piece.num_tokens for piece in feedback]
    assert counts == sorted(counts) and counts[-1] == answer.num_tokens
    assert feedback[-1].stage == "answering"


def test_an_empty_question_is_invalid(seeing):
    for question in ("", "  \n "):
        answer = seeing.peer.answer(question)
        assert answer.status == SpatialAnswer.INVALID_QUESTION and "empty" in answer.message


def test_a_question_before_any_frame_is_not_ready(ready):
    answer = ready.peer.answer(timeout=0.5)
    assert answer.status == SpatialAnswer.NOT_READY and answer.message
    assert not answer.answer and not answer.keyframe_stamps


def test_sixteen_clients_at_once_are_answered_or_told_that_it_is_busy(seeing):
    nodes = [seeing.peer.node.context and Peer(seeing.graph.domain_id) for _ in range(16)]
    try:
        for peer in nodes:
            until(peer.node.create_client(SpatialQuery, f"{NODE}/query").service_is_ready, "the service")
        request = SpatialQuery.Request(question="what is here?", timeout=30.0)
        futures = [peer.send(SpatialQuery, f"{NODE}/query", request) for peer in nodes]
        until(lambda: all(future.done() for future in futures), "all sixteen answers", 60.0)
    finally:
        for peer in nodes:
            peer.close()
    statuses = [future.result().answer.status for future in futures]
    assert set(statuses) <= {SpatialAnswer.OK, SpatialAnswer.BUSY}, statuses
    assert statuses.count(SpatialAnswer.OK) >= 8  # as many as may wait


def test_reset_forgets_what_was_seen(ready):
    player = ready.play(ready.short_bag)
    assert ready.peer.answer_from(4).status == SpatialAnswer.OK
    assert player.wait() == 0, player.text()
    ready.peer.wait_for_status("camera", lambda status: "no image" in status.message)
    ready.peer.reset()
    assert ready.peer.answer(timeout=0.5).status == SpatialAnswer.NOT_READY


# Lifecycle


def test_the_lifecycle_goes_round_by_services_and_questions_work_again(seeing):
    peer = seeing.peer
    assert peer.change_state(Transition.TRANSITION_DEACTIVATE)
    answer = peer.answer()
    assert answer.status == SpatialAnswer.NOT_READY and "not active" in answer.message
    assert peer.change_state(Transition.TRANSITION_ACTIVATE)
    assert peer.answer_from(4).status == SpatialAnswer.OK
    assert peer.change_state(Transition.TRANSITION_DEACTIVATE)
    assert peer.change_state(Transition.TRANSITION_CLEANUP)
    assert peer.answer().status == SpatialAnswer.NOT_READY
    assert peer.change_state(Transition.TRANSITION_CONFIGURE)
    assert peer.change_state(Transition.TRANSITION_ACTIVATE)
    assert peer.answer_from(4).status == SpatialAnswer.OK
    assert "Traceback" not in seeing.node.text()


# The camera


def test_a_looping_bag_is_answered_from_the_new_round(ready):
    stamps = []
    ready.peer.listen(IMAGE, Image, lambda msg: stamps.append(seconds([msg.header.stamp])[0]))
    ready.play(ready.short_bag, "--loop")

    def rounds():
        return sum(later < earlier for earlier, later in itertools.pairwise(stamps))

    answered = set()
    deadline = time.monotonic() + 60
    while len(answered) < 2:  # in two different rounds after the first
        assert time.monotonic() < deadline, f"rounds answered: {answered} of {rounds()}"
        before = rounds()
        answer = ready.peer.answer()
        newest = stamps[-1] if stamps else 0.0
        if before == 0 or rounds() != before or newest > 2.0 or answer.status != SpatialAnswer.OK:
            continue  # only early in a round can its stamps be told from those of the last
        assert max(seconds(answer.keyframe_stamps)) < newest + 0.5
        answered.add(before)


def test_a_camera_that_stops_is_reported_and_questions_are_answered_from_what_was_seen(ready):
    player = ready.play(ready.short_bag)
    ready.peer.answer_from(4)
    assert player.wait() == 0, player.text()
    status = ready.peer.wait_for_status("camera", lambda status: "no image" in status.message)
    assert status.level == DiagnosticStatus.WARN
    first = ready.peer.answer()
    until(lambda: ready.peer.answer().keyframe_stamps == first.keyframe_stamps, "a set that stays")
    first, second = ready.peer.answer(), ready.peer.answer()
    assert first.status == second.status == SpatialAnswer.OK
    assert second.oldest_keyframe_age >= second.keyframe_age >= first.keyframe_age > 0


def send_until_counted(peer, publisher, msg, total):
    """Send an image that cannot be used, again if it was lost: cameras are best effort, on a busy machine above all."""
    sent_at = [0.0]

    def is_counted(_):
        if sent_at[0] and peer.count("camera", "images_unusable") >= total:
            return True
        if time.monotonic() - sent_at[0] > 2.0:
            publisher.publish(msg)
            sent_at[0] = time.monotonic()
        return False

    peer.wait_for_status("camera", is_counted)


def test_malformed_images_are_counted_and_the_node_answers_on(seeing):
    peer = seeing.peer
    before = peer.count("camera", "images_unusable")
    publisher = peer.node.create_publisher(Image, IMAGE, 10)
    until(publisher.get_subscription_count, "the node")
    wrong = [
        image(step=10), image(data=bytes(50)), image(encoding="klingon8"), image(width=0, height=0, step=0, data=b""),
        image(step=2**32 - 1), image(height=2**31, width=2**31),
    ]  # fmt: skip
    for number, msg in enumerate(wrong, start=1):
        send_until_counted(peer, publisher, seeing.stamped(msg), before + number)
    assert peer.answer_from(4).status == SpatialAnswer.OK
    peer.node.destroy_publisher(publisher)
    assert "Traceback" not in seeing.node.text()


def test_compressed_images_are_answered_from_and_cut_ones_counted(world):
    world.start_node(compressed=True)
    bag = write_bag(world.folder / "compressed", tour(30, is_compressed=True))
    player = world.play(bag)
    assert world.peer.answer_from(4).status == SpatialAnswer.OK
    assert player.wait() == 0, player.text()
    publisher = world.peer.node.create_publisher(CompressedImage, COMPRESSED, 10)
    until(publisher.get_subscription_count, "the node")
    jpeg = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].tobytes()
    for number, data in enumerate((jpeg[:100], b"", b"no picture"), start=1):
        msg = world.stamped(CompressedImage(format="jpeg", data=array.array("B", data)))
        send_until_counted(world.peer, publisher, msg, number)
    answer = world.peer.answer()
    assert answer.status == SpatialAnswer.OK and len(answer.keyframe_stamps) == 4


def test_with_the_clock_of_the_bag_keyframes_are_young(world):
    world.start_node(use_sim_time=True)
    world.play(world.long_bag, "--clock")
    answer = world.peer.answer_from(4)
    assert 0 < answer.keyframe_age <= answer.oldest_keyframe_age < 60
    world.peer.wait_for_status("camera", lambda status: status.level == DiagnosticStatus.OK)


# The end of a question, of the node, of both


def test_a_question_cancelled_in_the_middle_keeps_what_was_said_and_the_next_is_answered(world):
    world.start_node(reasoning__max_new_tokens=LONG)
    world.play(world.long_bag)
    handle, feedback = world.peer.begin(timeout=120.0)
    until(lambda: sum(len(piece.text) for piece in feedback) > 20, "some of the answer")
    cancelling = handle.cancel_goal_async()
    until(cancelling.done, "the cancellation")
    status, answer = world.peer.finish(handle, 10.0)
    assert (status, answer.status) == (GoalStatus.STATUS_CANCELED, SpatialAnswer.CANCELLED)
    assert 0 < answer.num_tokens < LONG and answer.answer.startswith(feedback[-1].text[:0])
    late = world.peer.answer(timeout=1.0)
    assert late.status == SpatialAnswer.TIMEOUT and 0 < late.num_tokens < LONG and late.answer
    assert world.peer.answer(timeout=1.0).num_tokens > 0


def test_a_killed_node_is_an_error_to_its_clients_and_a_new_one_serves_again(world):
    node = world.start_node(reasoning__max_new_tokens=LONG)
    world.play(world.long_bag)
    _, feedback = world.peer.begin(timeout=120.0)
    until(lambda: any(piece.text for piece in feedback), "some of an answer")
    clients = [world.ask("--timeout", 10), world.ask("--timeout", 10, "--stream")]
    world.peer.wait_for_status("answers", lambda _: world.peer.count("answers", "waiting") == 2)
    node.send(signal.SIGKILL)
    for client in clients:
        assert client.wait(30) == 1, client.text()
        assert client.text().startswith("ask: ") and client.text().count("\n") == 1, client.text()
    world.start_node()
    client = Peer(world.graph.domain_id)
    try:
        assert client.answer_from(4).status == SpatialAnswer.OK
    finally:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_and_the_question_under_way(world, number):
    node = world.start_node(reasoning__max_new_tokens=LONG)
    world.play(world.long_bag)
    handle, feedback = world.peer.begin(timeout=120.0)
    until(lambda: any(piece.text for piece in feedback), "some of the answer")
    result = handle.get_result_async()
    node.send(number)
    assert node.wait(60) == 0, node.text()
    assert "Traceback" not in node.text(), node.text()
    until(result.done, "the result")
    assert result.result().result.answer.status == SpatialAnswer.CANCELLED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_model_is_loading_ends_the_node(world, number):
    node = world.graph.start_node()
    node.wait_for_text("watching")
    node.send(number)
    assert node.wait(60) == 0, node.text()
    assert "Traceback" not in node.text(), node.text()
