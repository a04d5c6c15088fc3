"""The names that users hold on to (docs/design.md): renaming one is a breaking change, and this is where it shows."""

import dataclasses
import importlib
import inspect
import re
import time
from pathlib import Path

import pytest

from spatial_mllm_ros.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
NAMES = {
    "frames": ("Frame", "FrameBuffer", "FrameGate", "FrameAssembler", "open_source", "decode_image"),
    "geometry": ("PointMap", "PointMapProvider", "DepthProvider", "VggtProvider", "choose_provider"),
    "sampling": ("space_aware_sampling", "Sampling", "KeyframeSelector", "Selection", "SelectorConfig"),
    "model": ("load_spatial_mllm", "SpatialMLLM", "ChatPrompt"),
    "reasoning": ("Reasoner", "ReasonerConfig", "Answer", "AnswerStatus", "AnswerStream"),
}


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, names in NAMES.items() for name in names])
def test_name_is_offered_by_its_folder(folder, name):
    module = importlib.import_module(f"spatial_mllm_ros.{folder}")
    assert name in module.__all__ and hasattr(module, name)


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_offline_sampler_keeps_its_signature():
    from spatial_mllm_ros.sampling import Sampling, space_aware_sampling

    assert parameters(space_aware_sampling)[:3] == ["points", "confidence", "num_keyframes"]
    names = {field.name for field in dataclasses.fields(Sampling)}
    assert {"indices", "order", "gains", "voxel_size", "confidence_threshold"} <= names


def test_selector_keeps_its_verbs():
    from spatial_mllm_ros.sampling import KeyframeSelector

    assert parameters(KeyframeSelector.add) == ["self", "frame", "point_map"]
    assert parameters(KeyframeSelector.select) == ["self", "num_keyframes"]
    assert isinstance(KeyframeSelector.version, property)


def test_model_keeps_its_parts():
    from spatial_mllm_ros.model import SpatialMLLM, load_spatial_mllm

    assert parameters(load_spatial_mllm)[:3] == ["checkpoint", "device", "dtype"]
    for part in ("encode_2d", "encode_spatial", "fuse", "prefill", "generate"):
        assert callable(getattr(SpatialMLLM, part))


def test_reasoner_keeps_its_verbs():
    from spatial_mllm_ros.reasoning import Reasoner

    for verb in ("observe", "ask", "close"):
        assert callable(getattr(Reasoner, verb))


FIELDS = {
    "msg/SpatialAnswer.msg": "header query_id question answer status message keyframe_stamps keyframe_age coverage model backend",
    "msg/Keyframes.msg": "header",
    "srv/SpatialQuery.srv": "query_id question timeout answer",
    "action/AskSpatial.action": "query_id question timeout answer stage text",
}
STATUSES = {"OK", "NOT_READY", "BUSY", "INVALID_QUESTION", "TIMEOUT", "CANCELLED", "INTERNAL_ERROR"}


@pytest.mark.parametrize(("path", "fields"), FIELDS.items())
def test_interface_keeps_its_fields(path, fields):
    text = (ROOT / path).read_text()
    assert set(fields.split()) <= set(re.findall(r"^[\w/]+(?:\[[^\]]*\])? +(\w+)(?: |$)", text, re.M))


def test_answer_keeps_its_statuses():
    from spatial_mllm_ros.reasoning import AnswerStatus

    assert {status.name for status in AnswerStatus} >= STATUSES


PUBLISHED = {"/spatial_mllm/answer": "msg/SpatialAnswer", "/spatial_mllm/keyframes": "msg/Keyframes"}
PUBLISHED |= {"/spatial_mllm/coverage": "msg/PointCloud2", "/diagnostics": "msg/DiagnosticArray"}
SERVED = {"/spatial_mllm/query": "srv/SpatialQuery", "/spatial_mllm/reset": "srv/Trigger"}
SUBSCRIBED = {"/camera/color/image_raw": "msg/Image"}  # where the test's remapping puts ~/image


@pytest.mark.slow
@pytest.mark.ros
def test_node_offers_its_topics_services_and_action(tmp_path):
    rclpy = pytest.importorskip("rclpy", reason="no ROS 2 here")
    from support.graph import Graph

    graph, context = Graph(tmp_path), rclpy.Context()
    rclpy.init(context=context, domain_id=graph.domain_id)
    try:
        graph.start_node().wait_for_text("watching")
        node = rclpy.create_node("onlooker", context=context)
        offers = {
            node.get_publisher_names_and_types_by_node: PUBLISHED,
            node.get_subscriber_names_and_types_by_node: SUBSCRIBED,
            node.get_service_names_and_types_by_node: {**SERVED, "/spatial_mllm/ask/_action/send_goal": "AskSpatial_SendGoal"},
        }
        for look, wanted in offers.items():
            deadline, found = time.monotonic() + 30, {}
            while not wanted.keys() <= found.keys() and time.monotonic() < deadline:
                try:
                    found = dict(look("spatial_mllm", "/"))
                except RuntimeError:  # the node has not been discovered yet
                    time.sleep(0.05)
            assert wanted.keys() <= found.keys()
            for name, kind in wanted.items():
                assert found[name][0].endswith(kind)
    finally:
        graph.close()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize("command", ["ask", "sample", "verify", "bench", "doctor", "generate"])
def test_command_is_there_with_help(command, capsys):
    from spatial_mllm_ros.cli.main import main

    assert command in COMMANDS
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and "usage: spatial-mllm" in capsys.readouterr().out
