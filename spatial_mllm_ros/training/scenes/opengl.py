"""Find an OpenGL that draws without a screen, and make a context of it."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from spatial_mllm_ros.errors import DependencyError

__all__ = ["find_backend", "make_context"]

_LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}
_ADVICE = (
    "on Debian or Ubuntu: sudo apt-get install libegl1 libgl1-mesa-dri (or libosmesa6, with MUJOCO_GL=osmesa in the "
    "environment)"
)


def find_backend() -> str:
    """Return the name of MuJoCo's backend to use: that in MUJOCO_GL, else egl or osmesa, whichever is installed.

    Raises:
        DependencyError: if none is; says what to install.
    """
    named = os.environ.get("MUJOCO_GL", "").lower()
    if named:
        return named
    if sys.platform != "linux":
        return "cgl" if sys.platform == "darwin" else "glfw"
    for name, libraries in _LIBRARIES.items():
        if any(_is_loadable(library) for library in libraries):
            return name
    raise DependencyError(f"rendering needs OpenGL that works without a screen, and there is none; {_ADVICE}")


def make_context(width: int, height: int) -> Any:
    """Make an OpenGL context for images of up to this size, current in this thread.

    Returns:
        A MuJoCo `GLContext`: `make_current()`, `free()`.

    Raises:
        DependencyError: if MuJoCo is missing, or no context can be made; says what to install.
    """
    backend = find_backend()
    if backend not in ("egl", "osmesa", "glfw", "cgl"):
        raise DependencyError(f"MUJOCO_GL={backend} cannot draw without a screen; unset it, or set egl or osmesa")
    os.environ.setdefault(
        "MUJOCO_GL", backend
    )  # else importing mujoco looks for a screen, and warns that there is none
    try:
        import mujoco  # noqa: F401
    except ImportError as error:
        raise DependencyError("rendering rooms needs MuJoCo; install it with: pip install mujoco") from error
    try:
        module = __import__(f"mujoco.{backend}", fromlist=["GLContext"])
        context = module.GLContext(width, height)
        context.make_current()
    except Exception as error:  # PyOpenGL and the drivers raise whatever they like
        raise DependencyError(f"OpenGL without a screen ({backend}) does not work: {error}; {_ADVICE}") from error
    return context


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
