"""The bag player as a process: what it publishes, when, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import defaultdict

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

import rclpy
from nav_msgs.msg import Odometry
from rosbags.typesys import get_types_from_msg
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from support.graph import Graph
from support.peer import Peer, until
from support.recorded_bags import BEGIN_NS, TYPES, Stored, message, odometry, tour, write_bag

from spatial_mllm_ros.frames import BagFile
from spatial_mllm_ros.ros.conversions import stamp_ns_from_time
from spatial_mllm_ros.ros.play_bag import BagPlayer

pytestmark = pytest.mark.ros
KINDS = {
    "/camera/color/camera_info": CameraInfo,
    "/camera/color/image_raw": Image,
    "/camera/aligned_depth_to_color/image_raw": Image,
    "/odom": Odometry,
}
PATIENT = ("--wait-for-subscribers", 20)


@pytest.fixture
def graph(tmp_path):
    graph = Graph(tmp_path)
    yield graph
    graph.close()


@pytest.fixture
def peer(graph):
    peer = Peer(graph.domain_id)
    yield peer
    peer.close()


@pytest.fixture
def odometry_bag(tmp_path):
    """One second of odometry at 10 Hz; message n is at x = n."""
    return write_bag(tmp_path / "odometry", [odometry("/odom", index / 10, float(index)) for index in range(10)])


def play(graph, bag, *words):
    """Play to the end."""
    player = graph.start("play_bag", bag, *words)
    assert player.wait() == 0, player.text()
    return player


def refuse(graph, *words):
    """Play what cannot be played; return what was said on stderr."""
    command = [sys.executable, "-m", "spatial_mllm_ros.ros.play_bag", *map(str, words)]
    done = subprocess.run(command, env=graph.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("play_bag: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def matches(heard, stored):
    """Whether bytes are the stored ones; DDS fills a message up to a multiple of four bytes."""
    return heard == stored + bytes(-len(stored) % 4)


def places(heard):
    return [message.pose.pose.position.x for message in heard]


# What is published


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_every_message_arrives_as_stored_and_in_order(graph, peer, tmp_path, storage):
    bag = write_bag(tmp_path / "bag", tour(10), storage)
    stored = defaultdict(list)
    with BagFile(bag) as file:
        for entry in file.messages(KINDS):
            stored[entry.topic].append(bytes(entry.data))
    heard = {topic: peer.listen(topic, kind, raw=True) for topic, kind in KINDS.items()}
    player = play(graph, bag, *PATIENT)
    for topic in KINDS:
        until(lambda topic=topic: len(heard[topic]) >= len(stored[topic]), f"all of {topic}")
        assert all(matches(*pair) for pair in zip(heard[topic], stored[topic], strict=True)), topic
    assert "/odom 10" in player.text()


def test_stamps_are_those_of_the_recording(graph, peer, odometry_bag):
    heard = peer.listen("/odom", Odometry)
    play(graph, odometry_bag, "--rate", 5, *PATIENT)
    until(lambda: len(heard) == 10, "all messages")
    stamps = [stamp_ns_from_time(message.header.stamp) for message in heard]
    assert stamps == [BEGIN_NS + index * 10**8 for index in range(10)]


def test_start_and_duration_cut_the_recording(graph, peer, odometry_bag):
    heard = peer.listen("/odom", Odometry)
    play(graph, odometry_bag, "--start", 0.2, "--duration", 0.4, *PATIENT)
    until(lambda: len(heard) >= 4, "the part")
    assert places(heard) == [2, 3, 4, 5]


def test_only_the_topics_asked_for_are_played_under_their_new_names(graph, peer, tmp_path):
    bag = write_bag(tmp_path / "bag", tour(5))
    old, new, depth = (
        peer.listen(topic, Odometry if "odom" in topic else Image)
        for topic in ("/odom", "/robot/odom", "/camera/aligned_depth_to_color/image_raw")
    )
    player = play(graph, bag, "--topics", "/odom", "--remap", "/odom:=/robot/odom", *PATIENT)
    until(lambda: len(new) == 5, "the renamed topic")
    assert (old, depth) == ([], []) and "image_raw" not in player.text()


def test_a_topic_of_an_unknown_type_is_skipped_with_a_line(graph, peer, tmp_path):
    TYPES.register(get_types_from_msg("float64 volume", "nowhere_msgs/msg/Noise"))
    noise = Stored("/noise", "nowhere_msgs/msg/Noise", 0.0, message("nowhere_msgs/msg/Noise", volume=1.0))
    bag = write_bag(tmp_path / "bag", [noise, odometry("/odom", 0.1, 1.0)])
    heard = peer.listen("/odom", Odometry)
    player = play(graph, bag, *PATIENT)
    until(lambda: len(heard) == 1, "the other topic")
    assert "skipping /noise: nowhere_msgs/msg/Noise is not installed" in player.text()


# When


def test_no_message_is_published_before_it_is_due(graph, odometry_bag):
    spans = {}
    rclpy.init(domain_id=graph.domain_id)
    try:
        node = rclpy.create_node("player")
        with BagFile(odometry_bag) as bag:
            for rate in (1.0, 4.0):
                player = BagPlayer(node, bag, rate=rate)
                began, early_s = time.monotonic(), []

                def note(recorded_ns, rate=rate, began=began, early_s=early_s, begin_ns=bag.start_ns):
                    early_s.append((recorded_ns - begin_ns) / 1e9 / rate - (time.monotonic() - began))

                player.play(bag.start_ns, None, note)
                spans[rate] = time.monotonic() - began
                assert len(early_s) == 10 and max(early_s) <= 0
                assert player.worst_lateness_s < 5.0
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    assert spans[4.0] < spans[1.0]


def test_a_loop_goes_back_in_stamps_until_it_is_interrupted(graph, peer, odometry_bag):
    heard = peer.listen("/odom", Odometry)
    player = graph.start("play_bag", odometry_bag, "--loop", "--rate", 5, *PATIENT)
    until(lambda: places(heard).count(0) >= 3, "the third round")
    player.send(signal.SIGINT)
    assert player.wait(20) == 130 and "Traceback" not in player.text(), player.text()
    assert places(heard)[:20] == [*range(10), *range(10)]


def test_clock_shows_the_recorded_time_and_grows(graph, peer, odometry_bag):
    clock = peer.listen("/clock", Clock)
    heard = peer.listen("/odom", Odometry)
    play(graph, odometry_bag, "--clock", 50, *PATIENT)
    until(lambda: len(heard) == 10 and len(clock) > 20, "the clock")
    times = [stamp_ns_from_time(message.clock) for message in clock]
    assert all(earlier < later for earlier, later in zip(times, times[1:], strict=False))
    assert times[0] >= BEGIN_NS and times[-1] <= BEGIN_NS + 9 * 10**8


def test_an_empty_part_ends_even_in_a_loop(graph, odometry_bag):
    assert "played nothing" in play(graph, odometry_bag, "--loop", "--start", 100).text()


# What cannot be played


def test_an_unknown_topic_is_named_with_those_there_are(graph, odometry_bag):
    assert "has no topic /odometry; it has /odom" in refuse(graph, odometry_bag, "--topics", "/odometry")
    assert "has no topic /image" in refuse(graph, odometry_bag, "--remap", "/image:=/picture")


def test_a_missing_bag_is_said_in_one_line(graph, tmp_path):
    assert "nothing_here" in refuse(graph, tmp_path / "nothing_here")


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_a_corrupt_bag_is_said_in_one_line(graph, tmp_path, storage):
    bag = write_bag(tmp_path / "bag", tour(10), storage)
    file = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert str(bag) in refuse(graph, bag, "--rate", 10)
    file.write_bytes(b"not a bag" * 100)
    assert str(bag) in refuse(graph, bag)
