# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with stamps in the future or before 0 do not prevent the synchronization of current ones."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="message_filters needs ROS 2")

from message_filters import SimpleFilter
from sensor_msgs.msg import JointState

from smolvla_ros.nodes.messages import header
from smolvla_ros.nodes.observation_sync import SYNC_QUEUE_SIZE, StampFilter, synchronize
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import header_stamp_ns

NOW_NS = 1000 * NANOSECONDS


@pytest.mark.parametrize("first_s", [1001, 2**31 - 2 * SYNC_QUEUE_SIZE, -100])
def test_messages_with_implausible_stamps_are_dropped(first_s: int) -> None:
    inputs = [SimpleFilter(), SimpleFilter()]
    sets: list[tuple[int, ...]] = []
    synchronize(
        [StampFilter(source, lambda: NOW_NS) for source in inputs],
        0.05,
        lambda *messages: sets.append(tuple(header_stamp_ns(message) for message in messages)),
    )
    for number in range(2 * SYNC_QUEUE_SIZE):
        inputs[0].signalMessage(JointState(header=header((first_s + number) * NANOSECONDS)))
    for source in inputs:
        source.signalMessage(JointState(header=header(NOW_NS)))
    assert sets == [(NOW_NS, NOW_NS)]
