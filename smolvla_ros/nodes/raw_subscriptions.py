# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that receive serialized messages of any installed type, with the QoS that the publishers offer."""

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
    """The subscription of one topic."""

    subscription: Any
    qos: tuple[ReliabilityPolicy, DurabilityPolicy]


class RawSubscriptions:
    """Subscribes to those topics of `names` (absolute) that have a publisher; `update` looks for publishers.

    on_message(name, kind, data, info) is called with each message and rclpy's message info, on_lost(name, kind, count)
    with the number of messages that the middleware has lost.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        on_message: Callable[[str, StreamType, bytes, dict[str, Any]], None],
        on_lost: Callable[[str, StreamType, int], None],
    ) -> None:
        self.types = MessageTypes(_definition)
        self._node = node
        self._names = names
        self._on_message = on_message
        self._on_lost = on_lost
        self._subscriptions: dict[str, RawSubscription] = {}
        self._unknown: set[str] = set()  # their types are not installed

    @property
    def without_publisher(self) -> list[str]:
        """Topics without a publisher so far, or with a type that is not installed."""
        return [name for name in self._names if name not in self._subscriptions]

    def is_subscribed(self, name: str) -> bool:
        return name in self._subscriptions

    def update(self) -> None:
        """Subscribe to topics with new publishers; subscribe again where publishers offer another QoS than before."""
        for name in self._names:
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers or name in self._unknown:
                continue
            qos = _common_qos([publisher.qos_profile for publisher in publishers])
            present = self._subscriptions.get(name)
            if present is not None and present.qos != qos:
                self._node.destroy_subscription(present.subscription)
            if present is None or present.qos != qos:
                self._subscribe(name, publishers[0], qos)

    def close(self) -> None:
        for stream in self._subscriptions.values():
            self._node.destroy_subscription(stream.subscription)
        self._subscriptions.clear()

    def _subscribe(self, name: str, publisher: Any, qos: tuple[ReliabilityPolicy, DurabilityPolicy]) -> None:
        try:
            message_type = message_class(publisher.topic_type)
            self.types.add(publisher.topic_type)
        except (ImportError, AttributeError, OSError, LookupError) as error:
            self._unknown.add(name)
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
            partial(self._on_message, name, kind),
            QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=QUEUE_DEPTH,
                reliability=reliability,
                durability=durability,
            ),
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=lambda event: self._on_lost(name, kind, event.total_count_change)
            ),
            raw=True,
        )
        self._subscriptions[name] = RawSubscription(subscription, qos)


def _common_qos(profiles: list[QoSProfile]) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
    """The strictest QoS that all publishers offer; DDS connects no publisher that offers less than is requested."""
    reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in profiles)
    latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles)
    return (
        ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _definition(msgtype: str) -> str:
    """The text of an installed message definition; raises OSError or LookupError."""
    package, *path = msgtype.split("/")
    return Path(get_package_share_directory(package), *path).with_suffix(".msg").read_text(encoding="utf-8")
