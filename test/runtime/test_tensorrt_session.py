"""How engines are run, seen in the calls that reach TensorRT (a recorded double: there is no GPU to run them on)."""

import pytest
import torch
from support.recorded_tensorrt import RecordedTensorRT, skip_record_stream

from spatial_mllm_ros.errors import EngineError, InputError
from spatial_mllm_ros.runtime.tensorrt_session import TensorRTSession


@pytest.fixture
def kept(monkeypatch):
    return skip_record_stream(monkeypatch)


def load(**options):
    double = RecordedTensorRT(**options)
    session = TensorRTSession(double.tensorrt(), "cpu", cuda=double.cuda())
    return double, session, session.load(b"plan", "spatial_encoder")


def test_engine_runs_between_two_events_of_the_callers_stream(kept):
    double, _, encoder = load()
    double.calls.clear()
    inputs = torch.zeros(2, 3, dtype=torch.bfloat16)
    output = encoder(inputs)
    assert double.calls == [
        ("scratch", 100),
        ("wait", "engine", "caller"),
        ("address", "video", inputs.data_ptr()),
        ("address", "connector_embeds", output.data_ptr()),
        ("execute", 77),
        ("wait", "caller", "engine"),
    ]


def test_memory_is_kept_until_the_engine_has_used_it(kept):
    _, _, encoder = load()
    inputs = torch.zeros(2, 3, dtype=torch.bfloat16)
    output = encoder(inputs)
    assert kept == [inputs.data_ptr(), output.data_ptr()]


def test_output_has_the_engines_shape_and_dtype(kept):
    _, _, encoder = load()
    output = encoder(torch.zeros(2, 3))  # cast to the engine's dtype
    assert output.shape == (4,) and output.dtype == torch.bfloat16


def test_engines_of_one_session_share_one_scratch_buffer(kept):
    double, session, first = load(scratch_bytes=100)
    double.scratch_bytes = 300
    second = session.load(b"plan", "encoder_2d")
    for encoder in (first, second, first):
        encoder(torch.zeros(2, 3))
    assert session._scratch.numel() == 300
    assert [call[1] for call in double.calls if call[0] == "scratch"] == [100, 300, 100]
    assert double.calls[1] == ("context", "user-managed")


def test_tensorrt_without_set_device_memory_gets_the_buffer_by_attribute(kept):
    double, session, encoder = load(has_set_device_memory=False)
    encoder(torch.zeros(2, 3))
    assert encoder._context.device_memory == session._scratch.data_ptr()


def test_wrong_shape_never_reaches_the_engine(kept):
    double, _, encoder = load()
    double.calls.clear()
    with pytest.raises(InputError, match=r"takes \[2, 3\], not \[3, 3\]"):
        encoder(torch.zeros(3, 3))
    assert double.calls == []


def test_refused_engine_names_the_version_and_the_way_out():
    with pytest.raises(EngineError, match=r"tensorrt 10\.3\.0\.30 refuses .*spatial-mllm build"):
        load(deserialises=False)


def test_failed_run_is_an_error_not_an_output(kept):
    _, _, encoder = load(runs=False)
    with pytest.raises(EngineError, match="did not run spatial_encoder"):
        encoder(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": ("INPUT", (1,), "FLOAT"), "b": ("INPUT", (1,), "FLOAT")}, "one of each"),
        ({"a": ("INPUT", (-1,), "FLOAT"), "b": ("OUTPUT", (1,), "FLOAT")}, "dynamic shapes"),
        ({"a": ("INPUT", (1,), "FP8"), "b": ("OUTPUT", (1,), "FLOAT")}, "type FP8"),
    ],
)
def test_engine_of_another_form_is_refused(tensors, message):
    with pytest.raises(EngineError, match=message):
        load(tensors=tensors)
