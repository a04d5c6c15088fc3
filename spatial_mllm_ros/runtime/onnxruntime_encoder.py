"""Run an exported encoder with ONNX Runtime on torch tensors, by address: no copies on the way in or out.

Takes the path of an ONNX file; gives an `Encoder`. Knows no model and no spec: shapes and dtypes are the file's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from spatial_mllm_ros.errors import DependencyError, EngineError, InputError

__all__ = ["OnnxRuntimeEncoder"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(bfloat16)": torch.bfloat16}
_ELEMENTS = {torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: 16}  # ONNX's number of a type


class OnnxRuntimeEncoder:
    """An `Encoder` that runs one ONNX file of one input and one output of static shape.

    Args:
        path: the ONNX file; its external data lies beside it.
        device: "cpu", "cuda" or "cuda:N".
        num_threads: threads of one operator on a CPU; 0 for as many as torch uses.

    Attributes:
        name: the file's name without suffix: its stage.

    Raises:
        DependencyError: if ONNX Runtime is missing, or was built without the device.
        EngineError: if it does not load the file; ONNX Runtime knows no bfloat16 on a CPU, for one.
    """

    backend = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu", num_threads: int = 0) -> None:
        self.name = Path(path).stem
        self.device = torch.device(device)
        self._session = _open(Path(path), self.device, num_threads or torch.get_num_threads())
        self._input, self._output = _only(self._session.get_inputs()), _only(self._session.get_outputs())
        for tensor in (self._input, self._output):
            if tensor.type not in _DTYPES or not all(isinstance(side, int) for side in tensor.shape):
                raise EngineError(f"{path}: {tensor.name} is {tensor.type} {tensor.shape}; static floats are expected")

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encode `inputs` (moved to the device, and cast to the graph's dtype).

        Raises:
            InputError: if the shape is not the graph's.
        """
        if list(inputs.shape) != self._input.shape:
            raise InputError(f"{self.name} takes {self._input.shape}, not {list(inputs.shape)}: its graph has one size")
        inputs = inputs.detach().to(self.device, _DTYPES[self._input.type]).contiguous()
        output = torch.empty(self._output.shape, dtype=_DTYPES[self._output.type], device=self.device)
        binding = self._session.io_binding()
        binding.bind_input(*self._memory(self._input, inputs))
        binding.bind_output(*self._memory(self._output, output))
        if self.device.type == "cuda":  # ONNX Runtime has a stream of its own
            torch.cuda.current_stream(self.device).synchronize()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return output

    def _memory(self, described: Any, tensor: torch.Tensor) -> tuple:
        shape, address = list(tensor.shape), tensor.data_ptr()
        return described.name, self.device.type, self.device.index or 0, _ELEMENTS[tensor.dtype], shape, address


def _open(path: Path, device: torch.device, num_threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(f"ONNX Runtime cannot be imported ({error}); pip install onnxruntime") from error
    provider: Any = _PROVIDERS.get(device.type)
    if provider not in onnxruntime.get_available_providers():
        raise DependencyError(
            f"this ONNX Runtime {onnxruntime.__version__} was built without {device.type}; pip install onnxruntime-gpu"
        )
    if device.type == "cuda":
        provider = (provider, {"device_id": device.index or 0})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3  # errors; what an optimiser could not do is no news
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # its errors have no common type but this
        reason = str(error).strip().partition("\n")[0]
        raise EngineError(f"ONNX Runtime {onnxruntime.__version__} cannot load {path}: {reason}") from error


def _only(tensors: list) -> Any:
    if len(tensors) != 1:
        raise EngineError(f"the graph has {[tensor.name for tensor in tensors]} where one tensor is expected")
    return tensors[0]
