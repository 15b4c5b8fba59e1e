# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag tells about the executor: its states, and the plan that was known at each time.

The plan is `executor/plan`, or where that was not recorded the chunks of the policy, before fusion and limits. All of
it is for people to see: what cannot be read is left out, and is no error of the episode.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from smolvla_ros.arrays import Float32Array, FloatArray, IntArray
from smolvla_ros.chunk import ChunkError
from smolvla_ros.dataset.bag import Bag, RecordedMessage
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.dataset.joint_topics import ACTION_CHUNK, JOINT_TRAJECTORY
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import chunk_from_msg, header_stamp_ns, nanoseconds

EXECUTOR_STATE = "smolvla_ros/msg/ExecutorState"
STATE, PLAN, CHUNK = "executor/state", "executor/plan", "action_chunk"
TYPES = {STATE: EXECUTOR_STATE, PLAN: JOINT_TRAJECTORY, CHUNK: ACTION_CHUNK}
MAX_POINTS = 25  # of a plan, at equal distances


@dataclass(frozen=True, eq=False)
class Plan:
    """The positions ahead, from when they were known until the next plan is; without points there is no plan."""

    known_s: float
    times_s: FloatArray  # (n,)
    positions_rad: Float32Array  # (n, joints)


@dataclass(frozen=True)
class ExecutorSpell:
    """A time in one state, until the next one begins."""

    begin_s: float
    state: int  # as in ExecutorState.msg
    reason: str


@dataclass(frozen=True, eq=False)
class ExecutorRecord:
    """Plans and states in the order of time; empty where none was recorded."""

    plans: tuple[Plan, ...] = ()
    spells: tuple[ExecutorSpell, ...] = ()


@dataclass(frozen=True, eq=False)
class _Points:
    """The points of a message."""

    arrival_ns: int
    stamp_ns: int
    times_ns: IntArray
    positions_rad: Float32Array


@dataclass(eq=False)
class ExecutorMessages:
    """Collects the messages of `topics`, in order of arrival."""

    topics: dict[str, str]  # topic -> its name in this package
    joint_names: tuple[str, ...]
    _plans: list[_Points] = field(default_factory=list)
    _states: list[tuple[int, int, str]] = field(default_factory=list)  # arrival ns, state, reason

    @classmethod
    def find(cls, bag: Bag, joint_names: tuple[str, ...]) -> ExecutorMessages:
        """The topics that a bag has, under any namespace."""
        found: dict[str, str] = {}
        for name, kind in TYPES.items():
            try:
                topic = bag.find(name)
            except BagError:  # of several robots: nobody knows which is this one
                continue
            if topic is not None and bag.topics[topic] == kind and bag.counts[topic]:
                found[topic] = name
        if PLAN in found.values():
            found = {topic: name for topic, name in found.items() if name != CHUNK}
        return cls(found, joint_names)

    def add(self, recorded: RecordedMessage) -> None:
        """Add a message of one of the topics."""
        name, arrival_ns = self.topics[recorded.topic], recorded.receive_ns
        try:
            message = recorded.decode()
            if name == STATE:
                state = (arrival_ns, int(message.state), str(message.reason))
                if not self._states or self._states[-1][1:] != state[1:]:
                    self._states.append(state)
                return
            if name == PLAN:
                names = tuple(map(str, message.joint_names))
                times_ns = [
                    header_stamp_ns(message) + nanoseconds(point.time_from_start) for point in message.points
                ]
                rows = np.array([point.positions for point in message.points], np.float64)
            else:
                chunk = chunk_from_msg(message)
                names, times_ns, rows = chunk.joint_names, chunk.times_ns.tolist(), chunk.positions
            order = [names.index(joint) for joint in self.joint_names]
            positions = rows.reshape(len(times_ns), len(names))[:, order]
        except (BagError, ChunkError, ValueError, AttributeError):
            # no definition of the type, an older one without some of the fields, or joints of another robot
            return
        every = max(1, -(-len(times_ns) // MAX_POINTS))
        self._plans.append(
            _Points(
                arrival_ns,
                header_stamp_ns(message),
                np.array(times_ns[::every], np.int64),
                positions[::every].astype(np.float32),
            )
        )

    def record(self, ahead_ns: int, start_ns: int, by_arrival: bool) -> ExecutorRecord:
        """On the clock of the episode.

        `ahead_ns`: what arrivals are ahead of that clock; `start_ns`: when the episode begins on it; `by_arrival`: it
        is the clock of the arrivals, so the times of the points are not on it, but those since their message's stamp.
        """

        def seconds(arrival_ns: int) -> float:
            return (arrival_ns - ahead_ns - start_ns) / NANOSECONDS

        def plan(points: _Points) -> Plan:
            later_ns = points.arrival_ns - points.stamp_ns if by_arrival else 0
            times_s = (points.times_ns + (later_ns - start_ns)) / NANOSECONDS
            return Plan(seconds(points.arrival_ns), times_s, points.positions_rad)

        return ExecutorRecord(
            tuple(map(plan, self._plans)),
            tuple(ExecutorSpell(seconds(at_ns), state, reason) for at_ns, state, reason in self._states),
        )
