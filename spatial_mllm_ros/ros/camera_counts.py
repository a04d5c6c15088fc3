"""Print how many colour images a running node has received, from its diagnostics: `python -m …ros.camera_counts`."""

from __future__ import annotations

import sys
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray

__all__ = ["images_received", "main"]

_TIMEOUT_S = 20.0


def images_received(message: DiagnosticArray) -> int | None:
    """Return the number of colour images in a diagnostics message; None if the camera is not in it."""
    for status in message.status:
        if status.name == "spatial_mllm: camera":
            values = {pair.key: pair.value for pair in status.values}
            return int(values.get("images_received", 0))
    return None


def main() -> int:
    """Wait until the number stands still between two messages, and print it."""
    rclpy.init()
    node = rclpy.create_node("camera_counts")
    counts: list[int] = []

    def read(message: DiagnosticArray) -> None:
        count = images_received(message)
        if count is not None:
            counts.append(count)

    node.create_subscription(DiagnosticArray, "/diagnostics", read, 10)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and (len(counts) < 2 or counts[-1] != counts[-2]):
        rclpy.spin_once(node, timeout_sec=0.5)
    node.destroy_node()
    rclpy.try_shutdown()
    if not counts:
        print(f"no diagnostics of the node's camera within {_TIMEOUT_S:.0f} s", file=sys.stderr)
        return 1
    print(counts[-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
