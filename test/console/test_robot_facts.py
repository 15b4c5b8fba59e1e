# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages become JSON values for the page: bounded, without NaN, the newest first."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

from smolvla_ros.console.robot_facts import MAX_PLAN_POINTS, MAX_SAMPLES, RobotFacts
from smolvla_ros.execution.arming import ArmingState

from ..executor_state import SECOND, executor_state, time_msg
from ..package_files import ROBOT

START_NS = 1_700_000_000 * SECOND
NAMES = ROBOT.joint_names


def header(after_s: float, frame_id: str = "") -> Any:
    return SimpleNamespace(stamp=time_msg(START_NS + round(after_s * SECOND)), frame_id=frame_id)


def joints(after_s: float, value: float, frame_id: str = "", names: tuple[str, ...] = NAMES) -> Any:
    position = [value] * len(names)
    return SimpleNamespace(
        header=header(after_s, frame_id), name=names, position=position, velocity=[], effort=[]
    )


def facts_now(facts: RobotFacts, after_s: float, state: Any = None) -> dict[str, Any]:
    """What the page gets."""
    values: dict[str, Any] = json.loads(
        json.dumps(facts.motion(START_NS + round(after_s * SECOND), state), allow_nan=False)
    )
    return values


def test_joints_are_sent_once_and_are_bounded() -> None:
    facts = RobotFacts(NAMES, START_NS)
    for i in range(MAX_SAMPLES + 5):
        facts.add_joint_states(joints(i * 0.02, 0.12345678))
    facts.add_command(joints(3.0, -0.5, "/executor"))
    facts.add_joint_states(joints(3.0, 0.1, names=NAMES[:5]))  # a servo is silent
    shown = facts_now(facts, 3.5)
    assert len(shown["measured"]) == MAX_SAMPLES
    assert shown["measured"][-1] == [2.08, *[0.1235] * 6]
    assert shown["commanded"] == [[3.0, *[-0.5] * 6]]
    assert (shown["commander"], shown["commander_age"], shown["t"]) == ("/executor", 0.5, 3.5)
    assert facts_now(facts, 4.0)["measured"] == []


def test_who_has_control_is_shown() -> None:
    facts = RobotFacts(NAMES, START_NS)
    assert facts_now(facts, 0.0)["authority"] == ""
    facts.add_authority(SimpleNamespace(data="operator"))
    assert facts_now(facts, 1.0)["authority"] == "operator"


def test_a_long_plan_is_thinned_out_and_sent_once_and_chunks_are_seams() -> None:
    facts = RobotFacts(NAMES, START_NS)
    points = [
        SimpleNamespace(time_from_start=time_msg(i * SECOND // 10), positions=[i] * 6) for i in range(100)
    ]
    facts.add_plan(SimpleNamespace(header=header(1.0), points=points))
    facts.add_chunk(SimpleNamespace(header=header(0.9), chunk_id=7))
    shown = facts_now(facts, 1.0)
    assert len(shown["plan"]["t"]) == len(shown["plan"]["positions"]) <= MAX_PLAN_POINTS
    assert shown["plan"]["t"][:2] == [1.0, 1.3] and shown["seams"] == [[0.9, 7]]
    assert facts_now(facts, 1.1)["plan"] is None


def test_the_state_of_the_executor_has_no_nan() -> None:
    shown = facts_now(
        RobotFacts(NAMES, START_NS), 0.0, executor_state(state=ArmingState.STOPPED, chunk_age=math.nan)
    )["state"]
    assert (shown["name"], shown["chunk_age"], shown["queue_s"]) == ("stopped", None, 1.0)
    assert shown["rejected"] == {"expired": 3, "duplicate": 1} and shown["limited"] == {"shoulder_pan": 5}


def test_health_has_servos_diagnostics_warnings_and_each_task_once() -> None:
    facts = RobotFacts(NAMES, START_NS)
    for task in ("wave", "rest", "", "wave"):
        facts.add_task(SimpleNamespace(data=task))
    for level, text in ((20, "fine"), (30, "odd"), (40, "bad")):
        facts.add_log(SimpleNamespace(stamp=time_msg(START_NS), level=level, name="arm", msg=text))
    pair = SimpleNamespace(key="task", value="wave")
    status = SimpleNamespace(
        level=b"\x02", name="left/arm", message="no servo answers; check the cables", values=[pair]
    )
    facts.add_diagnostics(SimpleNamespace(header=header(1.0), status=[status]))
    column = {
        name: [1.0]
        for name in ("temperature", "voltage", "current", "load", "error_bits", "communication_errors")
    }
    facts.add_servo_states(SimpleNamespace(name=["gripper"], **{**column, "load": [math.nan]}))
    health = json.loads(json.dumps(facts.health(), allow_nan=False))
    assert health["tasks"] == ["wave", "rest"]
    assert [(entry["level"], entry["text"]) for entry in health["warnings"]] == [
        ("error", "bad"),
        ("warning", "odd"),
    ]
    assert health["diagnostics"]["left/arm"]["level"] == "error" and health["servos"][0]["load"] is None
