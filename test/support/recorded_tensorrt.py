"""A double of the TensorRT module and of `torch.cuda` that records calls.

Only what cannot exist on a machine without a GPU is doubled: deserialising and running an engine, and CUDA streams.
Building is tested with the real TensorRT-RTX. docs/gpu-checks.md lists what a machine with a GPU has to confirm.
"""

from __future__ import annotations

import enum
from types import SimpleNamespace

import torch

from spatial_mllm_ros.runtime.tensorrt_api import TensorRT


class RecordedTensorRT:
    """Engines of one input [2,3] and one output [4], in bfloat16; every call that matters is put into `calls`."""

    def __init__(self, *, tensors=None, scratch_bytes=100, runs=True, deserialises=True, has_set_device_memory=True):
        self.calls = []
        self.tensors = tensors or {"video": ("INPUT", (2, 3), "BF16"), "connector_embeds": ("OUTPUT", (4,), "BF16")}
        self.scratch_bytes = scratch_bytes
        self.runs = runs
        self.deserialises = deserialises
        self.has_set_device_memory = has_set_device_memory

    def tensorrt(self) -> TensorRT:
        class ILogger:
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        module = SimpleNamespace(
            ILogger=ILogger,
            Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=self._deserialise),
            TensorIOMode=enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"]),
            ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user-managed"),
        )
        self.module = module
        return TensorRT("tensorrt", module, "10.3.0.30")

    def cuda(self):
        return SimpleNamespace(Stream=lambda device: RecordedStream(self, "engine"), current_stream=self._current)

    def _current(self, device):
        return RecordedStream(self, "caller")

    def _deserialise(self, plan):
        self.calls.append(("deserialise", plan))
        return self._engine() if self.deserialises else None

    def _engine(self):
        names = list(self.tensors)
        return SimpleNamespace(
            num_io_tensors=len(names),
            get_tensor_name=lambda i: names[i],
            get_tensor_mode=lambda n: self.module.TensorIOMode[self.tensors[n][0]],
            get_tensor_shape=lambda n: self.tensors[n][1],
            get_tensor_dtype=lambda n: f"DataType.{self.tensors[n][2]}",
            device_memory_size_v2=self.scratch_bytes,
            create_execution_context=self._context,
        )

    def _context(self, strategy):
        self.calls.append(("context", strategy))
        context = SimpleNamespace(set_tensor_address=self._address, execute_async_v3=self._execute)
        if self.has_set_device_memory:
            context.set_device_memory = lambda pointer, size: self.calls.append(("scratch", size))
        return context

    def _address(self, name, pointer):
        self.calls.append(("address", name, pointer))
        return True

    def _execute(self, stream):
        self.calls.append(("execute", stream))
        return self.runs


class RecordedStream:
    """A CUDA stream in name only."""

    cuda_stream = 77

    def __init__(self, recorded, name):
        self._recorded, self.name = recorded, name

    def wait_stream(self, other):
        self._recorded.calls.append(("wait", self.name, other.name))


def skip_record_stream(monkeypatch):
    """CPU tensors cannot be recorded on a CUDA stream; note the calls instead."""
    recorded = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: recorded.append(tensor.data_ptr()))
    return recorded
