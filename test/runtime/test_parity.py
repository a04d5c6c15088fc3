"""What counts as equal to torch: every token, on every stored input, in numbers that are finite."""

import numpy as np
import pytest
import torch
from support.exported_encoders import SMALL, STAGES, small_spec

from spatial_mllm_ros.runtime.parity import TOLERANCES, compare, measure_parity, stored_inputs
from spatial_mllm_ros.runtime.spec import changed_spec

SPEC = small_spec("cpu")
EXPECTED = torch.randn(100, 16, generator=torch.manual_seed(0))


class Given:
    """An encoder that gives what it was given."""

    backend, name = "tensorrt", "encoder_2d"

    def __init__(self, *outputs):
        self._outputs = list(outputs)

    def __call__(self, inputs):
        return self._outputs.pop(0)


def parity_of(output, expected=EXPECTED):
    return compare(Given(output), "room", torch.zeros(1), expected)


def test_the_same_numbers_pass():
    parity = parity_of(EXPECTED.clone())
    assert parity.passed and parity.cosine == pytest.approx(1) and parity.largest_relative_error == 0
    assert (parity.stage, parity.backend, parity.input_name) == ("encoder_2d", "tensorrt", "room")


def test_one_wrong_token_of_many_fails():
    output = EXPECTED.clone()
    output[[3, 4]] = output[[4, 3]]
    whole = torch.nn.functional.cosine_similarity(output.flatten(), EXPECTED.flatten(), dim=0)
    assert whole > 0.95 and not parity_of(output).passed and not parity_of(output.bfloat16()).passed


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_is_not_finite_fails(value):
    output = EXPECTED.clone()
    output[7, 7] = value
    parity = parity_of(output)
    assert not parity.is_finite and not parity.passed


@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_rounding_to_a_dtype_is_within_its_tolerance(dtype):
    parity = parity_of(EXPECTED.to(dtype))
    assert parity.passed and parity.tolerance is TOLERANCES[dtype]


def test_the_tolerance_is_that_of_the_coarser_dtype():
    assert parity_of(EXPECTED, EXPECTED.bfloat16()).tolerance is TOLERANCES[torch.bfloat16]


def test_every_dtype_of_a_spec_has_a_tolerance_and_its_reason():
    assert {str(dtype) for dtype in TOLERANCES} == {"torch.float32", "torch.bfloat16", "torch.float16"}
    assert all(len(tolerance.reason) > 20 for tolerance in TOLERANCES.values())


def test_the_worst_input_counts():
    inputs = [("room", torch.zeros(1)), ("checkerboard", torch.zeros(1))]
    bad = EXPECTED + 0.5
    parity = measure_parity(Given(EXPECTED, bad), Given(EXPECTED, EXPECTED), inputs)
    assert parity.input_name == "checkerboard" and not parity.passed
    overflown = torch.full_like(EXPECTED, float("inf"))
    assert not measure_parity(Given(overflown, bad), Given(EXPECTED, EXPECTED), inputs).is_finite


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("changes", [{}, {"num_keyframes": 2}, {"num_keyframes": 12, "height": 140, "width": 56}])
def test_stored_inputs_have_the_specs_shape(stage, changes):
    spec = changed_spec(SPEC, **changes)
    patches = spec.num_keyframes // 2 * spec.height * spec.width // 14**2
    shape = (patches, 1176) if stage == "encoder_2d" else (spec.num_keyframes, 3, spec.height, spec.width)
    inputs = stored_inputs(stage, spec)
    assert [name for name, _ in inputs] == ["room", "checkerboard"]
    assert all(tuple(values.shape) == shape and values.dtype == torch.float32 for _, values in inputs)


def test_the_room_is_a_picture_that_changes_from_frame_to_frame():
    room = dict(stored_inputs("spatial_encoder", SPEC))["room"]
    assert 0 <= float(room.min()) < 0.3 and 0.7 < float(room.max()) <= 1
    assert all((room[index] - room[index + 1]).abs().mean() > 0.01 for index in range(len(room) - 1))


def test_the_checkerboard_has_black_and_white_squares_of_56_pixels():
    board = dict(stored_inputs("spatial_encoder", SPEC))["checkerboard"][0, 0].numpy()
    assert board.shape == (SMALL["height"], SMALL["width"]) and set(np.unique(board)) == {0, 1}
    assert (board[:56, :56] == 0).all() and (board[:56, 56:] == 1).all() and (board[56:, :56] == 1).all()
