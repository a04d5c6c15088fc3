"""Programs of this package as real processes on a ROS graph of their own, with their output kept for failures."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_domains = itertools.count(os.getpid() % 80 + 1)

TOPICS = {
    "~/image/compressed": "/camera/color/image_raw/compressed",
    "~/image": "/camera/color/image_raw",
    "~/camera_info": "/camera/color/camera_info",
    "~/depth": "/camera/aligned_depth_to_color/image_raw",
    "~/odometry": "/odom",
}
# Small and quick: the bags of these tests hold flat pictures, which the gate would take for blurred ones.
QUICK = {
    "model.checkpoint": "random-small",  # says something about any question, and goes on for long
    "sampling.num_keyframes": 4,
    "frames.min_sharpness": 0.0,
    "frames.min_motion": 0.0,
    "reasoning.min_refresh_s": 0.0,
    "reasoning.max_duty": 1.0,
    "reasoning.max_new_tokens": 24,
    "diagnostics_period_s": 0.2,
}


class Graph:
    """A ROS domain that no other test uses, and the processes on it."""

    def __init__(self, folder: Path) -> None:
        self.domain_id = 1 + next(_domains) % 100
        self.folder = folder
        self.processes: list[Program] = []
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain_id),
            "FASTDDS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, module: str, *arguments: object) -> Program:
        program = Program(module, [str(word) for word in arguments], self)
        self.processes.append(program)
        return program

    def start_node(self, *, compressed: bool = False, **parameters: object) -> Program:
        """Start the node with the topics of the test bags; parameters by name with `__` for a dot."""
        values = {**QUICK, **{name.replace("__", "."): value for name, value in parameters.items()}}
        values["image_transport"] = "compressed" if compressed else "raw"
        words = [word for old, new in TOPICS.items() for word in ("-r", f"{old}:={new}")]
        words += [word for name, value in values.items() for word in ("-p", f"{name}:={_yaml(value)}")]
        return self.start("node", "--ros-args", *words)

    def close(self) -> None:
        for program in reversed(self.processes):
            program.stop()


class Program:
    """One process: `python -m spatial_mllm_ros.ros.<module>`."""

    def __init__(self, module: str, arguments: list[str], graph: Graph) -> None:
        self.log = graph.folder / f"{len(graph.processes)}-{module}.log"
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", f"spatial_mllm_ros.ros.{module}", *arguments],
                env=graph.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the ROS wheels start Python twice; a signal must reach both
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_text(self, text: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.text():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text()}"
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.text()}"
            time.sleep(0.05)

    def wait(self, timeout_s: float = 60.0) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end:\n{self.text()}") from None

    def send(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.process.wait()


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
