# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded bag as the observations that the policy node would have made of it live.

Messages pass, in their order of arrival, through the same synchronizer and conversion as in the policy node
(observation_sync.py). Requests are not taken from the bag: one is assumed every `every_s` seconds of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import message_filters
from rclpy.serialization import deserialize_message

from smolvla_ros.dataset.alignment import IMAGES, JOINT_STATE, check_type
from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.nodes.observation_sync import observation_from, observed_topics, synchronize
from smolvla_ros.nodes.topics import message_class
from smolvla_ros.observation import NANOSECONDS, Observation

TASKS = ("active_task", "task")


def observations(
    bag: Bag,
    cameras: Sequence[str],
    joint_names: tuple[str, ...],
    every_s: float,
    *,
    image_transport: str = "compressed",
    sync_slop_s: float = 0.05,
    task: str = "",
) -> Iterator[Observation]:
    """The observations that the policy node would use if a chunk were requested every `every_s` of the recording.

    `task` overrides that of the bag. Raises DataError if a topic or the task is missing or of another type,
    ImageError and WireError.
    """
    names = [bag.require(name) for _, name in observed_topics(cameras, image_transport)]
    for name in names:
        check_type(bag, name, "an observation", (JOINT_STATE, *IMAGES))
    types = {name: message_class(bag.topics[name]) for name in names}
    filters = {name: message_filters.SimpleFilter() for name in names}
    newest: list[tuple[Any, ...]] = []

    def keep(*messages: Any) -> None:
        newest[:] = [messages]

    synchronize(list(filters.values()), sync_slop_s, keep)
    task_topic = next((topic for name in TASKS if (topic := bag.find(name)) is not None), None)
    if not task and task_topic is None:
        raise BagError(f"bag '{bag.path}' has no task; give it with --task")
    due_ns: int | None = None
    current_task = task
    for recorded in bag.messages([*names, *([task_topic] if task_topic else [])]):
        if due_ns is not None and recorded.receive_ns >= due_ns and newest and current_task:
            yield observation_from(newest[0], cameras, joint_names, current_task)
            newest.clear()  # each observation is used once
            due_ns = None
        if recorded.topic == task_topic:
            current_task = task or str(recorded.decode().data)
            continue
        if due_ns is None:
            due_ns = recorded.receive_ns + round(every_s * NANOSECONDS)
        filters[recorded.topic].signalMessage(deserialize_message(recorded.raw, types[recorded.topic]))
