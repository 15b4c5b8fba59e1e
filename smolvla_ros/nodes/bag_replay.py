# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded bag as the observations that the policy node would have made of it live.

Messages pass, in their order of arrival, through the same synchronizer and conversion as in the policy node
(observation_sync.py). Requests are not taken from the bag: one is assumed every `every_s` seconds of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import message_filters
from builtin_interfaces.msg import Time

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.bag_topics import IMAGES, JOINT_STATE, check_type
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.nodes.observation_sync import observation_from, synchronize
from smolvla_ros.observation import NANOSECONDS, Observation
from smolvla_ros.wire import header_stamp_ns

TASKS = ("active_task", "task")


@dataclass(frozen=True)
class ObservedTopics:
    """Where a bag holds what a policy observes; names as of `Bag.find`."""

    cameras: Mapping[str, str]  # camera -> topic with its images
    state: str = "joint_states"
    task: str | None = None  # None: active_task or task


def observations(
    bag: Bag,
    observed: ObservedTopics,
    joint_names: tuple[str, ...],
    every_s: float,
    *,
    sync_slop_s: float = 0.05,
    task: str = "",
) -> Iterator[Observation]:
    """The observations that the policy node would use if a chunk were requested every `every_s` of the recording.

    `task` overrides that of the bag. Raises DataError if a topic or the task is missing or of another type,
    ImageError and WireError.
    """
    cameras = tuple(observed.cameras)
    names = [bag.require(name) for name in (*observed.cameras.values(), observed.state)]
    for name in names:
        check_type(bag, name, "an observation", (JOINT_STATE, *IMAGES))
    filters = {name: message_filters.SimpleFilter() for name in names}
    newest: list[tuple[Any, ...]] = []

    def keep(*stamped: Any) -> None:
        newest[:] = [tuple(each.message for each in stamped)]

    synchronize(list(filters.values()), sync_slop_s, keep)
    task_names = (observed.task,) if observed.task else TASKS
    task_topic = next((topic for name in task_names if (topic := bag.find(name)) is not None), None)
    if not task and task_topic is None:
        raise BagError(f"bag '{bag.path}' has no task; give it with --task")
    due_ns: int | None = None
    current_task = task
    for recorded in bag.messages([*names, *([task_topic] if task_topic else [])]):
        if due_ns is not None and recorded.receive_ns >= due_ns and newest and current_task:
            yield observation_from(newest[0], cameras, joint_names, current_task)
            newest.clear()  # each observation is used once
            due_ns = None
        message = recorded.decode()
        if recorded.topic == task_topic:
            current_task = task or str(message.data)
            continue
        if due_ns is None:
            due_ns = recorded.receive_ns + round(every_s * NANOSECONDS)
        filters[recorded.topic].signalMessage(_stamped(message))


def _stamped(message: Any) -> Any:
    """A message that was read without ROS, with a stamp of the class that message_filters expects."""
    sec, nanosec = divmod(header_stamp_ns(message), NANOSECONDS)
    return SimpleNamespace(header=SimpleNamespace(stamp=Time(sec=sec, nanosec=nanosec)), message=message)
