"""What runs an encoder: torch, ONNX Runtime or TensorRT; and where.

Takes engine specs, ONNX graphs and engines; gives `Encoder`s. Engines are kept in a private folder and used only if
everything about them matches. Knows neither keyframes nor questions; the model's modules are read for export only.
"""

from spatial_mllm_ros.runtime.devices import pick_backend, pick_device, pick_dtype

__all__ = ["pick_backend", "pick_device", "pick_dtype"]
