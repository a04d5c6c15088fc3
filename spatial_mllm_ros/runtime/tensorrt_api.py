"""One small adapter over the TensorRT flavours: `tensorrt` (JetPack, desktop) and TensorRT-RTX (PyPI).

Takes the name of a flavour; gives its module with its version and the few calls that differ between releases
(10.x on JetPack 6 and 7, 11.x, RTX 1.x). Only what all of them share is used elsewhere: strong typing, no precision
flags, no timing cache, named tensors (DESIGN.md, decision 5).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from spatial_mllm_ros.errors import DependencyError, EngineError

__all__ = ["TensorRT", "find_tensorrt", "known_fault"]

_log = logging.getLogger(__name__)

# In the order in which they are tried. RTX's PyPI wheels come as a pair: libraries first, then bindings.
_MODULES: dict[str, tuple[tuple[str, ...], ...]] = {
    "tensorrt": (("tensorrt",),),
    "tensorrt_rtx": (("tensorrt_rtx",), ("tensorrt_rtx_libs", "tensorrt_rtx_bindings")),
}
_HOW_TO_INSTALL = {
    "tensorrt": "on a Jetson it comes with JetPack (apt install python3-libnvinfer); elsewhere pip install tensorrt",
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
}
_KNOWN_WRONG = "tensorrt 10.3."
_WAY_OUT = (
    "TensorRT 10.3 (JetPack 6.2) is known for wrong vision transformers (NVIDIA/TensorRT 4723): "
    "use JetPack 7, or a newer TensorRT, or set runtime.backend to torch"
)


def known_fault(library: str) -> str:
    """Say what is known of a release that computes wrongly, and the way out; empty for all others.

    Args:
        library: flavour and version, such as "tensorrt 10.3.0.30".
    """
    return _WAY_OUT if library.startswith(_KNOWN_WRONG) else ""


@dataclass(frozen=True)
class TensorRT:
    """A TensorRT flavour that can be imported here.

    Attributes:
        flavour: "tensorrt" or "tensorrt_rtx".
        module: its Python module, used as `trt` in NVIDIA's documentation.
        version: such as "10.3.0.30".
    """

    flavour: str
    module: ModuleType
    version: str

    def logger(self, on_message: Callable[[str], object] | None = None) -> Any:
        """Make a TensorRT logger that forwards to Python's `logging`.

        Args:
            on_message: also called with the text of every message, down to the most verbose ones.
        """
        trt = self.module
        levels = {
            trt.ILogger.INTERNAL_ERROR: logging.ERROR,
            trt.ILogger.ERROR: logging.ERROR,
            trt.ILogger.WARNING: logging.WARNING,
            trt.ILogger.INFO: logging.DEBUG,  # TensorRT's INFO is for developers
        }

        class ForwardingLogger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.min_severity = trt.ILogger.INFO if on_message is None else trt.ILogger.VERBOSE

            def log(self, severity: Any, message: str) -> None:
                if severity in levels:
                    _log.log(levels[severity], "TensorRT: %s", message)
                if on_message is not None:
                    on_message(message)

        return ForwardingLogger()

    def network_flags(self) -> int:
        """Return the flags of a strongly typed network; releases where that is the only kind have no flag for it."""
        flag = getattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return 0 if flag is None else 1 << int(flag)

    def set_target(self, config: Any, target: str) -> None:
        """Aim a build at a compute capability such as "sm_89"; "native" leaves it at this machine's GPU.

        Raises:
            EngineError: if this flavour cannot build for another GPU, or not for that one.
        """
        capability = self._capability(target)
        if capability is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(capability, 0)

    def check_target(self, target: str) -> None:
        """Refuse a target before anything is exported for it; raises as `set_target` does."""
        self._capability(target)

    def _capability(self, target: str) -> Any:
        if target == "native":
            return None
        capability = getattr(self.module, "ComputeCapability", None)
        if capability is None:
            raise EngineError(
                f"{self.flavour} {self.version} builds for the GPU of this machine only; "
                f'build on the machine that has {target}, with target "native"'
            )
        name = target.replace("_", "").upper()
        if not hasattr(capability, name):
            known = sorted(int(entry[2:]) for entry in capability.__members__ if entry[:2] == "SM")
            can = ", ".join(f"sm_{number}" for number in known)
            raise EngineError(f"{self.flavour} {self.version} cannot build for {target}; it can for {can}")
        return getattr(capability, name)

    def device_memory_bytes(self, engine: Any) -> int:
        """Return the scratch memory that one execution of `engine` needs, in bytes (weights not counted)."""
        size = getattr(engine, "device_memory_size_v2", None)  # 10.x before it: device_memory_size
        return int(engine.device_memory_size if size is None else size)


def find_tensorrt(flavour: str) -> TensorRT:
    """Import a TensorRT flavour.

    Raises:
        DependencyError: if it is not installed or does not load here; says how to get it.
    """
    problem = None
    for names in _MODULES[flavour]:
        try:
            module = [importlib.import_module(name) for name in names][-1]
        except (ImportError, OSError) as error:  # OSError: the library itself does not load
            problem = problem or error
        else:
            return TensorRT(flavour, module, module.__version__)
    raise DependencyError(f"{flavour} cannot be imported ({problem}); {_HOW_TO_INSTALL[flavour]}") from problem
