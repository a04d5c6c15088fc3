"""Declare a stage's parameters once, on its frozen config dataclass.

`param()` attaches a description, a range and whether a value may change while running to a dataclass field;
`check_parameters()` enforces them. `ros/parameters.py` walks the same fields to declare ROS parameters, and the
YAML in `config/` and the tables in `docs/` are made from them, so nothing about a parameter is said twice.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, get_type_hints

from spatial_mllm_ros.errors import InputError

__all__ = ["ParameterSpec", "check_parameters", "param", "parameter_specs"]

_METADATA_KEY = "spatial_mllm_ros.parameter"
_SCALARS = (bool, int, float, str)


@dataclass(frozen=True)
class ParameterSpec:
    """What is said about one parameter: its name, type, default, description and limits."""

    name: str
    type: type
    default: Any
    description: str
    ge: float | None = None
    le: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def check(self, value: Any) -> Any:
        """Return `value` in the declared type.

        Raises:
            InputError: if the type is wrong or the value lies outside the range, steps or choices.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.type:
            raise InputError(f"parameter {self.name} must be a {self.type.__name__}, not {value!r}")
        if self.choices and value not in self.choices:
            raise InputError(f"parameter {self.name} must be one of {', '.join(self.choices)}, not {value!r}")
        if self.type in (int, float):
            self._check_number(value)
        return value

    def _check_number(self, value: float) -> None:
        low = -math.inf if self.ge is None else self.ge
        high = math.inf if self.le is None else self.le
        if not low <= value <= high:  # also catches NaN
            raise InputError(f"parameter {self.name} must lie in [{low:g}, {high:g}], not {value!r}")
        if self.step and self.type is int and (value - (self.ge or 0)) % self.step:
            start = self.ge or 0
            raise InputError(f"parameter {self.name} must be {start:g} plus a multiple of {self.step:g}, not {value}")


def param(
    default: Any,
    description: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Make a dataclass field that carries its own description and limits.

    Args:
        default: a bool, int, float or str; its type is the parameter's type.
        description: one sentence with the unit; shown by `ros2 param describe` and in the docs.
        ge, le: smallest and largest allowed number, both included.
        step: for an int, allowed values are `ge` plus multiples of it.
        choices: for a str, the allowed values.
        live: True if it may be changed while the node is active; otherwise it is read-only.
    """
    if type(default) not in _SCALARS:
        raise TypeError(f"a parameter default is a bool, int, float or str, not {default!r}")
    limits = {"ge": ge, "le": le, "step": step, "choices": choices, "live": live}
    return dataclasses.field(default=default, metadata={_METADATA_KEY: (description, limits)})


def parameter_specs(config: Any) -> tuple[ParameterSpec, ...]:
    """List the parameters of a config dataclass (class or instance), in the order of its fields."""
    hints = get_type_hints(config if isinstance(config, type) else type(config))
    specs = []
    for field in dataclasses.fields(config):
        if _METADATA_KEY in field.metadata:
            description, limits = field.metadata[_METADATA_KEY]
            specs.append(ParameterSpec(field.name, hints[field.name], field.default, description, **limits))
    return tuple(specs)


def check_parameters(config: Any) -> None:
    """Check every parameter of a frozen config dataclass; call it from `__post_init__`.

    An int given for a float parameter is stored as a float.

    Raises:
        InputError: naming the first parameter outside its limits.
    """
    for spec in parameter_specs(config):
        object.__setattr__(config, spec.name, spec.check(getattr(config, spec.name)))
