"""Forward the library's `logging` to a node's logger, so that both appear in one place with one level."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

__all__ = ["forward_logs"]

_PACKAGE = "spatial_mllm_ros"


class _Forwarder(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        # One line per level: rclpy refuses a call site that changes its level.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def forward_logs(logger: RcutilsLogger) -> None:
    """Send what this package logs to `logger`, in place of a logger it was sent to before."""
    package = logging.getLogger(_PACKAGE)
    for handler in [handler for handler in package.handlers if isinstance(handler, _Forwarder)]:
        package.removeHandler(handler)
    package.addHandler(_Forwarder(logger))
    package.setLevel(logging.DEBUG)
    package.propagate = False
