# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The behaviour that the package expects of message_filters: that of ROS, or the replacement in wheels/."""

from __future__ import annotations

import threading

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, Subscriber
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

MS = 1_000_000


def stamped(time_ms: float) -> JointState:
    sec, nanosec = divmod(round(time_ms * MS), 1_000 * MS)
    message = JointState(header=Header())
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
    return message


class Sets(list):
    """The sets of a synchronizer, as stamps in ms."""

    def __init__(self, streams: int = 2, queue_size: int = 10, slop: float = 0.02) -> None:
        self.inputs = [SimpleFilter() for _ in range(streams)]
        ApproximateTimeSynchronizer(self.inputs, queue_size, slop).registerCallback(
            lambda *messages: self.append(
                tuple(m.header.stamp.sec * 1000 + m.header.stamp.nanosec // MS for m in messages)
            )
        )

    def feed(self, *arrivals: tuple[int, float]) -> Sets:
        for stream, time_ms in arrivals:
            self.inputs[stream].signalMessage(stamped(time_ms))
        return self


def test_nearest_message_is_chosen():
    assert Sets().feed((0, 0), (0, 10), (1, 8)) == [(10, 8)]


def test_messages_a_slop_apart_stay_alone():
    assert Sets().feed((0, 0), (1, 20)) == []
    assert Sets().feed((0, 0), (1, 19.9)) == [(0, 19)]


def test_slop_spans_the_whole_set_and_not_only_pairs():
    assert Sets(streams=3).feed((0, 100), (1, 115), (2, 130)) == []
    assert Sets(streams=3).feed((0, 100), (1, 115), (2, 130), (0, 118)) == [(118, 115, 130)]


def test_message_is_used_once():
    assert Sets().feed((0, 0), (1, 1), (1, 2)) == [(0, 1)]


def test_order_of_arrival_does_not_matter():
    assert Sets().feed((1, 50), (1, 0), (0, 49), (0, 1)) == [(49, 50), (1, 0)]


def test_oldest_stamps_leave_a_full_queue_first():
    assert Sets(queue_size=2).feed((0, 0), (0, 100), (0, 200), (1, 0), (1, 200)) == [(200, 200)]


def test_callbacks_get_their_own_arguments_in_the_order_of_registration():
    source, calls = SimpleFilter(), []
    source.registerCallback(lambda *args: calls.append(args), "first")
    source.registerCallback(lambda *args: calls.append(args), "second", 2)
    source.signalMessage("message")
    assert calls == [("message", "first"), ("message", "second", 2)]


def test_message_without_a_stamp_is_dropped_unless_allowed():
    for allowed in (False, True):
        source, received = SimpleFilter(), []
        ApproximateTimeSynchronizer([source], 10, 0.1, allow_headerless=allowed).registerCallback(
            received.append
        )
        source.signalMessage(String(data="no header"))
        assert len(received) == allowed


def test_streams_may_come_from_several_threads():
    sets = Sets(queue_size=1000)
    threads = [
        threading.Thread(target=lambda s=stream: sets.feed(*[(s, 100 * k) for k in range(500)]))
        for stream in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sets) == [(100 * k, 100 * k) for k in range(500)]


def test_subscriber_passes_on_the_messages_of_its_topic(observer):
    received: list[JointState] = []
    Subscriber(observer.node, JointState, "left", qos_profile=5).registerCallback(received.append)
    publisher = observer.node.create_publisher(JointState, "left", 5)
    observer.until(publisher.get_subscription_count, "a subscriber")
    publisher.publish(stamped(7))
    observer.until(lambda: received, "the message")
    assert received[0].header.stamp.nanosec == 7 * MS
