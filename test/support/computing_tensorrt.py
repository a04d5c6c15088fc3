"""A double of TensorRT whose engines compute: they read and write the memory at the addresses that they were given.

What a real engine does between two events is a function here. Everything else is as in `RecordedTensorRT`.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import torch
from support.recorded_tensorrt import RecordedTensorRT

_NAMES = {torch.float32: "FLOAT", torch.bfloat16: "BF16", torch.float16: "HALF"}


class ComputingTensorRT(RecordedTensorRT):
    """TensorRT with one engine for each plan.

    Args:
        engines: by plan bytes, (function from tensor to tensor, example of its input).
    """

    def __init__(self, engines, **options):
        super().__init__(**options)
        self._functions = {}
        for plan, (function, example) in engines.items():
            output = function(example)
            tensors = {"inputs": ("INPUT", example), "outputs": ("OUTPUT", output)}
            self._functions[plan] = (function, tensors)

    def _deserialise(self, plan):
        self.calls.append(("deserialise", plan))
        if plan not in self._functions:
            return None
        function, tensors = self._functions[plan]
        self.tensors = {n: (mode, tuple(t.shape), _NAMES[t.dtype]) for n, (mode, t) in tensors.items()}
        engine = self._engine()
        described = dict(self.tensors)  # of this engine; those of the double are the newest one's
        engine.get_tensor_mode = lambda n: self.module.TensorIOMode[described[n][0]]
        engine.get_tensor_shape = lambda n: described[n][1]
        engine.get_tensor_dtype = lambda n: f"DataType.{described[n][2]}"
        engine.create_execution_context = lambda strategy: self._computing_context(strategy, function, tensors)
        return engine

    def _computing_context(self, strategy, function, tensors):
        recorded, addresses = self._context(strategy), {}

        def set_address(name, pointer):
            addresses[name] = pointer
            return recorded.set_tensor_address(name, pointer)

        def execute(stream):
            memory = {name: _at(pointer, tensors[name][1]) for name, pointer in addresses.items()}
            memory["outputs"].copy_(function(memory["inputs"]))
            return recorded.execute_async_v3(stream)

        return SimpleNamespace(
            set_tensor_address=set_address, execute_async_v3=execute, set_device_memory=recorded.set_device_memory
        )


def _at(pointer, like):
    """View the memory at an address as a tensor of the same shape and dtype as another."""
    memory = (ctypes.c_char * (like.numel() * like.element_size())).from_address(pointer)
    return torch.frombuffer(memory, dtype=like.dtype).view(like.shape)
