# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The names of ROS's message_filters that smolvla_ros uses, for machines where ROS comes from Python wheels.

PyPI has no wheel of message_filters. This module has the same signatures and synchronizes the same messages, so that
the package imports the same name everywhere. It has no Cache and no exact TimeSynchronizer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger

NANOSECONDS = 1_000_000_000


class SimpleFilter:
    """Calls the registered callbacks with each output."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def registerCallback(self, callback: Callable[..., None], *arguments: Any) -> int:  # noqa: N802 (ROS's name)
        """Register `callback(*messages, *arguments)` for each output; returns its number."""
        self._callbacks.append((callback, arguments))
        return len(self._callbacks) - 1

    def signalMessage(self, *messages: Any) -> None:  # noqa: N802 (ROS's name)
        """Call all callbacks with `messages`, in the order of their registration."""
        for callback, arguments in self._callbacks:
            callback(*messages, *arguments)


class Subscriber(SimpleFilter):
    """A topic as a filter. `sub` is the rclpy subscription; further keywords go to create_subscription."""

    def __init__(self, node: Any, msg_type: Any, topic: str, *, qos_profile: Any = 10, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(
            msg_type, topic, self.signalMessage, qos_profile=qos_profile, **kwargs
        )

    def getTopic(self) -> str:  # noqa: N802 (ROS's name)
        """The topic as it was given."""
        return self.topic


class ApproximateTimeSynchronizer(SimpleFilter):
    """Outputs one message of each filter in `fs`, with header stamps less than `slop` seconds apart.

    When a message arrives, it looks for a set with the messages whose stamps are nearest, in the order of the filters.
    Of each filter the `queue_size` messages with the newest stamps are kept; a message is used once.
    Callbacks run in the thread of the message that completed the set, one at a time. A message without
    header.stamp is dropped with a warning; with `allow_headerless` its time of arrival is used.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.slop_ns = int(slop * NANOSECONDS)
        self.allow_headerless = allow_headerless
        self._waiting: list[dict[int, Any]] = [{} for _ in fs]
        self._lock = threading.RLock()  # re-entrant: a callback may add a message to one of the filters
        for index, source in enumerate(fs):
            source.registerCallback(self._add, index)

    def _add(self, message: Any, index: int) -> None:
        stamp_ns = self._stamp_ns(message)
        if stamp_ns is None:
            return
        with self._lock:
            waiting = self._waiting[index]
            waiting[stamp_ns] = message
            while len(waiting) > self.queue_size:
                del waiting[min(waiting)]
            stamps_ns = self._partners(index, stamp_ns) if stamp_ns in waiting else None
            if stamps_ns is not None:
                self.signalMessage(*[queue.pop(stamp) for queue, stamp in zip(self._waiting, stamps_ns)])

    def _stamp_ns(self, message: Any) -> int | None:
        stamp = getattr(getattr(message, "header", None), "stamp", None)
        if stamp is not None:
            return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
        if self.allow_headerless:
            return int(ROSClock().now().nanoseconds)
        get_logger("message_filters").warning(
            f"dropped a {type(message).__name__}, which has no header.stamp; "
            "allow_headerless=True uses its time of arrival instead"
        )
        return None

    def _partners(self, index: int, stamp_ns: int) -> list[int] | None:
        """The stamps, in the order of the filters, of the first complete set around a new message."""
        candidates = [
            sorted((s for s in queue if abs(s - stamp_ns) < self.slop_ns), key=lambda s: abs(s - stamp_ns))
            if other != index
            else [stamp_ns]
            for other, queue in enumerate(self._waiting)
        ]
        return self._complete([], candidates, stamp_ns, stamp_ns)

    def _complete(
        self, chosen: list[int], candidates: list[list[int]], earliest_ns: int, latest_ns: int
    ) -> list[int] | None:
        if len(chosen) == len(candidates):
            return chosen
        for stamp_ns in candidates[len(chosen)]:
            earliest, latest = min(earliest_ns, stamp_ns), max(latest_ns, stamp_ns)
            if latest - earliest < self.slop_ns:
                found = self._complete([*chosen, stamp_ns], candidates, earliest, latest)
                if found is not None:
                    return found
        return None
