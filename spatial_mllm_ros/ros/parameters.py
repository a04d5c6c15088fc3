"""ROS parameters made from the config dataclasses: declared, checked, and handed back as one frozen `Config`.

A change builds a new `Config`. It is checked as a whole before any parameter changes, and applied after: in a
post-set callback where rclpy has one (from Iron on), else at the end of the check.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.parameters import ParameterSpec
from spatial_mllm_ros.ros.config import Config, all_parameters

__all__ = ["NodeParameters", "descriptor_from_spec"]

_log = logging.getLogger(__name__)
_LARGEST_INT = 2**63 - 1


class NodeParameters:
    """Declares all parameters on a node and keeps the `Config` that they amount to.

    Args:
        node: a node that has not declared them yet.
        on_change: called with the new config after live parameters have changed.

    Raises:
        InputError: if an override (YAML, command line) is not allowed; names the parameter.
    """

    def __init__(self, node: Node, on_change: Callable[[Config], object]) -> None:
        self._node = node
        self._on_change = on_change
        self._specs = all_parameters()
        for name, spec in self._specs.items():
            _declare(node, name, spec)
        self.config = Config.from_values(self._values())
        _warn_of_unknown(node, list(self._specs))
        self._has_post_set = hasattr(node, "add_post_set_parameters_callback")
        node.add_on_set_parameters_callback(self._check)
        if self._has_post_set:
            node.add_post_set_parameters_callback(self._apply)

    def _values(self, changes: Sequence[Parameter] = ()) -> dict[str, Any]:
        values = {name: self._node.get_parameter(name).value for name in self._specs}
        values.update({change.name: change.value for change in changes if change.name in self._specs})
        return values

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            config = Config.from_values(self._values(changes))
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not self._has_post_set and any(change.name in self._specs for change in changes):
            self._swap(config)
        return SetParametersResult(successful=True)

    def _apply(self, changes: list[Parameter]) -> None:
        if any(change.name in self._specs for change in changes):
            self._swap(Config.from_values(self._values()))

    def _swap(self, config: Config) -> None:
        self.config = config
        self._on_change(config)


def descriptor_from_spec(spec: ParameterSpec) -> ParameterDescriptor:
    """Say about a parameter in ROS words what its spec says: description, range, and whether it is read-only."""
    descriptor = ParameterDescriptor(description=spec.description, read_only=not spec.live)
    if spec.choices:
        descriptor.additional_constraints = f"one of: {', '.join(spec.choices)}"
    if spec.type is int and (spec.ge is not None or spec.le is not None):
        low = int(spec.ge) if spec.ge is not None else -_LARGEST_INT
        high = int(spec.le) if spec.le is not None else _LARGEST_INT
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=int(spec.step or 0) or 1)]
    if spec.type is float and (spec.ge is not None or spec.le is not None):
        low = float(spec.ge) if spec.ge is not None else float("-inf")
        high = float(spec.le) if spec.le is not None else float("inf")
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return descriptor


def _declare(node: Node, name: str, spec: ParameterSpec) -> None:
    try:
        node.declare_parameter(name, spec.default, descriptor_from_spec(spec))
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        raise InputError(f"parameter {name}: {error}; it should be: {spec.description}") from error


def _warn_of_unknown(node: Node, known: list[str]) -> None:
    """Warn of overrides that nobody declares; ROS ignores them without a word, and most are typing errors."""
    ours = {name.partition(".")[0] for name in known if "." in name}
    for name in getattr(node, "_parameter_overrides", {}):  # rclpy has no public way to ask
        if name in known or name.partition(".")[0] not in ours:
            continue
        near = difflib.get_close_matches(name, known, 1)
        _log.warning("there is no parameter %s%s; it is ignored", name, f", did you mean {near[0]}?" if near else "")
