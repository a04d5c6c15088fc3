"""What an operator sees of the backend that encodes: in answers, in diagnostics, and that the node lives without it."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

import fcntl
import signal
import threading

import torch
from diagnostic_msgs.msg import DiagnosticStatus
from spatial_mllm_ros.msg import SpatialAnswer
from support.graph import Graph
from support.peer import Peer
from support.recorded_bags import tour, write_bag
from support.running_node import RunningNode, until
from support.small_engines import folder_of_engines, write_spec

from spatial_mllm_ros.runtime import background
from spatial_mllm_ros.runtime.backends import Opened
from spatial_mllm_ros.runtime.encoder import Encoders

pytestmark = pytest.mark.ros
COMPILED = Encoders(
    backend="tensorrt",
    video_shape=(2,),  # the fake model's video is one number per frame
    device=torch.device("cpu"),
    encoder_2d=lambda values: values,
    spatial_encoder=torch.zeros_like,
)


@pytest.fixture
def run():
    running = []

    def start(**options):
        running.append(RunningNode(**options))
        return running[-1]

    yield start
    for node in running:
        node.close()


def level(running, part):
    return until(lambda: running.statuses.get(f"spatial_mllm: {part}"), f"diagnostics of {part}").level


def test_a_node_whose_backend_cannot_be_had_answers_with_torch_and_reports_an_error(run):
    running = run(runtime__backend="tensorrt", runtime__spec="agx_orin")
    until(lambda: "torch encodes, not tensorrt" in running.message("model"), "a problem")
    assert level(running, "model") == DiagnosticStatus.ERROR
    running.make_ready()
    answer = running.answer("what is here?")
    assert (answer.status, answer.backend) == (SpatialAnswer.OK, "torch")
    until(lambda: running.values("keyframes")["backend"] == "torch", "the backend of the keyframes")
    assert running.values("model")["backend"] == "torch"


def test_torch_on_a_cpu_is_no_problem(run):
    running = run()
    running.make_ready()
    until(lambda: level(running, "model") == DiagnosticStatus.OK, "a good end")
    assert running.values("model")["engines"] == "none are being made"


def test_torch_answers_until_the_engines_are_built_and_they_encode_after_that(run, monkeypatch):
    may_build = threading.Event()

    def opens(*_, report, **__):
        report("building encoder_2d")
        assert may_build.wait(20.0)
        return Opened(encoders=COMPILED)

    monkeypatch.setattr(background, "open_encoders", opens)
    running = run(runtime__backend="tensorrt")
    until(lambda: running.values("model").get("engines") == "building encoder_2d", "a step")
    camera = running.make_ready()
    assert running.answer("what is here?").backend == "torch"
    may_build.set()
    until(lambda: running.values("model")["backend"] == "tensorrt", "the engines")
    running.feed(camera, lambda: running.reasoning().backend == "tensorrt", "keyframes by the engines", first_s=200.0)
    answer = running.answer("what is here?")
    assert (answer.status, answer.backend) == (SpatialAnswer.OK, "tensorrt")
    stages = [time.stage for time in answer.stage_times]
    assert "prefix_encode_2d" in stages and "prefix_recognise" not in stages


def test_a_node_can_be_shut_down_while_engines_are_built(run, monkeypatch):
    stopped = []

    def opens(*_, stop, **__):
        stopped.append(stop.wait(20.0))
        raise background.Stopped

    monkeypatch.setattr(background, "open_encoders", opens)
    running = run(runtime__backend="tensorrt")
    until(lambda: running.node._pipeline.engines_step, "a step")
    running.node.trigger_shutdown()
    assert stopped == [True]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("spatial_mllm ")]


# A process of its own, with the real exporter and the real ONNX Runtime


@pytest.fixture
def graph(tmp_path):
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="ONNX is not installed; pip install -r requirements/onnx.txt")
    graph = Graph(tmp_path)
    yield graph
    for program in graph.processes:
        print(f"--- {program.log.name}\n{program.text()}")
    graph.close()


def start_with_onnxruntime(graph, engines):
    return graph.start_node(
        runtime__backend="onnxruntime", runtime__spec=write_spec(graph.folder), runtime__engine_folder=engines
    )


@pytest.mark.slow
def test_a_node_that_is_interrupted_while_it_exports_ends_at_once_and_leaves_no_process(graph):
    engines = graph.folder / "engines"
    node = start_with_onnxruntime(graph, engines)
    until(lambda: list(engines.glob("graphs/.encoder_2d-*")), "an export under way", 120.0)
    (lock,) = engines.glob("graphs/encoder_2d-*.lock")
    node.send(signal.SIGINT)
    assert node.wait(15.0) == 0
    with lock.open() as file:  # held by the exporting process for as long as it lives
        until(lambda: _can_lock(file), "the end of the exporter")
    assert "Traceback" not in node.text()


def _can_lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.slow
def test_a_node_exports_beside_torch_and_answers_by_onnxruntime(graph, tmp_path_factory):
    node = start_with_onnxruntime(graph, folder_of_engines(tmp_path_factory))
    peer = Peer(graph.domain_id)
    try:
        node.wait_for_text("watching")
        bag = write_bag(graph.folder / "long", tour(900))
        player = graph.start("play_bag", bag, "--wait-for-subscribers", 20)
        assert peer.answer_from(4).status == SpatialAnswer.OK, "by torch, most likely"
        node.wait_for_text("onnxruntime encodes from the next keyframes on", 240.0)
        player.stop()  # it may have come to its end meanwhile
        peer.reset()
        graph.start("play_bag", bag, "--wait-for-subscribers", 20)
        answer = until(lambda: _by_onnxruntime(peer), "an answer by ONNX Runtime", 80.0)
        assert answer.answer and not answer.meaningful
        status = until(lambda: peer.statuses.get("spatial_mllm: model"), "diagnostics")
        values = {pair.key: pair.value for pair in status.values}
        assert (values["backend"], values["engines"]) == ("onnxruntime", "none are being made")
        assert "failed" not in node.text()
    finally:
        peer.close()


def _by_onnxruntime(peer):
    answer = peer.answer()
    return answer if answer.backend == "onnxruntime" else None
