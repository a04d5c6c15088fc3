"""Compiled encoders serve where they fit, change between two keyframe sets, and give way to torch when they fail."""

import threading
import time

import numpy as np
import pytest
import torch
from support.encoding import encoded_by, run_all
from support.fake_model import FakeInputs, FakeModel

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.frames import Frame
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner, ReasonerConfig
from spatial_mllm_ros.reasoning.encoding import EncoderChoice, encode_keyframes
from spatial_mllm_ros.runtime.encoder import Encoders
from spatial_mllm_ros.sampling import KeyframeSelector, SelectorConfig

LONG_S = 30.0
NOTHING = np.zeros((4, 6, 3), np.uint8)


def made(model, inputs, *, shape=None, encoder_2d=None, spatial_encoder=None):
    """Encoders that compute what torch does, but say that they are compiled."""
    return Encoders(
        backend="onnxruntime",
        video_shape=tuple(inputs.video.shape) if shape is None else shape,
        device=torch.device("cpu"),
        encoder_2d=encoder_2d or (lambda values: model.encode_2d(values, inputs.grid_thw)),
        spatial_encoder=spatial_encoder or (lambda video: model.connect(model.encode_spatial(video), inputs.grid_thw)),
    )


@pytest.fixture(scope="module")
def network():
    return load_spatial_mllm("random-small")


@pytest.fixture(scope="module")
def inputs(network):
    return network.visual_inputs(pictures(0))


def pictures(first, count=4):
    return [np.random.default_rng(first + n).integers(0, 256, (56, 84, 3), np.uint8) for n in range(count)]


def broken(_):
    raise ValueError("out of memory\nat a place that nobody cares for")


def test_compiled_encoders_give_what_torch_gives(network, inputs):
    expected = encode_keyframes(network, pictures(0), inputs, run_all)
    compiled = encode_keyframes(network, pictures(0), inputs, run_all, encoders=made(network, inputs))
    torch.testing.assert_close(compiled.fused, expected.fused)
    assert (expected.backend, compiled.backend) == ("torch", "onnxruntime")
    assert expected.misfit == compiled.misfit == ""


@pytest.mark.parametrize("shape", [(2, 3, 56, 84), (4, 3, 84, 56)])
def test_a_keyframe_set_of_another_shape_is_torchs(network, inputs, shape):
    encoders = made(network, inputs, shape=shape, encoder_2d=broken)
    encoded = encode_keyframes(network, pictures(0), inputs, run_all, encoders=encoders)
    assert encoded.backend == "torch"
    count, _, height, width = shape
    takes = f"the onnxruntime encoders take {count} frames of {width}x{height}"
    assert encoded.misfit.startswith("the keyframes are 4 frames of ") and encoded.misfit.endswith(takes)


def test_the_stages_keep_their_names(network, inputs):
    stages = []

    def note(stage, work, *arguments):
        stages.append(stage)
        return work(*arguments)

    encode_keyframes(network, pictures(0), inputs, note, encoders=made(network, inputs))
    assert stages == ["encode_2d", "encode_spatial", "fuse"]


def test_whatever_a_library_raises_is_an_engine_error_of_one_line(network, inputs):
    with pytest.raises(EngineError, match=r"^onnxruntime failed to run encoder_2d: out of memory$"):
        encoded_by(made(network, inputs, encoder_2d=broken), network, inputs)


def test_numbers_that_are_not_finite_never_reach_the_language_model(network, inputs):
    overflown = made(network, inputs, encoder_2d=lambda values: torch.full((1, 1), float("inf")))
    with pytest.raises(EngineError, match="not finite"):
        encoded_by(overflown, network, inputs)


def test_encoders_that_fail_are_given_up_for_good(network, inputs):
    choice, used = EncoderChoice(), []
    choice.use(made(network, inputs, encoder_2d=broken))

    def work(encoders):
        used.append(encoders and encoders.backend)
        return encoded_by(encoders, network, inputs) if encoders else "torch's"

    assert choice.run(work) == choice.run(work) == "torch's"
    assert used == ["onnxruntime", None, None]
    assert "torch encodes from now on: onnxruntime failed to run encoder_2d" in choice.problem


def test_a_fault_that_is_not_the_encoders_own_is_passed_on_and_they_stay(network, inputs):
    choice = EncoderChoice()
    choice.use(made(network, inputs))
    with pytest.raises(RuntimeError, match="another"):
        choice.run(lambda encoders: exec("raise RuntimeError('another')"))
    assert choice.current is not None and choice.problem == ""


# Through the reasoner


def wait_until(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


class Compiled:
    """Encoders of the fake model that say which backend they are; a test may hold them."""

    def __init__(self, fails=False):
        self.may_encode, self.encoding, self.fails = threading.Event(), threading.Event(), fails
        self.may_encode.set()

    def encoders(self):
        return Encoders(
            backend="tensorrt",
            video_shape=(2,),  # the fake model's video is one number per frame
            device=torch.device("cpu"),
            encoder_2d=self._encode_2d,
            spatial_encoder=torch.zeros_like,
        )

    def _encode_2d(self, values):
        self.encoding.set()
        assert self.may_encode.wait(LONG_S)
        if self.fails:
            raise EngineError("TensorRT did not run encoder_2d")
        return values


@pytest.fixture
def reasoner():
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=2))
    config = ReasonerConfig(min_refresh_s=0.0, max_duty=1.0, timeout_s=LONG_S)
    with Reasoner(FakeModel(), selector, config=config) as reasoner:
        yield reasoner


def show(reasoner, *numbers):
    for number in numbers:
        reasoner.observe(Frame(image=np.full((4, 6, 3), number, np.uint8), stamp_ns=number * 10**9))
    newest = numbers[-1]
    wait_until(lambda: reasoner.prefix and reasoner.prefix.selection.frames[-1].image[0, 0, 0] == newest)


def ask(reasoner):
    answer = reasoner.ask("where?").result(LONG_S)
    assert answer.status == AnswerStatus.OK
    return answer.text, answer.backend


def test_an_answer_tells_what_encoded_its_keyframes(reasoner):
    assert reasoner.diagnostics().backend == ""
    show(reasoner, 1, 2)
    assert ask(reasoner) == ("1,2|where?", "torch")
    reasoner.use_encoders(Compiled().encoders())
    assert ask(reasoner) == ("1,2|where?", "torch"), "these keyframes were encoded before"
    show(reasoner, 3)
    assert ask(reasoner) == ("2,3|where?", "tensorrt")
    assert reasoner.diagnostics().backend == "tensorrt"


def test_encoders_change_between_two_keyframe_sets_only(reasoner):
    compiled = Compiled()
    compiled.may_encode.clear()
    reasoner.use_encoders(compiled.encoders())
    reasoner.observe(Frame(image=NOTHING, stamp_ns=0))
    reasoner.observe(Frame(image=NOTHING, stamp_ns=1))
    assert compiled.encoding.wait(LONG_S)
    reasoner.use_encoders(None)
    compiled.may_encode.set()
    wait_until(lambda: reasoner.prefix)
    assert reasoner.prefix.backend == "tensorrt"
    show(reasoner, 7)
    assert reasoner.prefix.backend == "torch"


def test_keyframes_are_encoded_by_torch_when_the_encoders_fail_on_them(reasoner):
    reasoner.use_encoders(Compiled(fails=True).encoders())
    show(reasoner, 1, 2)
    assert ask(reasoner) == ("1,2|where?", "torch")
    assert "TensorRT did not run encoder_2d" in reasoner.diagnostics().encoder_problem


def test_keyframes_that_do_not_fit_are_named_in_diagnostics(reasoner):
    encoders = Compiled().encoders()
    reasoner.use_encoders(Encoders(**{**vars(encoders), "video_shape": (16, 3, 476, 644)}))
    reasoner.model.visual_inputs = lambda images: FakeInputs(torch.zeros(2), (1, 1, 2), torch.zeros(2, 3, 28, 56))
    show(reasoner, 1, 2)
    said = reasoner.diagnostics().encoder_problem
    assert said == "the keyframes are 2 frames of 56x28, the tensorrt encoders take 16 frames of 644x476"


def test_a_recording_is_encoded_by_the_encoders_too(reasoner):
    reasoner.use_encoders(Compiled().encoders())
    selector = KeyframeSelector(SelectorConfig(method="recent", num_keyframes=2))
    for number in (5, 6):
        selector.add(Frame(image=np.full((4, 6, 3), number, np.uint8), stamp_ns=number), None)
    assert reasoner.serve(selector.select()).backend == "tensorrt"
    assert ask(reasoner) == ("5,6|where?", "tensorrt")
