"""Run the node as a process: from the command line to an exit status, through signals and faults in callbacks."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from spatial_mllm_ros.errors import SpatialMLLMError

if TYPE_CHECKING:
    from spatial_mllm_ros.ros.node import SpatialMLLMNode

__all__ = ["run"]

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 256 << 10  # glibc's name for the parameter, and its value for us
_LINGER_S = 0.2  # rclpy sends an action's result in a task of its own, after the goal has ended


def run(make_node: Callable[[], SpatialMLLMNode], args: list[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM.

    Returns:
        An exit status: 0 ended by a signal, 1 it could not start, 2 a parameter is not allowed.
    """
    _keep_large_buffers_apart()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    is_asked, is_over = threading.Event(), threading.Event()  # to end; and ended
    for number in _SIGNALS:
        signal.signal(number, lambda *_: is_asked.set())
    try:
        node = make_node()
    except SpatialMLLMError as error:
        print(f"spatial_mllm: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = MultiThreadedExecutor(node.num_threads)
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor, is_asked, is_over), name="executor", daemon=True)
    spinning.start()
    is_well = node.start() if node.config.node.autostart else True
    if is_well:
        is_asked.wait()
    is_loading = node.is_loading
    node.stop()
    time.sleep(_LINGER_S)
    is_over.set()
    executor.shutdown(timeout_sec=5.0)
    spinning.join(5.0)
    node.destroy_node()
    rclpy.try_shutdown()
    status = 0 if is_well else 1
    if is_loading:
        _leave(status)
    return status


def _keep_large_buffers_apart() -> None:
    """Let glibc give each image and activation pages of its own, which go back to the system when it is freed.

    By itself it soon stops doing so (it adapts the limit to what was freed, up to 32 MB). Images then leave holes
    between small objects, and the process grows by some ten MiB a minute under load though nothing is held.
    """
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:  # an operator's word counts
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _spin(executor: MultiThreadedExecutor, is_asked: threading.Event, is_over: threading.Event) -> None:
    """Spin until all is over. What a callback raises costs one message, not the node."""
    while not is_over.is_set():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except Exception:  # the edge between rclpy and us
            _log.exception("a callback failed; the node goes on")
        else:
            break
    is_asked.set()


def _leave(status: int) -> None:
    """End the process although a thread is still loading a model, which would crash in Python's own ending."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
