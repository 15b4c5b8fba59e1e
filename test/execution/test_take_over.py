# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy and person change places: one commands at a time, softly, whatever comes when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.arrays import FloatArray
from smolvla_ros.authority import Authority
from smolvla_ros.chunk import ChunkError
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.operator_source import PAUSE_S, OperatorError
from smolvla_ros.robot import Joints, RobotSpec

SECOND = 1_000_000_000
PERIOD_S = 1.0 / 30.0
LEFT, RIGHT = "/teleop", "/jog"


def lead(bench: Any, seconds: float = PERIOD_S, goal: FloatArray | None = None, name: str = LEFT) -> None:
    """A person sends a goal in every period; the default is half a radian to the left."""
    for _ in range(round(seconds / PERIOD_S)):
        wanted = bench.middle - 0.5 * np.eye(6)[0] if goal is None else goal
        bench.executor.accept_target(name, Joints(bench.now_ns, wanted, np.zeros(6)), bench.now_ns)
        bench.run()


def test_the_first_target_takes_control_and_the_arm_follows_without_a_jump(bench: Any) -> None:
    bench.move()
    assert bench.executor.authority is Authority.POLICY
    lead(bench, 3.0)
    assert bench.executor.authority is Authority.OPERATOR
    assert bench.reason == "'/teleop' leads" and bench.state is ArmingState.ARMED
    assert bench.pan()[-1] == pytest.approx(bench.middle[0] - 0.5, abs=1e-6)
    assert np.abs(np.diff(bench.pan())).max() <= 0.05 + 1e-12


def test_the_arm_holds_while_the_person_sends_nothing_and_control_stays(bench: Any) -> None:
    bench.move()
    lead(bench, 1.0)
    bench.run(1.0)
    assert bench.state is ArmingState.HOLDING and "'/teleop' has control and sends no target" in bench.reason
    assert bench.executor.authority is Authority.OPERATOR
    assert np.ptp(bench.pan()[-15:]) == 0.0
    asked = len(bench.requests)
    assert bench.refusal() == "not_asked"
    bench.run(1.0)
    assert len(bench.requests) == asked
    lead(bench, 3.0)
    assert bench.pan()[-1] == pytest.approx(bench.middle[0] - 0.5, abs=1e-6)


def test_given_back_the_policy_goes_on_with_what_it_sees_and_is_asked_from_then_on(bench: Any) -> None:
    bench.move()
    asked_before = bench.requests[-1].request_id
    lead(bench, 1.0)
    assert bench.executor.give_back(bench.now_ns).ok
    assert bench.executor.authority is Authority.POLICY
    bench.run()
    assert bench.requests[-1].request_id == asked_before + 1
    assert bench.refusal(age_s=0.5) == "before_arming"
    assert bench.refusal(age_s=0.0, request_id=asked_before) == "before_arming"
    held = bench.pan()[-1]
    bench.run(0.5)
    assert bench.pan()[-1] == pytest.approx(held, abs=0.05)  # it brakes, then waits for a chunk
    bench.accept(request_id=bench.requests[-1].request_id)
    bench.run(0.5)
    assert bench.state is ArmingState.ARMED and bench.pan()[-1] > held


def test_a_stream_that_continues_takes_control_of_nothing(bench: Any) -> None:
    bench.move()
    lead(bench, 0.5)
    bench.executor.give_back(bench.now_ns)
    for _ in range(60):
        with pytest.raises(OperatorError, match="pause"):
            lead(bench)
        bench.run()
    bench.run(PAUSE_S + PERIOD_S)
    lead(bench)
    bench.executor.disarm()
    with pytest.raises(OperatorError, match="arm it first"):
        lead(bench)
    assert bench.executor.arm(bench.now_ns).ok
    with pytest.raises(OperatorError, match="pause"):
        lead(bench)
    assert bench.executor.authority is Authority.POLICY


def test_one_person_leads_at_a_time(bench: Any) -> None:
    bench.move()
    lead(bench, 0.5)
    with pytest.raises(OperatorError, match="'/teleop' leads; stop it first"):
        lead(bench, name=RIGHT)
    lead(bench, 0.5)
    assert bench.reason == "'/teleop' leads"
    bench.run(2 * PAUSE_S)
    lead(bench, name=RIGHT)
    assert bench.reason == "'/jog' leads"


def test_control_can_be_taken_without_a_target_and_ends_with_the_arming(bench: Any) -> None:
    executor = bench.executor
    bench.move()
    assert executor.take_over(bench.now_ns).ok
    bench.run(0.5)
    assert bench.state is ArmingState.HOLDING and "the operator has control" in bench.reason
    executor.disarm()
    assert executor.authority is Authority.NONE
    assert not executor.take_over(bench.now_ns).ok and not executor.give_back(bench.now_ns).ok
    executor.arm(bench.now_ns)
    assert executor.authority is Authority.POLICY


@pytest.mark.parametrize("age_s", [0.4, -0.1])
def test_a_target_from_another_time_is_refused(bench: Any, age_s: float) -> None:
    bench.move()
    goals = Joints(bench.now_ns - round(age_s * SECOND), bench.middle, np.zeros(6))
    with pytest.raises(OperatorError):
        bench.executor.accept_target(LEFT, goals, bench.now_ns)
    assert bench.executor.authority is Authority.POLICY


EVENTS = st.one_of(
    st.tuples(st.just("run"), st.floats(0.03, 0.7)),
    st.tuples(st.just("chunk"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("lead"), st.sampled_from([LEFT, RIGHT]), st.floats(-2.0, 2.0)),
    st.tuples(st.just("stop leading"), st.sampled_from([LEFT, RIGHT])),
    st.tuples(st.just("take over"), st.booleans()),
    st.tuples(st.just("joint states"), st.booleans()),
)


@settings(max_examples=80, deadline=None)
@given(events=st.lists(EVENTS, max_size=40))
def test_commands_stay_within_limits_for_any_hand_overs(
    robot: RobotSpec, make_bench: Any, events: list[tuple[Any, ...]]
) -> None:
    bench, goals = make_bench(), dict[str, FloatArray]()
    executor = bench.executor

    def run(seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            for name, goal in goals.items():
                try:
                    executor.accept_target(name, Joints(bench.now_ns, goal, np.zeros(6)), bench.now_ns)
                except OperatorError:
                    continue
            bench.run()

    run(0.1)
    for what, *details in events:
        if what == "run":
            run(details[0])
        elif what == "chunk":
            positions = np.random.default_rng(details[0]).normal(size=(61, 6))
            was_led = executor.authority is Authority.OPERATOR
            try:
                bench.accept(positions=positions)
                assert not was_led
            except ChunkError:
                continue
        elif what == "lead":
            goals[details[0]] = bench.middle + details[1]
        elif what == "stop leading":
            goals.pop(details[0], None)
        elif what == "take over":
            executor.take_over(bench.now_ns) if details[0] else executor.give_back(bench.now_ns)
        else:
            bench.joint_states_come = details[0]
    run(0.1)
    positions = np.array([bench.middle, *(command.positions_rad for command in bench.commands)])
    assert (positions >= robot.lower_rad).all() and (positions <= robot.upper_rad).all()
    assert np.abs(np.diff(positions, axis=0)).max() <= 0.05 + 1e-12
    most = ExecutorConfig().max_acceleration_rad_s2 * PERIOD_S**2
    assert np.abs(np.diff(positions, 2, axis=0, prepend=positions[:1])).max() <= most + 1e-9
