"""Run `preparation` as a child process, follow its steps, and put its end into one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.preparation import Preparation

__all__ = ["PreparationProcess"]

_COMMAND = (sys.executable, "-m", "spatial_mllm_ros.runtime.preparation")
_PACKAGE_FOLDER = Path(__file__).parents[2]
_TAIL_BYTES = 4096


class PreparationProcess:
    """One run of `preparation`, which another thread may stop.

    Args:
        command: what to run; another one in tests.
    """

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def run(self, wanted: Preparation, report: Callable[[str], object]) -> None:
        """Prepare and wait for the end.

        Args:
            wanted: what is to be there afterwards.
            report: told each step, in words.

        Raises:
            EngineError: if it did not come to a good end, with the reason; also if it was stopped.
        """
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._is_stopped:
                    raise EngineError("building the engines was stopped")
                self._process = process = self._start(errors)
            with process:
                said = self._follow(process, wanted, report)
            if said.get("done") and process.returncode == 0:
                return
            raise EngineError(self._why(process.returncode, said.get("error"), errors))

    def stop(self) -> None:
        """End the run, or keep it from beginning; what is half written is left to the next run to remove."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _start(self, errors: BinaryIO) -> subprocess.Popen:
        paths = [str(_PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is the node's to handle; stdin tells the child when to end
        )

    def _follow(self, process: subprocess.Popen, wanted: Preparation, report: Callable[[str], object]) -> dict:
        said: dict = {}
        try:
            process.stdin.write(wanted.to_json() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return said
        for line in process.stdout:
            said = json.loads(line)
            if "step" in said:
                report(said["step"])
        process.wait()
        return said

    def _why(self, code: int, error: str | None, errors: BinaryIO) -> str:
        if self._is_stopped:
            return "building the engines was stopped"
        if error:
            return error
        if code == -signal.SIGKILL:
            how = "run `spatial-mllm build` while no node runs"
            return f"the engine builder was killed, most likely for lack of memory; {how}"
        errors.seek(0, os.SEEK_END)
        errors.seek(max(0, errors.tell() - _TAIL_BYTES))
        tail = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"the engine builder ended with status {code}: {tail or 'without a word'}"
