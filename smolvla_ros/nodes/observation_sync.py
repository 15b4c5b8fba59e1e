# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Synchronized messages -> Observation, for the policy node and for bags that are replayed to a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import message_filters

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.image_conversion import frame_from_image_msg
from smolvla_ros.observation import Observation
from smolvla_ros.wire import header_stamp_ns, joints_from_msg

SYNC_QUEUE_SIZE = 30  # waiting messages per stream: 1 s of a camera, 0.6 s of joint states at 50 Hz


def observed_topics(cameras: Sequence[str], image_transport: str) -> list[tuple[topics.Topic, str]]:
    """The topics of an observation with their names: one image topic for each camera, then the joint states."""
    image = topics.IMAGE_COMPRESSED if image_transport == "compressed" else topics.IMAGE_RAW
    streams = [(image, f"{camera}/{image.name}") for camera in cameras]
    return [*streams, (topics.JOINT_STATES, topics.JOINT_STATES.name)]


class StampFilter(message_filters.SimpleFilter):
    """Passes on the messages of `source` with stamps from 0 to `latest_ns()`.

    The synchronizer keeps the messages with the newest stamps: messages from the future would stay in its queue and
    displace the current ones. Negative stamps are not valid in ROS.
    """

    def __init__(self, source: message_filters.SimpleFilter, latest_ns: Callable[[], int]) -> None:
        super().__init__()
        self._latest_ns = latest_ns
        source.registerCallback(self._on_message)

    def _on_message(self, message: Any) -> None:
        if 0 <= header_stamp_ns(message) <= self._latest_ns():
            self.signalMessage(message)


def synchronize(
    filters: Sequence[message_filters.SimpleFilter], slop_s: float, callback: Callable[..., None]
) -> None:
    """Call `callback` with one message of each filter, in their order, whose stamps differ by less than `slop_s`."""
    message_filters.ApproximateTimeSynchronizer(filters, SYNC_QUEUE_SIZE, slop_s).registerCallback(callback)


def observation_from(
    synchronized: Sequence[Any], cameras: Sequence[str], joint_names: tuple[str, ...], task: str
) -> Observation:
    """The observation of messages in the order of `observed_topics`; raises ImageError and WireError."""
    *images, joint_state = synchronized
    joints = joints_from_msg(joint_state, joint_names)
    frames = {
        camera: frame_from_image_msg(image, camera) for camera, image in zip(cameras, images, strict=True)
    }
    return Observation(frames, joints, task)
