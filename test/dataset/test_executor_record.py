# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan and the states of the executor are read on the clock of the episode; what cannot be read is no error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.executor_record import EXECUTOR_STATE, MAX_POINTS, ExecutorRecord
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.joint_topics import ACTION_CHUNK

from ..package_files import ROOT
from ..sample_bags import LAG_NS, ROBOT, START_NS, Edit, Entry, header, positions, record
from .test_joint_topics import STEP_NS, STEPS, chunk

ARMED, HOLDING = 2, 3
POINTS = 40


def executor_state(bag: BagWriter, stamp_ns: int, state: int, reason: str = "") -> Any:
    """An ExecutorState whose numbers are 0."""
    definition = (ROOT / "msg" / "ExecutorState.msg").read_text()
    if EXECUTOR_STATE not in bag._store.types:
        bag._store.register(get_types_from_msg(definition, EXECUTOR_STATE))
    zero = bag.message("builtin_interfaces/msg/Duration", sec=0, nanosec=0)
    values: dict[str, Any] = {
        "string": "",
        "string[]": [],
        "uint64[]": np.zeros(0, np.uint64),
        "float64": 0.0,
    }
    values |= {"builtin_interfaces/Duration": zero, "uint32": 0, "uint64": 0, "uint8": 0}
    fields = re.findall(r"^([\w/]+(?:\[\])?) +(\w+) *(?:#.*)?$", definition, re.M)
    given = {"header": header(bag, stamp_ns), "state": state, "reason": reason}
    return bag.message(
        EXECUTOR_STATE, **{name: given[name] if name in given else values[kind] for kind, name in fields}
    )


def plan(bag: BagWriter, start_ns: int, points: int = POINTS) -> Any:
    """A JointTrajectory of the poses at their times, the joints in another order."""

    def point(k: int) -> Any:
        after = bag.message("builtin_interfaces/msg/Duration", sec=0, nanosec=k * 10_000_000)
        values = positions((start_ns - START_NS) / 1e9 + k / 100)[::-1] + 0.001 * np.arange(6)
        none = np.zeros(0)
        return bag.message(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=values,
            velocities=none,
            accelerations=none,
            effort=none,
            time_from_start=after,
        )

    return bag.message(
        "trajectory_msgs/msg/JointTrajectory",
        header=header(bag, start_ns),
        joint_names=list(ROBOT.joint_names[::-1]),
        points=[point(k) for k in range(points)],
    )


def executor_messages(
    bag: BagWriter, entries: list[Entry], plans: bool = True, recorder_ahead_ns: int = 0
) -> list[Entry]:
    """Adds 10 states a second, ARMED and from 0.5 s on HOLDING, a plan with each until 0.5 s, and one chunk."""
    for k in range(10):
        stamp_ns = START_NS + k * 100_000_000
        state = executor_state(bag, stamp_ns, *((ARMED, "") if k < 5 else (HOLDING, "no chunk")))
        entries.append(("/executor/state", state, stamp_ns + LAG_NS))
        if plans and k <= 5:
            entries.append(("/executor/plan", plan(bag, stamp_ns, POINTS if k < 5 else 0), stamp_ns + LAG_NS))
    published_ns = START_NS + 300_000_000
    entries.append(
        ("/action_chunk", chunk(bag, 1, START_NS + 200_000_000, published_ns), published_ns + LAG_NS)
    )
    return [(topic, message, receive_ns + recorder_ahead_ns) for topic, message, receive_ns in entries]


def executor_of(folder: Path, edit: Edit) -> ExecutorRecord:
    [episode] = read_episodes(record(folder / "bag", edit=edit), ROBOT, ROBOT.units(None))
    return episode.executor


@pytest.mark.parametrize("recorder_ahead_s", [0.0, -3.0, 100.0])
def test_states_and_plans_are_on_the_clock_of_the_episode(recorder_ahead_s: float, tmp_path: Path) -> None:
    found = executor_of(
        tmp_path,
        lambda bag, entries: executor_messages(
            bag, entries, recorder_ahead_ns=int(recorder_ahead_s * 1_000_000_000)
        ),
    )
    assert [(spell.state, spell.reason) for spell in found.spells] == [(ARMED, ""), (HOLDING, "no chunk")]
    assert [spell.begin_s for spell in found.spells] == pytest.approx([0.0, 0.5], abs=1e-6)
    assert [one.known_s for one in found.plans] == pytest.approx([0.1 * k for k in range(6)], abs=1e-6)
    assert [len(one.times_s) for one in found.plans] == [POINTS // 2] * 5 + [0]
    for shown in found.plans[:5]:
        assert shown.times_s[0] == pytest.approx(shown.known_s, abs=1e-6) and len(shown.times_s) <= MAX_POINTS
        expected = np.array([positions(at_s) for at_s in shown.times_s]) + 0.001 * np.arange(6)[::-1]
        assert np.allclose(shown.positions_rad, expected, atol=1e-5)


def test_without_plans_the_chunks_are_shown(tmp_path: Path) -> None:
    [shown] = executor_of(tmp_path, lambda bag, entries: executor_messages(bag, entries, plans=False)).plans
    assert shown.known_s == pytest.approx(0.3) and len(shown.times_s) == STEPS
    assert shown.times_s == pytest.approx(0.2 + np.arange(STEPS) * STEP_NS / 1e9)
    assert np.allclose(shown.positions_rad[:, 1:], [positions(at_s)[1:] for at_s in shown.times_s], atol=1e-5)


def test_on_the_clock_of_the_arrivals_the_plan_begins_when_it_arrives(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", edit=executor_messages)
    [episode] = read_episodes(bag, ROBOT, ROBOT.units(None), clock="receive")
    starts = [shown.times_s[0] for shown in episode.executor.plans[:5]]
    assert starts == pytest.approx([shown.known_s for shown in episode.executor.plans[:5]])


def renamed_joints(message: Any) -> None:
    message.joint_names = [f"other_{name}" for name in message.joint_names]


def cut_point(message: Any) -> None:
    message.points[3].positions = np.zeros(2)


@pytest.mark.parametrize("damage", [renamed_joints, cut_point])
def test_a_plan_that_cannot_be_shown_is_left_out(damage: Callable[[Any], None], tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        message = plan(bag, START_NS)
        damage(message)
        return [*entries, ("/executor/plan", message, START_NS + LAG_NS)]

    assert executor_of(tmp_path, edit).plans == ()


def test_messages_of_an_older_definition_are_left_out(tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        for name in ("action_chunk", "executor/state"):
            kind = {"action_chunk": ACTION_CHUNK, "executor/state": EXECUTOR_STATE}[name]
            bag._store.register(get_types_from_msg("std_msgs/Header header", kind))
            message = bag.message(kind, header=header(bag, START_NS))
            entries.append((f"/{name}", message, START_NS + LAG_NS))
        return entries

    found = executor_of(tmp_path, edit)
    assert found.plans == () and found.spells == ()


def test_a_recording_without_an_executor_has_neither(tmp_path: Path) -> None:
    found = executor_of(tmp_path, lambda _, entries: entries)
    assert found.plans == () and found.spells == ()
