"""`spatial-mllm doctor`: what was found on this machine, and how to get what is missing.

Works with nothing but the standard library (rich makes the table prettier). Each part is looked at on its own, so one
that is broken does not hide the others; ROS is tried in a child process, which an RMW that is missing would end.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.runtime.probe import Finding, probe_runtimes

__all__ = ["add_arguments", "examine", "run"]

_RELEASED = ("Diankun/Spatial-MLLM-v1.1-Instruct-135K", "Diankun/Spatial-MLLM-v1.1-Instruct-820K")
_LEAST_WIDTH = 100
_TRIAL_TIMEOUT_S = 60.0
_GET_ROS = "source /opt/ros/<distro>/setup.bash, or in a checkout run `make build` and source tools/env.sh"
_GET_INTERFACES = "colcon build, then source install/setup.bash (in a checkout: `make build`, tools/env.sh)"
_GET_ROOM = "export FASTDDS_DEFAULT_PROFILES_FILE=<share>/spatial_mllm_ros/config/fastdds.xml, camera driver and node"
_GET_TRANSFORMERS = "pip install 'transformers>=5.5.4'"
_GET_HUB = "pip install huggingface_hub"
_GET_CHECKPOINT = f"the demo does without; for real answers (10 GB): hf download {_RELEASED[0]}"
_TRIAL = """
import json, importlib.metadata, os, rclpy
from rclpy.type_support import check_for_type_support
try:
    version = importlib.metadata.version("rclpy")
except importlib.metadata.PackageNotFoundError:
    version = ""
try:
    from spatial_mllm_ros.action import AskSpatial
    from spatial_mllm_ros.msg import SpatialAnswer
    from spatial_mllm_ros.srv import SpatialQuery
    for interface in (AskSpatial, SpatialAnswer, SpatialQuery):
        check_for_type_support(interface)
    trouble = ""
except Exception as error:
    trouble = str(error) or type(error).__name__
middleware = rclpy.get_rmw_implementation_identifier()
print(json.dumps([os.path.dirname(rclpy.__file__), version, middleware, trouble]))
"""


class _Missing(Exception):
    """A part is not there or cannot be used; `fix`, where given, fits better than the part's usual one."""

    def __init__(self, detail: str, fix: str = "") -> None:
        super().__init__(detail)
        self.fix = fix


@dataclass(frozen=True)
class _Part:
    """One thing to look for: `look` returns what was found or raises `_Missing`; `get` says how to get it."""

    name: str
    look: Callable[[], str]
    get: str = ""
    is_needed: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; return 0 if all that the demo needs is there, else 1."""
    findings = examine()
    if args.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        show = _print_table if importlib.util.find_spec("rich") else _print_lines
        show(findings)
        print(_verdict(findings))
    return 0 if all(finding.is_found for finding in findings if finding.is_needed) else 1


def examine() -> list[Finding]:
    """Look at every part; never raises."""
    before = (
        _Part("machine", _machine),
        _Part("ROS 2", _distro, _GET_ROS),
        _Part("rclpy", _rclpy, _GET_ROS, is_needed=True),
        _Part("our interfaces", _interfaces, _GET_INTERFACES, is_needed=True),
        _Part("middleware", _middleware, _GET_ROOM),
        _Part("cv_bridge", _cv_bridge, "nothing to do: our own decoding serves all encodings"),
        _Part("OpenCV", lambda: _version("cv2"), "pip install opencv-python-headless", is_needed=True),
        _Part("rosbags", lambda: _version("rosbags"), "pip install rosbags", is_needed=True),
        _Part("transformers", _transformers, _GET_TRANSFORMERS, is_needed=True),
    )
    after = (
        _Part("MuJoCo (renders rooms)", lambda: _version("mujoco"), "pip install mujoco"),
        _Part("released checkpoint", _checkpoint, _GET_CHECKPOINT),
    )
    return [*map(_find, before), *probe_runtimes(), *map(_find, after)]


def _find(part: _Part) -> Finding:
    try:
        return Finding(part=part.name, is_found=True, detail=part.look(), is_needed=part.is_needed)
    except _Missing as missing:
        detail, fix = str(missing), missing.fix
    except Exception as error:  # a broken library may raise anything when it is imported
        detail, fix = f"broken: {str(error) or type(error).__name__}", ""
    return Finding(part=part.name, is_found=False, detail=detail, is_needed=part.is_needed, fix=fix or part.get)


def _machine() -> str:
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    return f"{system} on {platform.machine()}, Python {platform.python_version()} ({sys.executable})"


def _distro() -> str:
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        raise _Missing("ROS_DISTRO is not set")
    return f"{distro}, {'with' if shutil.which('ros2') else 'without'} the ros2 command"


def _ros_trial() -> tuple[str, str, str, str]:
    """Return rclpy's folder, version and middleware, and what is wrong with our interfaces."""
    found = _ask_child()
    if isinstance(found, _Missing):
        raise found
    return found


@functools.cache
def _ask_child() -> tuple[str, str, str, str] | _Missing:
    if importlib.util.find_spec("rclpy") is None:
        return _Missing("not importable")
    child = subprocess.run(
        [sys.executable, "-c", _TRIAL], capture_output=True, text=True, timeout=_TRIAL_TIMEOUT_S, check=False
    )
    if child.returncode == 0:
        return tuple(json.loads(child.stdout.splitlines()[-1]))
    last = (child.stderr.strip().splitlines() or [f"its trial ended with status {child.returncode}"])[-1]
    return _Missing(f"broken: {last}", "install that RMW or unset RMW_IMPLEMENTATION" if "RMW" in last else "")


def _behind_rclpy() -> tuple[str, str, str, str]:
    try:
        return _ros_trial()
    except _Missing as missing:
        raise _Missing("not tried, for lack of rclpy", missing.fix) from missing


def _rclpy() -> str:
    folder, version, _, _ = _ros_trial()
    return f"{version} in {folder}".strip()


def _interfaces() -> str:
    trouble = _behind_rclpy()[-1]
    if trouble:
        raise _Missing(trouble)
    return "spatial_mllm_ros.msg, .srv and .action"


def _middleware() -> str:
    name = _behind_rclpy()[2]
    where = f"{name}, domain {os.environ.get('ROS_DOMAIN_ID', '0')}"
    if "fastrtps" not in name:
        return where
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE") or os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE")
    transports = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS")
    if profile and not Path(profile).exists():
        raise _Missing(f"{where}; its profile {profile} is not there")
    if not profile and not transports:
        raise _Missing(f"{where}, with its default transports: most raw images get lost between processes")
    return f"{where}, {profile or transports}"


def _cv_bridge() -> str:
    from spatial_mllm_ros.frames import cv_bridge_probe

    probe = cv_bridge_probe()
    if not probe.is_usable:
        raise _Missing(probe.detail)
    return probe.detail


def _transformers() -> str:
    version = _version("transformers")
    try:
        from spatial_mllm_ros.model.versions import check_transformers
    except ImportError:  # for lack of torch, which has a line of its own
        return version
    try:
        check_transformers(version)
    except SpatialMLLMError as error:
        raise _Missing(str(error)) from error
    return version


def _checkpoint() -> str:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise _Missing("huggingface_hub is missing", _GET_HUB)
    from huggingface_hub import try_to_load_from_cache

    configs = {name: try_to_load_from_cache(name, "config.json") for name in _RELEASED}
    held = {name: Path(path).parent for name, path in configs.items() if isinstance(path, str)}
    whole = [name for name, folder in held.items() if any(folder.glob("*.safetensors"))]
    if whole:
        return ", ".join(whole)
    raise _Missing(f"{', '.join(held)} without its weights" if held else "none in the Hugging Face cache")


def _version(module: str) -> str:
    if importlib.util.find_spec(module) is None:
        raise _Missing("not installed")
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:  # from apt, or another name on PyPI
        return str(getattr(importlib.import_module(module), "__version__", "version unknown"))


def _mark(finding: Finding) -> str:
    return "✓" if finding.is_found else ("✗" if finding.is_needed else "–")


def _verdict(findings: list[Finding]) -> str:
    missing = [finding.part for finding in findings if finding.is_needed and not finding.is_found]
    if missing:
        return f"The demo cannot run, for lack of: {', '.join(missing)}."
    return "All that the demo needs is there."


def _print_lines(findings: list[Finding]) -> None:
    for finding in findings:
        print(f"{_mark(finding)} {finding.part:24}{finding.detail}")
        if finding.fix:
            print(f"{'':26}→ {finding.fix}")


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colour = {"✓": "green", "✗": "bold red", "–": "yellow"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        detail = Text(finding.detail)
        if finding.fix:
            detail.append(f"\n→ {finding.fix}", style="dim")
        mark = _mark(finding)
        table.add_row(Text(mark, style=colour[mark]), finding.part, detail)
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    console.print(table)
