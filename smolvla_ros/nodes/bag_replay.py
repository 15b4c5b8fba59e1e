# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded bag as the observations that the policy node would have made of it live.

Messages pass, in their order of arrival, through the same synchronizer and conversion as in the policy node
(observation_sync.py). Requests are not taken from the bag: one is assumed every `every_s` seconds of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import message_filters
import numpy as np
import numpy.typing as npt
from rclpy.serialization import deserialize_message

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.nodes.observation_sync import observation_from, observed_topics, synchronize
from smolvla_ros.nodes.topics import message_class
from smolvla_ros.observation import NANOSECONDS, Observation
from smolvla_ros.wire import joints_from_msg

TASKS = ("active_task", "task")


@dataclass(frozen=True, eq=False)
class RecordedCommands:
    """Recorded commands: stamps (n,) ns and positions (n, joints) rad, by time."""

    stamps_ns: npt.NDArray[np.int64]
    positions_rad: npt.NDArray[np.float64]

    def at(self, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """What was commanded at these times, NaN before the first and after the last command."""
        newest = np.searchsorted(self.stamps_ns, times_ns, side="right") - 1
        rows = self.positions_rad[np.maximum(newest, 0)].copy()
        rows[(newest < 0) | (times_ns > self.stamps_ns[-1])] = np.nan
        return np.asarray(rows)


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
    """What the policy node would answer from, were it asked every `every_s` of the recording.

    `task` goes before what the bag says. Raises BagError where a topic or the task is missing, ImageError, WireError.
    """
    names = [_topic(bag, name) for _, name in observed_topics(cameras, image_transport)]
    types = {name: message_class(bag.topics[name]) for name in names}
    filters = {name: message_filters.SimpleFilter() for name in names}
    newest: list[tuple[Any, ...]] = []

    def keep(*messages: Any) -> None:
        newest[:] = [messages]

    synchronize(list(filters.values()), sync_slop_s, keep)
    said = next((topic for name in TASKS if (topic := bag.find(name)) is not None), None)
    if not task and said is None:
        raise BagError(f"bag '{bag.path}' has no task; give it with --task")
    due_ns: int | None = None
    now_task = task
    for recorded in bag.messages([*names, *([said] if said else [])]):
        if due_ns is not None and recorded.receive_ns >= due_ns and newest and now_task:
            yield observation_from(newest[0], cameras, joint_names, now_task)
            newest.clear()  # a moment is answered once
            due_ns = None
        if recorded.topic == said:
            now_task = task or str(recorded.decode().data)
            continue
        if due_ns is None:
            due_ns = recorded.receive_ns + round(every_s * NANOSECONDS)
        filters[recorded.topic].signalMessage(deserialize_message(recorded.raw, types[recorded.topic]))


def recorded_commands(bag: Bag, topic: str, joint_names: tuple[str, ...]) -> RecordedCommands:
    """The commands (JointState) of a bag; raises BagError, WireError."""
    name = _topic(bag, topic)
    found = [joints_from_msg(m, joint_names) for m in (r.decode() for r in bag.messages([name]))]
    if not found:
        raise BagError(f"bag '{bag.path}': {name} has no messages")
    stamps = np.array([joints.stamp_ns for joints in found], np.int64)
    order = np.argsort(stamps, kind="stable")
    return RecordedCommands(stamps[order], np.stack([joints.positions_rad for joints in found])[order])


def _topic(bag: Bag, name: str) -> str:
    topic = bag.find(name)
    if topic is None:
        raise BagError(
            f"bag '{bag.path}' has no {name}; it has {', '.join(sorted(bag.topics)) or 'no topics'}"
        )
    return topic
