"""Forward the library's `logging` to a node's logger, so that both appear in one place and obey one level."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.logging import LoggingSeverity

__all__ = ["LogForwarding"]

_PACKAGE = logging.getLogger("spatial_mllm_ros")


class LogForwarding(logging.Handler):
    """Sends what this package logs to a node's logger, from `open` to `close`."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger
        self._before = (logging.NOTSET, True)

    def open(self) -> None:
        """Begin to forward. From now on the node's logger alone decides what is shown."""
        self._before = (_PACKAGE.level, _PACKAGE.propagate)
        _PACKAGE.addHandler(self)
        _PACKAGE.setLevel(logging.DEBUG)
        _PACKAGE.propagate = False

    def close(self) -> None:
        """Stop, and leave `logging` as it was."""
        if self in _PACKAGE.handlers:
            _PACKAGE.removeHandler(self)
            level, _PACKAGE.propagate = self._before
            _PACKAGE.setLevel(level)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; called by `logging`."""
        severity = _severity_of(record.levelno)
        if not self._logger.is_enabled_for(severity):
            return
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        # One line per level: rclpy refuses a call site that changes its level.
        if severity == LoggingSeverity.ERROR:
            self._logger.error(text)
        elif severity == LoggingSeverity.WARN:
            self._logger.warning(text)
        elif severity == LoggingSeverity.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def _severity_of(levelno: int) -> LoggingSeverity:
    if levelno >= logging.ERROR:
        return LoggingSeverity.ERROR
    if levelno >= logging.WARNING:
        return LoggingSeverity.WARN
    return LoggingSeverity.INFO if levelno >= logging.INFO else LoggingSeverity.DEBUG
