# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics taken in as bytes, of any installed type, each with the quality of service that its publishers offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from smolvla_ros.dataset.episode_writer import MessageTypes, StreamType, offered_qos
from smolvla_ros.nodes.topics import message_class

QUEUE_DEPTH = 200  # messages that the middleware keeps while Python is busy: 2 s of the fastest topic


@dataclass(frozen=True)
class RawSubscription:
    """A topic that is listened to."""

    subscription: Any
    qos: tuple[ReliabilityPolicy, DurabilityPolicy]


class RawSubscriptions:
    """Listens to those of `names` (absolute) that have a publisher, from the next `update` on.

    take(name, kind, data, info) gets every message with rclpy's message info, lose(name, kind, count) how many the
    middleware has lost.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        take: Callable[[str, StreamType, bytes, dict[str, Any]], None],
        lose: Callable[[str, StreamType, int], None],
    ) -> None:
        self.types = MessageTypes(_definition)
        self._node = node
        self._names = names
        self._take = take
        self._lose = lose
        self._streams: dict[str, RawSubscription] = {}
        self._refused: set[str] = set()  # of a type that this machine does not know

    @property
    def without_publisher(self) -> list[str]:
        """Topics that nobody has published, or of which the type is not known here."""
        return [name for name in self._names if name not in self._streams]

    def is_subscribed(self, name: str) -> bool:
        return name in self._streams

    def update(self) -> None:
        """Find new publishers, and those that offer less than is asked for by now."""
        for name in self._names:
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers or name in self._refused:
                continue
            qos = _strongest([publisher.qos_profile for publisher in publishers])
            present = self._streams.get(name)
            if present is not None and present.qos != qos:
                self._node.destroy_subscription(present.subscription)
            if present is None or present.qos != qos:
                self._listen(name, publishers[0], qos)

    def close(self) -> None:
        """Listen no more."""
        for stream in self._streams.values():
            self._node.destroy_subscription(stream.subscription)
        self._streams.clear()

    def _listen(self, name: str, publisher: Any, qos: tuple[ReliabilityPolicy, DurabilityPolicy]) -> None:
        try:
            message_type = message_class(publisher.topic_type)
            self.types.add(publisher.topic_type)
        except (ImportError, AttributeError, OSError, LookupError) as error:
            self._refused.add(name)
            self._node.get_logger().error(
                f"{name} is not recorded: its type {publisher.topic_type} is not installed here: {error}"
            )
            return
        profile = publisher.qos_profile
        first = next(iter(message_type.get_fields_and_field_types().values()), "")
        kind = StreamType(
            publisher.topic_type,
            stamped=first == "std_msgs/Header",
            qos=offered_qos(
                int(profile.history), profile.depth, int(profile.reliability), int(profile.durability)
            ),
        )
        reliability, durability = qos
        subscription = self._node.create_subscription(
            message_type,
            name,
            partial(self._take, name, kind),
            QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=QUEUE_DEPTH,
                reliability=reliability,
                durability=durability,
            ),
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=lambda event: self._lose(name, kind, event.total_count_change)
            ),
            raw=True,
        )
        self._streams[name] = RawSubscription(subscription, qos)


def _strongest(profiles: list[QoSProfile]) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
    """What all publishers fulfil: who asks for more than one of them offers is_subscribed nothing of it."""
    reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in profiles)
    latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles)
    return (
        ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _definition(msgtype: str) -> str:
    """The installed text of a message definition; raises OSError or LookupError."""
    package, *path = msgtype.split("/")
    return Path(get_package_share_directory(package), *path).with_suffix(".msg").read_text(encoding="utf-8")
