"""The thread that serves the camera's subscriptions, over a real graph."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

import rclpy
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from support.running_node import image_msg, next_domain, until

from spatial_mllm_ros.ros.qos import SubscriptionEventCallbacks
from spatial_mllm_ros.ros.subscription_thread import SubscriptionThread, UnexecutedGroup

pytestmark = pytest.mark.ros


@pytest.fixture
def node():
    context = Context()
    rclpy.init(context=context, domain_id=next_domain())
    made = rclpy.create_node("camera_test", context=context)
    yield made
    made.destroy_node()
    context.try_shutdown()


def subscribe(node, callback, kind=Image, topic="image"):
    return node.create_subscription(
        kind,
        topic,
        callback,
        30,
        callback_group=UnexecutedGroup(),
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
    )


def publish_until(publisher, condition, what, msg=None):
    def publish_and_look():
        publisher.publish(msg or image_msg(1.0))
        return condition()

    until(publish_and_look, what)


def test_messages_arrive_in_order_and_in_the_thread_of_that_name(node):
    heard = []
    subscription = subscribe(node, lambda msg: heard.append((msg.header.stamp.sec, threading.current_thread().name)))
    publisher = node.create_publisher(Image, "image", 30)
    until(publisher.get_subscription_count, "a match")
    for second in range(30):
        publisher.publish(image_msg(second))
    thread = SubscriptionThread(node, [subscription], "camera of a test")
    until(lambda: len(heard) == 30, "all that waited in the queue")
    thread.stop()
    assert heard == [(second, "camera of a test") for second in range(30)]


def test_an_executor_of_the_node_leaves_the_subscriptions_alone(node):
    heard, others = [], []
    subscription = subscribe(node, lambda _: heard.append(threading.current_thread().name))
    node.create_subscription(Image, "image", others.append, 30)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    thread = SubscriptionThread(node, [subscription], "camera of a test")
    publisher = node.create_publisher(Image, "image", 30)
    publish_until(publisher, lambda: len(heard) > 5 and len(others) > 5, "messages for both")
    thread.stop()
    executor.shutdown()
    spinning.join(5.0)
    assert set(heard) == {"camera of a test"}


def test_a_callback_that_raises_costs_one_message_and_is_logged(node, caplog):
    heard = []

    def fail_first(msg):
        heard.append(msg)
        if len(heard) == 1:
            raise ValueError("a fault in a callback")

    subscription = subscribe(node, fail_first)
    thread = SubscriptionThread(node, [subscription], "camera of a test")
    publish_until(node.create_publisher(Image, "image", 30), lambda: len(heard) > 3, "more after the fault")
    thread.stop()
    assert "a callback of /image failed" in caplog.text and "a fault in a callback" in caplog.text


def test_a_busy_subscription_does_not_starve_another(node):
    order = []
    images = subscribe(node, lambda _: order.append("image"))
    poses = subscribe(node, lambda _: order.append("pose"), Odometry, "odometry")
    publishers = [node.create_publisher(Image, "image", 30), node.create_publisher(Odometry, "odometry", 30)]
    until(lambda: all(publisher.get_subscription_count() for publisher in publishers), "a match")
    for _ in range(20):
        publishers[0].publish(image_msg(1.0))
    for _ in range(5):
        publishers[1].publish(Odometry())
    thread = SubscriptionThread(node, [images, poses], "camera of a test")
    until(lambda: len(order) == 25, "all messages")
    thread.stop()
    assert order[:10].count("pose") == 5


def test_stop_waits_for_the_callback_under_way_and_none_comes_after(node):
    is_in, may_go, heard = threading.Event(), threading.Event(), []

    def hold(msg):
        is_in.set()
        may_go.wait()
        heard.append(msg)

    subscription = subscribe(node, hold)
    publisher = node.create_publisher(Image, "image", 30)
    thread = SubscriptionThread(node, [subscription], "camera of a test")
    publish_until(publisher, is_in.is_set, "a callback under way")
    stopping = threading.Thread(target=thread.stop)
    stopping.start()
    until(thread._is_stopping.is_set, "the wish to stop")
    assert stopping.is_alive()
    may_go.set()
    stopping.join(10.0)
    assert not stopping.is_alive() and len(heard) == 1
    node.destroy_subscription(subscription)


def test_it_can_be_begun_and_ended_again_and_again_under_load(node):
    publisher = node.create_publisher(Image, "image", 30)
    is_over = threading.Event()

    def publish():
        while not is_over.wait(0.0005):
            publisher.publish(image_msg(1.0))

    publishing = threading.Thread(target=publish)
    publishing.start()
    before = threading.active_count()
    for _ in range(20):
        heard = []
        subscription = subscribe(node, heard.append)
        thread = SubscriptionThread(node, [subscription], "camera of a test")
        until(lambda heard=heard: heard, "a message")
        thread.stop()
        node.destroy_subscription(subscription)
        count = len(heard)
        assert threading.active_count() == before and len(heard) == count
    is_over.set()
    publishing.join(10.0)


def test_it_ends_by_itself_when_the_context_does(node):
    thread = SubscriptionThread(node, [subscribe(node, lambda _: None)], "camera of a test")
    node.context.shutdown()
    until(lambda: not thread._thread.is_alive(), "its end")
    thread.stop()


def test_a_fault_while_waiting_does_not_end_the_thread(node, monkeypatch, caplog):
    heard, faults = [], iter([RuntimeError("the middleware is out of sorts")])
    ready = SubscriptionThread._ready

    def fail_first(self, wait_set):
        for fault in faults:
            raise fault
        return ready(self, wait_set)

    monkeypatch.setattr(SubscriptionThread, "_ready", fail_first)
    thread = SubscriptionThread(node, [subscribe(node, heard.append)], "camera of a test")
    publish_until(node.create_publisher(Image, "image", 30), lambda: heard, "a message after the fault")
    thread.stop()
    assert "out of sorts" in caplog.text
