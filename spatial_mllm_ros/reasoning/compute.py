"""How two threads share one GPU: a question's work goes ahead of the encoders', and times are those of work done.

On a CPU there is nothing to arrange here.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

__all__ = ["ahead_of_others", "settle"]

_HIGH_PRIORITY = -1


def settle(device: torch.device) -> None:
    """Wait until the work that this thread has given to a GPU is done."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def ahead_of_others(device: torch.device) -> AbstractContextManager:
    """Make a context in which this thread's work on a GPU does not queue behind that of other threads.

    By default all threads of a process share one stream: the first token would wait for the keyframes being encoded.
    """
    if device.type == "cuda":
        return torch.cuda.stream(torch.cuda.Stream(device, priority=_HIGH_PRIORITY))
    return contextlib.nullcontext()
