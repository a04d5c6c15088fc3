"""Run TensorRT engines on torch tensors: no host copies, one stream, one scratch buffer for all engines.

Takes engine bytes that the cache has proved; gives `Encoder`s. Tensors are handed over by address; the engines run on
a stream of their own that waits for the caller's stream and makes the caller's stream wait, so the CPU never does.
Engines of one session run one after the other, which is what lets them share their scratch memory.
"""

from __future__ import annotations

import threading
from typing import Any

import torch

from spatial_mllm_ros.errors import EngineError, InputError
from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

__all__ = ["TensorRTEncoder", "TensorRTSession"]

_TORCH_DTYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "UINT8": torch.uint8,
    "BOOL": torch.bool,
}


class TensorRTSession:
    """A CUDA stream and a scratch buffer that all engines of one process share.

    Args:
        tensorrt: the flavour that the engines were built with.
        device: CUDA device, such as "cuda:0".
        cuda: the module with `Stream` and `current_stream`; `torch.cuda` but for tests without a GPU.
    """

    def __init__(self, tensorrt: TensorRT, device: str = "cuda", *, cuda: Any = torch.cuda) -> None:
        self.tensorrt = tensorrt
        self.device = torch.device(device)
        self._cuda = cuda
        self._runtime = tensorrt.module.Runtime(tensorrt.logger())
        self._stream = cuda.Stream(self.device)
        self._scratch = torch.empty(0, dtype=torch.uint8, device=self.device)
        self._lock = threading.Lock()

    def load(self, plan: bytes, name: str) -> TensorRTEncoder:
        """Deserialise an engine.

        Args:
            plan: bytes that `EngineCache.load` has proved.
            name: for messages, such as "encoder_2d".

        Raises:
            EngineError: if TensorRT refuses the bytes, or the engine has not one input and one output of static shape.
        """
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            version = f"{self.tensorrt.flavour} {self.tensorrt.version}"
            raise EngineError(f"{version} refuses the engine {name}; run `spatial-mllm build` on this machine")
        return TensorRTEncoder(self, engine, name)

    def run(self, context: Any, addresses: dict[str, torch.Tensor], scratch_bytes: int, name: str) -> None:
        """Enqueue one execution on the session's stream, between two events of the caller's stream.

        Raises:
            EngineError: if TensorRT does not enqueue it.
        """
        with self._lock:  # held while enqueueing only, not while the GPU works
            self._use_scratch(context, scratch_bytes)  # before the event: new memory may still be in use behind it
            caller = self._cuda.current_stream(self.device)
            self._stream.wait_stream(caller)
            for tensor_name, tensor in addresses.items():
                if not context.set_tensor_address(tensor_name, tensor.data_ptr()):
                    raise EngineError(f"TensorRT refuses the memory of {tensor_name} for {name}")
            if not context.execute_async_v3(self._stream.cuda_stream):
                raise EngineError(f"TensorRT did not run {name}; the reason is in the log above")
            caller.wait_stream(self._stream)
        for tensor in addresses.values():  # not to be reused for anything else before the engine is done with it
            tensor.record_stream(self._stream)

    def _use_scratch(self, context: Any, scratch_bytes: int) -> None:
        if self._scratch.numel() < scratch_bytes:
            if self._scratch.numel():
                self._scratch.record_stream(self._stream)
            self._scratch = torch.empty(scratch_bytes, dtype=torch.uint8, device=self.device)
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(self._scratch.data_ptr(), scratch_bytes)
        else:  # TensorRT before 10.1
            context.device_memory = self._scratch.data_ptr()


class TensorRTEncoder:
    """An `Encoder` that runs a TensorRT engine; made by `TensorRTSession.load`.

    Attributes:
        scratch_bytes: device memory that one execution needs besides weights.
    """

    backend = "tensorrt"

    def __init__(self, session: TensorRTSession, engine: Any, name: str) -> None:
        trt = session.tensorrt.module
        self.name = name
        self.scratch_bytes = session.tensorrt.device_memory_bytes(engine)
        self._session = session
        self._engine = engine  # must outlive its context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        outputs = [n for n in names if n not in inputs]
        if len(inputs) != 1 or len(outputs) != 1:
            raise EngineError(f"engine {name} has inputs {inputs} and outputs {outputs}; one of each is expected")
        self._input, self._output = inputs[0], outputs[0]
        self._shapes = {n: tuple(engine.get_tensor_shape(n)) for n in names}
        self._dtypes = {n: _torch_dtype(engine.get_tensor_dtype(n), name) for n in names}
        if any(side < 1 for shape in self._shapes.values() for side in shape):
            raise EngineError(f"engine {name} has dynamic shapes {self._shapes}; static ones are expected")
        self._context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if self._context is None:
            raise EngineError(f"TensorRT made no execution context for {name}; is there enough GPU memory?")

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encode `inputs` (on the session's device; cast to the engine's dtype if it has another).

        Raises:
            InputError: if the shape or the device is not the engine's.
            EngineError: if TensorRT does not run it.
        """
        shape, device = self._shapes[self._input], self._session.device
        if tuple(inputs.shape) != shape:
            raise InputError(f"{self.name} takes {list(shape)}, not {list(inputs.shape)}; its engine has a fixed shape")
        if inputs.device.type != device.type:
            raise InputError(f"{self.name} takes a tensor on {device}, not on {inputs.device}")
        inputs = inputs.to(self._dtypes[self._input]).contiguous()
        output = torch.empty(self._shapes[self._output], dtype=self._dtypes[self._output], device=device)
        addresses = {self._input: inputs, self._output: output}
        self._session.run(self._context, addresses, self.scratch_bytes, self.name)
        return output


def _torch_dtype(dtype: Any, name: str) -> torch.dtype:
    key = str(dtype).rsplit(".", 1)[-1]
    if key not in _TORCH_DTYPES:
        raise EngineError(f"engine {name} has a tensor of type {key}, which is not used here")
    return _TORCH_DTYPES[key]
