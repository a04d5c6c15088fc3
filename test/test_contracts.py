"""The names that users hold on to (docs/design.md): renaming one is a breaking change, and this is where it shows."""

import dataclasses
import importlib
import inspect

import pytest

from spatial_mllm_ros.cli.main import COMMANDS

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


@pytest.mark.parametrize("command", ["ask", "sample", "verify", "bench", "doctor", "generate"])
def test_command_is_there_with_help(command, capsys):
    from spatial_mllm_ros.cli.main import main

    assert command in COMMANDS
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and "usage: spatial-mllm" in capsys.readouterr().out
