"""The error types of the package: few, and each message says what, where, and what to do.

All of them derive from `SpatialMLLMError`, so a door (`ros/`, `cli/`) can turn any of them into a status or an
exit code without knowing which stage raised it.
"""

__all__ = ["CheckpointError", "DependencyError", "EngineError", "InputError", "SpatialMLLMError"]


class SpatialMLLMError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(SpatialMLLMError, ValueError):
    """Something the caller handed over cannot be used: an array, a path, a question, a parameter."""


class CheckpointError(SpatialMLLMError):
    """A checkpoint is missing, damaged, or not a Spatial-MLLM of the expected shape."""


class EngineError(SpatialMLLMError):
    """An inference engine cannot be built, does not match this machine, or failed its proof."""


class DependencyError(SpatialMLLMError, ImportError):
    """An optional part (a library, a ROS package) is not installed; the message says how to get it."""
