"""Compile an ONNX graph into a TensorRT engine.

Takes a strongly typed ONNX file with static shapes and a target; writes the engine and reports what it took. Knows
neither the model nor the cache. Works without a GPU where the flavour can aim at a named one (TensorRT-RTX).
"""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

__all__ = ["BuildReport", "build_engine"]

Progress = Callable[[str, int, int], bool]  # (phase, steps done, steps in all) -> False to stop the build


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build took.

    Attributes:
        seconds: wall-clock time, parsing included.
        engine_bytes: size of the engine.
        num_layers: layers of the parsed network.
        peak_host_bytes: the process's largest resident memory so far.
        activation_bytes: device memory for activations and scratch, as the builder itself states it; None if it
            does not. Weights (about `engine_bytes`) come on top.
    """

    seconds: float
    engine_bytes: int
    num_layers: int
    peak_host_bytes: int
    activation_bytes: int | None


def build_engine(
    tensorrt: TensorRT,
    onnx_path: Path,
    output: BinaryIO,
    *,
    target: str,
    progress: Progress | None = None,
    max_threads: int = 0,
) -> BuildReport:
    """Parse an ONNX file and write the engine that TensorRT builds from it.

    Args:
        tensorrt: the flavour to build with.
        onnx_path: strongly typed ONNX; external data lies beside it.
        output: binary file; the engine is streamed to it where the release can.
        target: "native", or a compute capability such as "sm_89".
        progress: called at every step of the builder; returning False stops the build.
        max_threads: builder threads; 0 leaves TensorRT's default.

    Raises:
        EngineError: if the graph does not parse, the target is not available, or TensorRT builds nothing; carries
            TensorRT's own last words.
    """
    trt = tensorrt.module
    started = time.monotonic()
    log = _BuildLog()
    logger = tensorrt.logger(log.read)
    builder = trt.Builder(logger)
    if max_threads:
        builder.max_threads = max_threads
    network = builder.create_network(tensorrt.network_flags())
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_path)):
        faults = "; ".join(parser.get_error(i).desc() for i in range(min(parser.num_errors, 3)))
        raise EngineError(f"{tensorrt.flavour} {tensorrt.version} cannot read {onnx_path}: {faults}")
    config = builder.create_builder_config()
    tensorrt.set_target(config, target)
    if progress is not None:
        config.progress_monitor = _progress_monitor(trt, progress)
    engine_bytes = _build(trt, builder, network, config, output)
    if engine_bytes is None:
        reason = f"built no engine from {onnx_path} for {target}: {log.last_error or 'no reason given'}"
        raise EngineError(f"{tensorrt.flavour} {tensorrt.version} {reason}")
    return BuildReport(
        seconds=time.monotonic() - started,
        engine_bytes=engine_bytes,
        num_layers=network.num_layers,
        peak_host_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        activation_bytes=log.activation_bytes,
    )


class _BuildLog:
    """Pick out of the builder's messages what no API gives without a GPU: its memory plan, and its last error."""

    _ACTIVATION = re.compile(r"Total Activation Memory: (\d+)")

    def __init__(self) -> None:
        self.activation_bytes: int | None = None
        self.last_error = ""

    def read(self, message: str) -> None:
        found = self._ACTIVATION.search(message)
        if found:
            self.activation_bytes = max(int(found[1]), self.activation_bytes or 0)
        elif "Error Code" in message:
            self.last_error = message


def _build(trt: Any, builder: Any, network: Any, config: Any, output: BinaryIO) -> int | None:
    """Build and write; return the number of bytes, or None if nothing was built."""
    if hasattr(builder, "build_serialized_network_to_stream"):  # halves the peak of host memory
        writer = _stream_writer(trt, output)
        return writer.num_bytes if builder.build_serialized_network_to_stream(network, config, writer) else None
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return None
    view = memoryview(plan)
    output.write(view)
    return view.nbytes


def _stream_writer(trt: Any, output: BinaryIO) -> Any:
    class StreamWriter(trt.IStreamWriter):
        def __init__(self) -> None:
            trt.IStreamWriter.__init__(self)
            self.num_bytes = 0

        def write(self, data: bytes) -> int:
            output.write(data)
            self.num_bytes += len(data)
            return len(data)

    return StreamWriter()


def _progress_monitor(trt: Any, progress: Progress) -> Any:
    class ProgressMonitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress(phase_name, step + 1, self._steps.get(phase_name, 0))

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return ProgressMonitor()
