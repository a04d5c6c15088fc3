"""Open a ROS 2 bag without ROS: a bag folder, an .mcap file or a .db3 file, through the library `rosbags`.

`BagFile` gives topics and messages as they are stored, and turns whatever the library says about a damaged bag into one
`InputError`. Messages of the standard types that this package reads are deserialised by their definitions in ROS 2,
whatever definitions the bag carries: they are the same in all distributions, and bags from before Iron carry none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_mllm_ros.errors import DependencyError, InputError

__all__ = ["BAG_SUFFIXES", "BagFile", "BagTopic", "StoredMessage"]

BAG_SUFFIXES = (".mcap", ".db3")


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag: its name, its type such as "sensor_msgs/msg/Image", and how many messages it has."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class StoredMessage:
    """One message as stored: its topic and type, when it was recorded (nanoseconds), and its CDR bytes."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


class BagFile:
    """A bag opened for reading; a context manager.

    Args:
        path: a bag folder (with metadata.yaml), an .mcap or a .db3 file.

    Raises:
        InputError: if it is no ROS 2 bag, or is damaged.
        DependencyError: if `rosbags` is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from rosbags.rosbag2 import Reader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise DependencyError(
                "reading a bag needs the library rosbags; install it with `pip install rosbags`"
            ) from error
        self.path = path
        try:
            self._reader = Reader(path)
            self._reader.open()
            self.topics = tuple(
                BagTopic(name, info.msgtype or "", info.msgcount) for name, info in sorted(self._reader.topics.items())
            )
        except Exception as error:  # third-party parsers on unknown bytes: sqlite3, YAML, MCAP, zstd, each with its own
            raise self._damaged("this bag cannot be opened", error) from error
        self._typestore = get_typestore(Stores.ROS2_HUMBLE)

    @property
    def start_ns(self) -> int:
        """When the first message was recorded, nanoseconds."""
        return self._reader.start_time

    @property
    def length_s(self) -> float:
        """Seconds from the first message to the last."""
        return max(0.0, self._reader.duration / 1e9)

    def messages(
        self, topics: Collection[str], *, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[StoredMessage]:
        """Yield the messages of some topics in the order of recording.

        Args:
            topics: their names.
            start_ns, stop_ns: only messages recorded from `start_ns` until before `stop_ns`.

        Raises:
            InputError: where the bag turns out to be damaged.
        """
        connections = [connection for connection in self._reader.connections if connection.topic in topics]
        if not connections:
            return
        stored = self._reader.messages(connections, start_ns, stop_ns)
        while True:
            try:
                connection, recorded_ns, data = next(stored)
            except StopIteration:
                return
            except Exception as error:  # as in __init__
                raise self._damaged("this bag is damaged or cut off", error) from error
            yield StoredMessage(connection.topic, connection.msgtype, recorded_ns, data)

    def deserialize(self, message: StoredMessage) -> Any:
        """Return a message's fields as an object of `rosbags`, with the field names of ROS; arrays are numpy views.

        Raises:
            InputError: if its bytes do not fit its type.
        """
        try:
            return self._typestore.deserialize_cdr(message.data, message.type)
        except Exception as error:  # as in __init__
            raise InputError(f"a message on {message.topic} is not a {message.type}: {_words(error)}") from error

    def close(self) -> None:
        """Close the file."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> BagFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _damaged(self, what: str, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: {what}: {_words(error)}; check it with `ros2 bag info`, "
            "repair it with `ros2 bag reindex` or `mcap recover`"
        )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
