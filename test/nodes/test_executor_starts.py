# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests that need an executor node of their own: start, exit, another clock, further outputs."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg
from lifecycle_msgs.msg import Transition
from std_msgs.msg import String

from smolvla_ros.nodes import topics

State = msg.ExecutorState
MAX_STEP_RAD = 0.03
SLOW = {"max_step_rad": MAX_STEP_RAD, "soft_start_s": 0.1}
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"robot": "absent.yaml"}, "absent.yaml"),
    ({"robot": ""}, "parameter `robot` is empty"),
    ({"fusion": "magic"}, "magic"),
    ({"rate_hz": 1e6}, "rate_hz"),
)


def test_a_bad_parameter_makes_the_node_exit_with_one_message(start: Any) -> None:
    programs = [start("nodes.executor_node", **parameters) for parameters, _ in BAD]
    for program, (_, message) in zip(programs, BAD, strict=True):
        assert program.wait() == 1
        assert message in program.output and "Traceback" not in program.output


def test_a_task_and_a_call_before_activation_are_told_to_other_nodes_afterwards(
    observer: Any, start: Any
) -> None:
    program = start("nodes.executor_node", autostart=False)
    tasks, authorities = observer.collect(topics.ACTIVE_TASK), observer.collect(topics.CONTROL_AUTHORITY)
    publisher = observer.publisher(topics.TASK)
    assert observer.change_state("executor", Transition.TRANSITION_CONFIGURE)
    observer.until(publisher.get_subscription_count, "the executor to listen")
    publisher.publish(String(data="pick"))
    observer.until(lambda: "task: 'pick'" in program.output, "the task to be taken")
    assert observer.trigger("executor/stop").success
    assert observer.change_state("executor", Transition.TRANSITION_ACTIVATE)
    observer.until(lambda: tasks and authorities, "the active task, and who has control")
    assert (tasks[-1].data, authorities[-1].data) == ("pick", "none")


def test_commands_are_published_for_ros2_control_if_configured(executor_bench: Any) -> None:
    bench = executor_bench(
        mode="armed", rate_hz=50.0, publish_joint_trajectory=True, publish_position_commands=True
    )
    trajectories = bench.observer.collect(topics.JOINT_TRAJECTORY)
    arrays = bench.observer.collect(topics.POSITION_COMMANDS)
    bench.start_motion()
    bench.observer.spin(0.1)
    newest = trajectories[-1]
    assert tuple(newest.joint_names) == bench.robot.joint_names and len(newest.points) == 1
    assert newest.points[0].time_from_start.nanosec == 20_000_000
    assert (newest.header.stamp.sec, newest.header.stamp.nanosec) == (0, 0)  # from now on
    commanded = {tuple(command.position) for command in bench.commands}
    assert {tuple(trajectory.points[0].positions) for trajectory in trajectories[:-2]} <= commanded
    assert {tuple(array.data) for array in arrays[:-2]} <= commanded
    bench.observer.until(lambda: len(arrays) > 20, "twenty arrays")


def test_the_result_of_the_request_for_real_time_priority_is_logged_and_the_node_runs(
    executor_bench: Any,
) -> None:
    bench = executor_bench(mode="armed", realtime_priority=20)
    assert "real-time priority 20" in bench.program.output
    bench.start_motion()


def test_after_a_jump_of_the_clock_it_continues_in_the_new_time(executor_bench: Any) -> None:
    bench = executor_bench(mode="armed", use_sim_time=True, **SLOW)
    bench.start_motion()
    for jump_s in (-100.0, 100.0):
        bench.sim_ns += round(jump_s * 1e9)
        jumped = len(bench.commands)
        bench.observer.until(bench.state_is(State.HOLDING), "holding in the new time", 2.0)
        bench.observer.until(lambda: len(bench.commands) > jumped + 10, "commands in the new time")  # noqa: B023
        assert len(set(bench.pan()[-5:])) == 1
        start = bench.pan()[-1]
        bench.send()
        bench.observer.until(lambda: bench.pan()[-1] > start + 0.1, "motion again")  # noqa: B023
        bench.observer.until(bench.state_is(State.ARMED), "armed")
    assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9


ENDS = [
    *((state, signal.SIGINT) for state in ("disarmed", "shadow", "armed", "holding", "fault", "stopped")),
    ("armed", signal.SIGTERM),
]


@pytest.mark.parametrize(("state", "number"), ENDS)
def test_a_signal_ends_it_in_every_state(executor_bench: Any, state: str, number: int) -> None:
    bench = executor_bench(max_following_error_rad=0.1, following_error_s=0.0, **SLOW)
    bench.bring_to(state)
    assert bench.program.stop(number) == 0
    assert "Traceback" not in bench.program.output
    latches = state in ("fault", "stopped")
    last = getattr(State, state.upper()) if latches else State.DISARMED
    bench.observer.until(bench.state_is(last), "the last state")
    sent = len(bench.commands)
    bench.observer.spin(0.2)
    assert len(bench.commands) == sent
    if sent > 2:
        assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9
