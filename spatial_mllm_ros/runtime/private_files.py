"""Files that decide what this program runs: in a folder of this user alone, written whole or not at all.

An engine is executable code (DESIGN.md, decision 6). What is checked is what is read: one open, no link followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from spatial_mllm_ros.errors import EngineError

__all__ = ["locked", "private_folder", "read_private", "replacing"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> Path:
    """Make a folder with mode 0700 if it is not there, and return it.

    Raises:
        EngineError: if it belongs to someone else, is a link, or others may write or read it; or cannot be made.
    """
    folder = Path(folder)
    if folder.is_symlink():
        raise EngineError(f"engine cache {folder} is a link; name the folder itself")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"engine cache {folder} cannot be made: {error.strerror}") from error
    _check_private(folder, is_folder=True)
    return folder


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock between processes; waits for its turn, which the kernel gives on when a holder dies.

    Args:
        path: of the lock file; it stays, since removing it would race.
        on_wait: called once if another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file beside `path` and rename it into place once it is on disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes:
    """Read a file that this user alone can write.

    Raises:
        EngineError: if it is not a plain file of this user's, or others may write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        reason = f"{path} cannot be read as a plain file ({error.strerror}); delete it to build it again"
        raise EngineError(reason) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EngineError(f"{path} is not a plain file; delete it to build it again")
        _check_private(path, is_folder=False, status=status)
        return file.read()


def _check_private(path: Path, *, is_folder: bool, status: os.stat_result | None = None) -> None:
    status = path.stat() if status is None else status
    if status.st_uid != os.getuid():
        raise EngineError(
            f"{path} belongs to user {status.st_uid}, not to {os.getuid()}, and an engine is code; delete it"
        )
    lax = status.st_mode & (_OTHERS if is_folder else stat.S_IWGRP | stat.S_IWOTH)
    if lax:
        fix = "chmod 700" if is_folder else "delete it, or chmod 600"
        mode = stat.S_IMODE(status.st_mode)
        raise EngineError(f"{path} has mode {mode:o}, so others may change engines; {fix} {path}")
