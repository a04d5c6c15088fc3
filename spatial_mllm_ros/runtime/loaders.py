"""Load what was exported and built before: one loader for each library that runs encoders.

A loader says on construction whether its library and device are there, then loads the encoders of a spec, or says what
is missing. It proves nothing: that is `backends`' work.
"""

from __future__ import annotations

import importlib
from typing import Protocol

import torch

from spatial_mllm_ros.errors import DependencyError, EngineError
from spatial_mllm_ros.runtime.encoder import Encoder
from spatial_mllm_ros.runtime.engine_cache import CacheMiss, EngineCache
from spatial_mllm_ros.runtime.engine_key import engine_key
from spatial_mllm_ros.runtime.preparation import Preparation
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage
from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt
from spatial_mllm_ros.runtime.tensorrt_session import TensorRTSession

__all__ = ["LOADERS", "Loader", "OnnxRuntimeLoader", "TensorRTLoader", "require_gpu"]


class Loader(Protocol):
    """Loads the encoders of one backend.

    Attributes:
        runtimes: which specs' `runtime` it takes.
        name: the library with its version, for messages.
    """

    runtimes: tuple[str, ...]
    name: str

    def __init__(self, spec: EngineSpec, device: torch.device) -> None:
        """Find the library.

        Raises:
            DependencyError: if it is not installed.
            EngineError: if it cannot run on the device.
        """
        ...

    def load(self, wanted: Preparation) -> dict[Stage, Encoder] | CacheMiss:
        """Load every stage of the spec, or say what is missing.

        Raises:
            EngineError: if something is there that must not be loaded.
        """
        ...


class OnnxRuntimeLoader:
    """Loads exported graphs into ONNX Runtime."""

    runtimes = ("onnxruntime",)

    def __init__(self, spec: EngineSpec, device: torch.device) -> None:
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except (ImportError, OSError) as error:
            raise DependencyError(f"ONNX Runtime cannot be imported ({error}); pip install onnxruntime") from error
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        self._device = device

    def load(self, wanted: Preparation) -> dict[Stage, Encoder] | CacheMiss:
        """See `Loader.load`."""
        from spatial_mllm_ros.runtime.onnxruntime_encoder import OnnxRuntimeEncoder

        store = wanted.graphs()
        graphs = {stage: store.find(wanted.graph_key(stage)) for stage in wanted.spec.stages}
        for stage, graph in graphs.items():
            if graph is None or graph.path is None:
                return CacheMiss(f"{stage} has not been exported for {wanted.checkpoint}")
        return {stage: OnnxRuntimeEncoder(graph.path, device=str(self._device)) for stage, graph in graphs.items()}


class TensorRTLoader:
    """Loads cached engines into one TensorRT session."""

    runtimes = ("tensorrt", "tensorrt_rtx")

    def __init__(self, spec: EngineSpec, device: torch.device) -> None:
        self._tensorrt = find_tensorrt(spec.runtime)
        self.name = f"{self._tensorrt.flavour} {self._tensorrt.version}"
        require_gpu(device, self.name)
        self._session = TensorRTSession(self._tensorrt, str(device))

    def load(self, wanted: Preparation) -> dict[Stage, Encoder] | CacheMiss:
        """See `Loader.load`."""
        store, cache = wanted.graphs(), EngineCache(wanted.folder, wanted.max_bytes)
        encoders: dict[Stage, Encoder] = {}
        for stage in wanted.spec.stages:
            graph = store.find(wanted.graph_key(stage))
            if graph is None:
                return CacheMiss(f"{stage} has not been exported for {wanted.checkpoint}")
            engine = cache.load(engine_key(stage, graph.sha256, wanted.spec, self._tensorrt))
            if isinstance(engine, CacheMiss):
                return engine
            encoder = self._session.load(engine.plan, stage)
            wanted.spec.require_memory(stage, encoder.scratch_bytes, self.name)
            encoders[stage] = encoder
        return encoders


def require_gpu(device: torch.device, name: str) -> None:
    """Make sure that a library can run engines where the model is.

    Raises:
        EngineError: if that is no GPU.
    """
    if device.type != "cuda":
        raise EngineError(f"{name} runs engines on a GPU, and the model is on {device}")


LOADERS: dict[str, type[Loader]] = {"onnxruntime": OnnxRuntimeLoader, "tensorrt": TensorRTLoader}
