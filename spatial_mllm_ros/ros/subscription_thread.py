"""A thread that serves some of a node's subscriptions and nothing else.

rclpy's executors look at every entity of the node on each turn, wake themselves up twice for each message, and the
multi-threaded one hands each message on to a pool. With a camera at 30 Hz that costs more than half a core, and on a
machine whose idle cores wake up slowly it is too late for most images. Here few entities are waited for, and the thread
that wakes up calls the callback. What is used of rclpy is what its own `wait_for_message` uses.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Sequence

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.subscription import Subscription

__all__ = ["SubscriptionThread", "UnexecutedGroup"]

_log = logging.getLogger(__name__)
_LOOK_UP_NS = 1_000_000_000  # how soon the end of the context is noticed
_AFTER_FAULT_S = 0.5  # between attempts to wait, so that a lasting fault does not burn a core


class UnexecutedGroup(CallbackGroup):
    """A callback group that executors leave alone, for subscriptions that a `SubscriptionThread` serves."""

    def can_execute(self, entity: object) -> bool:
        """Refuse."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Refuse."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Do nothing, as nothing has begun."""


class SubscriptionThread:
    """Calls the callbacks of subscriptions, one at a time, until `stop`; starts at once.

    Each turn takes one message of each subscription that has some, so none starves the others. What a callback raises
    is logged and costs that message.

    Args:
        node: that the subscriptions belong to.
        subscriptions: of an `UnexecutedGroup`, without event callbacks, whose callbacks take the message alone. They
            must not be destroyed before `stop` has returned.
        name: of the thread.
    """

    def __init__(self, node: Node, subscriptions: Sequence[Subscription], name: str) -> None:
        self._context = node.context
        self._subscriptions = tuple(subscriptions)
        self._stop_guard = GuardCondition(callback=None, callback_group=None, context=self._context)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the callback that it is in; not to be called from a callback."""
        self._is_stopping.set()
        self._stop_guard.trigger()
        self._thread.join()
        self._stop_guard.destroy()

    def _run(self) -> None:
        wait_set = None
        while not self._is_stopping.is_set() and self._context.ok():
            try:
                wait_set = wait_set or self._make_wait_set()
                self._serve(self._ready(wait_set))
            except Exception:  # the thread's edge; callbacks have one of their own
                if self._context.ok():
                    _log.exception("waiting for messages failed; trying again")
                wait_set = None
                self._is_stopping.wait(_AFTER_FAULT_S)

    def _make_wait_set(self) -> _rclpy.WaitSet:
        with self._context.handle:
            return _rclpy.WaitSet(len(self._subscriptions), 1, 0, 0, 0, 0, self._context.handle)

    def _ready(self, wait_set: _rclpy.WaitSet) -> list[Subscription]:
        """Wait, and return the subscriptions that have a message."""
        with contextlib.ExitStack() as in_use:
            for handle in (self._context.handle, self._stop_guard.handle):
                in_use.enter_context(handle)
            wait_set.clear_entities()
            wait_set.add_guard_condition(self._stop_guard.handle)
            for subscription in self._subscriptions:
                in_use.enter_context(subscription.handle)
                wait_set.add_subscription(subscription.handle)
            wait_set.wait(_LOOK_UP_NS)
            ready = wait_set.get_ready_entities("subscription")
            return [subscription for subscription in self._subscriptions if subscription.handle.pointer in ready]

    def _serve(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            if self._is_stopping.is_set():
                return
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                continue
            try:
                subscription.callback(taken[0])
            except Exception:  # the edge between messages and us
                _log.exception("a callback of %s failed; the message is lost", subscription.topic_name)
