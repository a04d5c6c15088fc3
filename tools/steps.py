"""Do the steps of a set-up: each once, alone, with its output in a log file and one line about it on the terminal."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "setup"
SHOWN_LOG_LINES = 25


class SetupError(Exception):
    """A step cannot be done; the message says what to do."""


class Stamp:
    """A file that remembers what a step was done with."""

    def __init__(self, path: Path, inputs: Iterable[str]) -> None:
        self._path = path
        self.digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()

    def is_current(self) -> bool:
        """Tell whether the step was done with the same inputs."""
        return self._path.exists() and self._path.read_text() == self.digest

    def write(self) -> None:
        """Remember that the step is done."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self.digest)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one set-up at a time work in this checkout."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("[set-up] another make is at work in this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_step(
    name: str,
    command: Sequence[object],
    stamp: Stamp,
    environment: dict[str, str],
    *,
    is_optional: bool = False,
    then: Callable[[], None] | None = None,
) -> None:
    """Run a command with its output in a log file, and print one line with the time that it took.

    Raises:
        SetupError: with the end of the log, if the command fails and the step is not optional.
    """
    if stamp.is_current():
        print(f"[set-up] {name}: as before", flush=True)
        return
    log = LOGS / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".log")
    shown = log.relative_to(ROOT)
    started = time.monotonic()
    print(f"[set-up] {name} … ", end="", flush=True)
    with open(log, "w") as output:
        is_done = _run(name, [str(word) for word in command], output, environment)
    if is_done:
        if then:
            then()
        stamp.write()
        print(f"{time.monotonic() - started:.0f} s", flush=True)
    elif is_optional:
        print(f"not available here (see {shown})", flush=True)
    else:
        print("failed", flush=True)
        last = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-SHOWN_LOG_LINES:])
        raise SetupError(f"{name} failed; the end of {shown}:\n{last}")


def _run(name: str, command: list[str], output: IO[str], environment: dict[str, str]) -> bool:
    """Run one command; a person at a terminal sees the seconds go by."""
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    except OSError as error:
        raise SetupError(f"{name}: {command[0]} cannot be started: {error}") from error
    with process:
        while True:
            try:
                return process.wait(timeout=1) == 0
            except subprocess.TimeoutExpired:
                if sys.stdout.isatty():
                    seconds = f"{time.monotonic() - started:.0f} s"
                    print(seconds, end="\b" * len(seconds), flush=True)
