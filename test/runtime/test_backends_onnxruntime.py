"""With the real exporter and the real ONNX Runtime: exported in a process of its own, proved, and word for word torch."""

import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="ONNX is not installed; pip install -r requirements/onnx.txt")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed; pip install -r requirements/onnx.txt")

from support.encoding import encoded_by
from support.small_engines import SPEC, folder_of_engines, write_spec

from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner, ReasonerConfig
from spatial_mllm_ros.runtime.backends import open_encoders
from spatial_mllm_ros.runtime.background import BackgroundOpening
from spatial_mllm_ros.runtime.config import RuntimeConfig
from spatial_mllm_ros.runtime.preparation_process import PreparationProcess
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

LONG_S = 120.0
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}  # float32, other kernels
QUESTIONS = ("How many chairs are in this room?", "Is the sofa to the left of the door?", "?")


@pytest.fixture(scope="module")
def model():
    return load_spatial_mllm("random-small")


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    return folder_of_engines(tmp_path_factory)


def opened(model, engines, steps=None, **changes):
    process = PreparationProcess()
    report = (lambda step: None) if steps is None else steps.append
    return open_encoders(
        model,
        SPEC.model_copy(update=changes),
        "onnxruntime",
        folder=engines,
        max_bytes=1 << 30,
        prepare=lambda wanted: process.run(wanted, report),
        report=report,
    )


def selection(first):
    """Four keyframes of noise; their size is one that the model takes as it is."""
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=SPEC.num_keyframes))
    for number in range(first, first + SPEC.num_keyframes):
        image = np.random.default_rng(number).integers(0, 256, (SPEC.height, SPEC.width, 3), np.uint8)
        selector.add(Frame(image=image, stamp_ns=number * 10**9), None)
    return selector.select()


class RecordingModel:
    """The network, with the tokens of every answer written down."""

    def __init__(self, model):
        self._model, self.answers = model, []

    def __getattr__(self, name):
        return getattr(self._model, name)

    def generate(self, *arguments, **options):
        self.answers.append([])
        for token in self._model.generate(*arguments, **options):
            self.answers[-1].append(token)
            yield token


def tokens_by(encoders, model):
    """The tokens of every question about each of three keyframe sets, and the backends that the answers name."""
    recording, named = RecordingModel(model), set()
    config = ReasonerConfig(max_new_tokens=24)
    with Reasoner(recording, KeyframeSelector(SelectorConfig()), config=config) as reasoner:
        reasoner.use_encoders(encoders)
        for first in (0, 10, 20):
            reasoner.serve(selection(first))
            for question in QUESTIONS:
                answer = reasoner.ask(question).result(LONG_S)
                assert answer.status == AnswerStatus.OK
                named.add(answer.backend)
    return recording.answers, named


def test_onnxruntime_answers_token_by_token_what_torch_answers(model, engines):
    encoders = opened(model, engines).encoders
    by_torch, by_onnxruntime = tokens_by(None, model), tokens_by(encoders, model)
    assert (by_torch[1], by_onnxruntime[1]) == ({"torch"}, {"onnxruntime"})
    assert by_onnxruntime[0] == by_torch[0]
    assert len({tuple(tokens) for tokens in by_torch[0]}) > 3, "answers that are all the same would show nothing"


def test_onnxruntime_gives_torchs_embeddings(model, engines):
    result = opened(model, engines)
    assert (result.backend, result.problem) == ("onnxruntime", "") and all(p.passed for p in result.parities)
    inputs = model.visual_inputs([frame.image for frame in selection(3).frames])
    visual = model.encode_2d(inputs.pixel_values, inputs.grid_thw)
    expected = model.fuse(visual, model.encode_spatial(inputs.video), inputs.grid_thw)
    torch.testing.assert_close(encoded_by(result.encoders, model, inputs), expected, **TOLERANCE)


def test_what_was_exported_before_is_loaded_at_once(model, engines):
    steps = []
    opened(model, engines)
    assert opened(model, engines, steps).backend == "onnxruntime"
    assert steps == ["looking for engines", "proving encoder_2d", "proving spatial_encoder"]


def test_an_altered_graph_is_as_good_as_none(model, engines, tmp_path):
    opened(model, engines)
    copy = shutil.copytree(engines, tmp_path / "engines")
    (weights,) = copy.glob("graphs/encoder_2d-*/encoder_2d.onnx.data")
    with weights.open("r+b") as file:
        file.seek(1000)
        file.write(bytes(64))
    found = open_encoders(model, SPEC, "onnxruntime", folder=copy, max_bytes=1 << 30)
    assert found.encoders is None and "encoder_2d has not been exported" in found.problem


def test_a_dtype_that_onnxruntime_does_not_run_is_one_line(model, engines):
    problem = opened(model, engines, opset=99).problem
    assert problem.startswith("torch encodes, not onnxruntime: ") and "\n" not in problem


def test_the_background_hands_the_encoders_to_a_reasoner(model, engines, tmp_path):
    opened(model, engines)
    config = RuntimeConfig(backend="onnxruntime", spec=str(write_spec(tmp_path)), engine_folder=str(engines))
    with Reasoner(model, KeyframeSelector(SelectorConfig())) as reasoner:
        opening = BackgroundOpening(model, config, reasoner.use_encoders)
        opening.start()
        opening._thread.join(LONG_S)
        assert (reasoner.backend, opening.problem) == ("onnxruntime", "")
        assert reasoner.serve(selection(0)).backend == "onnxruntime"
        opening.close()
