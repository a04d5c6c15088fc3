"""Programs of this package as processes of one ROS graph, with their output in log files: for the demo and the soak."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["COLOUR", "ROOT", "Program", "ProgramError", "frames_played", "graph_environment", "node_arguments"]

ROOT = Path(__file__).resolve().parents[2]
COLOUR = "/camera/color/image_raw/compressed"
_REMAP = {
    "~/image/compressed": COLOUR,
    "~/camera_info": "/camera/color/camera_info",
    "~/depth": "/camera/aligned_depth_to_color/image_raw",
    "~/odometry": "/odom",
}
_TAIL = 20  # lines of a log that say why a program failed
_ENDING_S = 15.0


class ProgramError(Exception):
    """A program did not do what was waited for; the message has the end of its log."""


def graph_environment() -> dict[str, str]:
    """Give the environment of processes that share a graph: this one's, on a domain of its own unless one is set."""
    environment = dict(os.environ)
    environment.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    environment.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))
    return environment


def node_arguments(checkpoint: str, **parameters: object) -> list[str]:
    """Give the node's arguments for the topics of the sample bag; parameters by name, with `__` for a dot."""
    values = {"image_transport": "compressed", "model.checkpoint": checkpoint}
    values.update({name.replace("__", "."): value for name, value in parameters.items()})
    words = [word for old, new in _REMAP.items() for word in ("-r", f"{old}:={new}")]
    return ["--ros-args", *words, *(word for name, value in values.items() for word in ("-p", f"{name}:={value}"))]


def frames_played(player: Program) -> int:
    """Read from the player's output how many colour frames it has published.

    Raises:
        ProgramError: if it published none.
    """
    found = re.search(rf"{re.escape(COLOUR)} (\d+)", player.text())
    if not found:
        raise ProgramError(f"the player published nothing on {COLOUR}:\n{player.tail()}")
    return int(found[1])


class Program:
    """`python -m spatial_mllm_ros.ros.<module>` as a process; stopped at the end of a `with`.

    Args:
        name: for people, and of the log file.
        module: in `spatial_mllm_ros.ros`.
        arguments: of the command line.
        folder: where the log goes.
        environment: of the process.
    """

    def __init__(
        self, name: str, module: str, arguments: list[object], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.log = folder / f"{name}.log"
        self._name = name
        with open(self.log, "w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", f"spatial_mllm_ros.ros.{module}", *map(str, arguments)],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def text(self) -> str:
        """Give all that it has printed."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """Give the last lines that it has printed."""
        return "\n".join(self.text().splitlines()[-_TAIL:])

    def wait_for_text(self, text: str, timeout_s: float) -> None:
        """Wait until it has printed `text`.

        Raises:
            ProgramError: if it ends before, or does not within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while text not in self.text():
            if not self.is_running:
                raise ProgramError(f"the {self._name} ended with status {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProgramError(f"the {self._name} did not say {text!r} within {timeout_s:.0f} s:\n{self.tail()}")
            time.sleep(0.1)

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended.

        Raises:
            ProgramError: if it does not within `timeout_s` seconds.
        """
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"the {self._name} did not end within {timeout_s:.0f} s:\n{self.tail()}") from None

    def stop(self) -> None:
        """Ask it to end, and make it end if it does not."""
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
