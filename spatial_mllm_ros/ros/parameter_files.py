"""Write what is said about parameters elsewhere, from the config dataclasses: `python -m …ros.parameter_files`.

It makes `config/spatial_mllm.yaml` (all parameters at their defaults) and `docs/parameters.md`; a test compares them.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from spatial_mllm_ros.parameters import ParameterSpec
from spatial_mllm_ros.ros.config import all_parameters

__all__ = ["defaults_yaml", "main", "parameters_markdown"]

_ROOT = Path(__file__).resolve().parents[2]
_ABOUT = {
    "": "The node itself.",
    "frames": "From messages to frames: buffer, decoding, gate, and pairing with depth and pose.",
    "geometry": "Point maps: where the pixels of a frame lie in the world.",
    "sampling": "The sliding window, and the choice of keyframes.",
    "model": "The network.",
    "runtime": "What runs the encoders, and where engines are kept.",
    "reasoning": "Questions, answers, and the visual prefix that is kept ready for them.",
}


def defaults_yaml() -> str:
    """Return a parameter file with every parameter at its default, in the order of the stages."""
    lines = [
        "# All parameters of the node spatial_mllm at their defaults.",
        "# Made by `python -m spatial_mllm_ros.ros.parameter_files`; copy what you change into a file of your own.",
        "/**:",
        "  ros__parameters:",
    ]
    for group, specs in _groups():
        indent = "    "
        if group:
            lines += ["", f"{indent}{group}:  # {_ABOUT[group]}"]
            indent += "  "
        for name, spec in specs:
            lines += [f"{indent}# {line}" for line in textwrap.wrap(_sentence(spec), 116 - len(indent))]
            lines.append(f"{indent}{name}: {_yaml(spec.default)}")
    return "\n".join(lines) + "\n"


def parameters_markdown() -> str:
    """Return a page with a table of parameters for each stage."""
    lines = [
        "# Parameters",
        "",
        "Made by `python -m spatial_mllm_ros.ros.parameter_files` from the config dataclasses. *Live* parameters may",
        "be changed while the node runs (`ros2 param set`); the others are read once, at its start. Where a list of",
        "values is given no other is allowed. `config/spatial_mllm.yaml` holds all of them at their defaults, the",
        "machine profiles beside it only what differs.",
    ]
    for group, specs in _groups():
        lines += ["", f"## {group or 'Node'}", "", _ABOUT[group], ""]
        lines += ["| parameter | default | allowed | live | meaning |", "| --- | --- | --- | --- | --- |"]
        for name, spec in specs:
            full = f"{group}.{name}" if group else name
            live = "live" if spec.live else ""
            meaning = spec.description.replace("|", "\\|")
            lines.append(f"| `{full}` | `{_yaml(spec.default)}` | {_allowed(spec)} | {live} | {meaning} |")
    lines += [
        "",
        "## Quality of service",
        "",
        "Each subscription also has `qos_overrides.<resolved topic>.subscription.<policy>` for the policies `history`,",
        "`depth`, `reliability` and `durability`, for example",
        "`qos_overrides./camera/color/image_raw.subscription.reliability: reliable`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files into the source tree."""
    (_ROOT / "config" / "spatial_mllm.yaml").write_text(defaults_yaml(), encoding="utf-8")
    (_ROOT / "docs" / "parameters.md").write_text(parameters_markdown(), encoding="utf-8")
    return 0


def _groups() -> Iterator[tuple[str, list[tuple[str, ParameterSpec]]]]:
    for group in _ABOUT:
        names = ((*name.rpartition("."), spec) for name, spec in all_parameters().items())
        yield group, [(name, spec) for prefix, _, name, spec in names if prefix == group]


def _sentence(spec: ParameterSpec) -> str:
    allowed = _allowed(spec)
    return spec.description + (f" [{allowed}]" if allowed else "") + (" (live)" if spec.live else "")


def _allowed(spec: ParameterSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    low, high = (math.nan if bound is None else bound for bound in (spec.ge, spec.le))
    if math.isnan(low) and math.isnan(high):
        return ""
    steps = f" in steps of {_number(spec.step)}" if spec.step else ""
    if math.isnan(high):
        return f"at least {_number(low)}{steps}"
    return f"{_number(low)} to {_number(high)}{steps}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    sys.exit(main())
