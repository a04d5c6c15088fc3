"""A parameter is said once, on its field, and every config object holds to what is said."""

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.parameters import check_parameters, param, parameter_specs


@dataclass(frozen=True, kw_only=True)
class Config:
    num_keyframes: int = param(16, "Keyframes in one prefix; even", ge=2, le=32, step=2)
    rate_hz: float = param(3.0, "Frames let through, Hz", ge=0.0, live=True)
    method: str = param("space-aware", "How to pick", choices=("space-aware", "uniform"))
    is_verbose: bool = param(False, "Say more")
    not_a_parameter: int = 3

    def __post_init__(self):
        check_parameters(self)


def test_specs_are_listed_in_the_order_of_the_fields():
    assert [spec.name for spec in parameter_specs(Config)] == ["num_keyframes", "rate_hz", "method", "is_verbose"]
    assert parameter_specs(Config) == parameter_specs(Config())


def test_spec_says_all_that_was_declared():
    keyframes, rate, method, _ = parameter_specs(Config)
    assert (keyframes.type, keyframes.default, keyframes.ge, keyframes.le, keyframes.step) == (int, 16, 2, 32, 2)
    assert keyframes.description == "Keyframes in one prefix; even" and not keyframes.live
    assert rate.type is float and rate.live and method.choices == ("space-aware", "uniform")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_keyframes": 0}, r"num_keyframes must lie in \[2, 32\], not 0"),
        ({"num_keyframes": 34}, r"must lie in \[2, 32\], not 34"),
        ({"num_keyframes": 7}, "must be 2 plus a multiple of 2, not 7"),
        ({"num_keyframes": 8.0}, "must be a int, not 8.0"),
        ({"num_keyframes": True}, "must be a int, not True"),
        ({"rate_hz": -1.0}, r"rate_hz must lie in \[0, inf\]"),
        ({"rate_hz": float("nan")}, "not nan"),
        ({"rate_hz": "fast"}, "must be a float, not 'fast'"),
        ({"method": "best"}, "must be one of space-aware, uniform, not 'best'"),
        ({"is_verbose": 1}, "must be a bool, not 1"),
    ],
)
def test_value_outside_its_limits_is_refused_by_name(values, message):
    with pytest.raises(InputError, match=message):
        Config(**values)


@given(st.integers(-100, 100))
def test_allowed_numbers_are_those_of_range_and_step(value):
    is_allowed = value in range(2, 33, 2)
    try:
        assert Config(num_keyframes=value).num_keyframes == value
    except InputError:
        assert not is_allowed
    else:
        assert is_allowed


def test_whole_number_for_a_float_becomes_one():
    assert type(Config(rate_hz=5).rate_hz) is float


def test_replacing_a_value_checks_it_again():
    with pytest.raises(InputError):
        dataclasses.replace(Config(), num_keyframes=1)


@pytest.mark.parametrize("default", [None, (1, 2), [1], b"x"])
def test_default_of_another_type_is_our_own_mistake(default):
    with pytest.raises(TypeError, match="a parameter default is"):
        param(default, "what")
