# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No request or observation from before the last arming moves the arm: real nodes, emulated servos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.wire import joints_from_msg

from ..package_files import ROBOT
from .conftest import EVERY_ONE, is_complete
from .executor_bench import ExecutorBench

PERIOD_S = 1.0 / 30.0  # of the executor's commands, as config/executor.yaml has it
STILL_RAD = 0.01  # a servo that holds moves less
RATE_HZ = 60.0  # of the joint states


class RealArm(ExecutorBench):
    """The executor node, and an arm node on an emulated servo bus in place of the bench's arm."""

    def __init__(self, observer: Any, program: Any, arm_program: Any) -> None:
        super().__init__(observer, program)
        self.arm_program = arm_program
        self.silent = True
        self.joint_states = observer.collect(topics.JOINT_STATES, qos=EVERY_ONE)
        self.other_commands = observer.publisher(topics.JOINT_COMMANDS)

    def measured(self) -> np.ndarray:
        """Joint positions so far: (states, joints) rad."""
        whole = [
            joints_from_msg(state, ROBOT.joint_names) for state in self.joint_states if is_complete(state)
        ]
        return np.array([joints.positions_rad for joints in whole])

    def largest_step_rad(self, since: int) -> float:
        """The largest movement of a servo within one control period, from joint state number `since` on."""
        rows = self.measured()[since:]
        stride = max(1, round(PERIOD_S * RATE_HZ))
        return float(np.abs(rows[stride:] - rows[:-stride]).max())

    def move_pan_by_other_means(self, by_rad: float) -> None:
        """Move by commands of another node, while the executor sends none."""
        start = self.measured()[-1]
        goal = start + by_rad * np.eye(6)[0]
        for share in np.linspace(0.0, 1.0, 25):
            stamp_ns = self.observer.now_ns()
            self.other_commands.publish(
                joint_command_msg(ROBOT.joint_names, stamp_ns, start + share * (goal - start), "/observer")
            )
            self.observer.spin(1.0 / RATE_HZ)
        self.observer.until(lambda: abs(self.measured()[-1][0] - goal[0]) < 0.05, "the arm to be moved")
        self.observer.until(lambda: np.ptp(self.measured()[-6:], axis=0).max() < 0.001, "it to stand still")
        self.observer.until(lambda: "holding: no command for" in self.arm_program.output, "the other's end")
        self.observer.node.destroy_publisher(self.other_commands)


@pytest.fixture
def bench(observer: Any, start: Callable[..., Any], emulated_arm: Any) -> RealArm:
    arm = start("nodes.arm_node", port=emulated_arm[0], rate_hz=RATE_HZ)
    bench = RealArm(observer, start("nodes.executor_node", stale_after_s=1.0), arm)
    bench.connect()
    observer.until(lambda: len(bench.measured()), "joint states")
    return bench


def test_arming_is_refused_while_inactive_and_activation_starts_over(bench: RealArm) -> None:
    bench.change_state(Transition.TRANSITION_DEACTIVATE)
    refused = bench.arm()
    assert not refused.success and "inactive; activate it first" in refused.message
    bench.move_pan_by_other_means(0.6)
    since, sent = len(bench.measured()), len(bench.commands)
    bench.change_state(Transition.TRANSITION_ACTIVATE)
    bench.observer.spin(10 * PERIOD_S)
    assert len(bench.commands) == sent
    assert bench.arm().success
    bench.observer.until(lambda: len(bench.commands) > sent + 5, "commands")
    assert np.abs(np.array(bench.commands[sent].position) - bench.measured()[since]).max() < STILL_RAD
    assert bench.largest_step_rad(since) < STILL_RAD


def test_no_chunk_requested_before_a_stop_moves_the_arm_that_is_armed_again(bench: RealArm) -> None:
    assert bench.arm().success
    bench.set_task()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    goal = bench.measured()[-1] + 0.6 * np.eye(6)[0]
    late = bench.chunk(np.tile(goal, (60, 1)), request_id=bench.requests[0].request_id)
    for verb in ("stop", "reset"):
        assert bench.observer.trigger(f"executor/{verb}").success
    assert bench.arm().success
    since = len(bench.measured())
    bench.publish(late)
    bench.observer.until(lambda: bench.rejected() == {"before_arming": 1}, "its refusal")
    bench.observer.until(lambda: len(bench.requests) > 1, "a request of its own")
    bench.observer.spin(10 * PERIOD_S)
    assert bench.largest_step_rad(since) < STILL_RAD
    bench.send(np.tile(goal, (60, 1)), request_id=bench.requests[-1].request_id)
    bench.observer.until(lambda: bench.measured()[-1][0] > goal[0] - 0.3, "the answer to be followed")
