# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm node obeys only admitted `joint_commands`, and nothing else moves a servo."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import smolvla_ros.msg as msg

from smolvla_ros.arm.command_admission import PAUSE_S
from smolvla_ros.nodes import topics
from smolvla_ros.simulation.servo import MAX_SPEED_TICKS_S
from smolvla_ros.units import RAD_PER_TICK

from .arm_bench import CONTROL_PERIOD_S, ArmBench
from .conftest import EVERY_ONE

STILL_RAD = 0.002  # one tick of the encoder, and rounding
PAN, ROLL = np.eye(6)[0], np.eye(6)[4]
AGE_OF_2001_S = 25 * 365 * 86400.0


def test_invalid_commands_are_refused_with_a_reason_and_move_nothing(
    arm_bench: Callable[..., ArmBench],
) -> None:
    node = arm_bench()
    goal = node.pose() + 0.05 * PAN
    names = list(node.robot.joint_names)
    node.wait_for_refusal(goal, "is it a recording, or do the clocks differ?", age_s=AGE_OF_2001_S)
    node.wait_for_refusal(goal, "in the future, more than max_ahead_s=0.05", age_s=-0.5)
    node.wait_for_refusal(goal, "sends no time in header.stamp", stamp_ns=0)
    node.wait_for_refusal(goal + math.nan * PAN, "is not finite")
    node.wait_for_refusal(1e308 * np.ones(6), "are these radians?")
    node.wait_for_refusal(goal, "lack gripper", names=[*names[:5], "claw"])
    node.wait_for_refusal(goal + 0.3 * PAN, "rad from where shoulder_pan stands")
    node.start_turn()
    node.wait_for_refusal(90.0 * np.ones(6), "which is no angle of a joint")  # nor from the current commander
    assert node.largest_step_rad() < STILL_RAD
    assert node.program.running and "Traceback" not in node.program.output


def test_a_second_commander_is_informed_about_the_first_and_moves_nothing(
    arm_bench: Callable[..., ArmBench],
) -> None:
    node = arm_bench()
    pose = node.pose()
    node.start_turn()

    def both(goal: Any, commander: str, text: str) -> None:
        """The first commander continues while another one tries."""
        node.observer.until(
            lambda: node.command(goal, commander) or node.command(pose) or text in node.program.output, text
        )

    both(pose + 0.4 * PAN, "/teleop", "'/teleop' is not obeyed: '/observer' commands the arm; stop it first")
    node.observer.until(lambda: node.refusals, "the other to be informed")
    other = node.observer.publisher(topics.JOINT_COMMANDS)
    node.observer.until(lambda: node.observer.node.count_publishers(other.topic_name) == 2, "two publishers")
    both(pose, "", "it names no commander in header.frame_id, and may come from /observer, /observer")
    for _ in range(10):  # now that the arm node has discovered both publishers
        node.command(pose + 0.4 * PAN, "")
        node.command(pose)
        node.observer.spin(0.02)
    assert node.largest_step_rad() < STILL_RAD
    assert {refusal.key for refusal in node.refusals} == {"/teleop"}


def test_goals_move_no_faster_than_the_limit_however_many_commands_come(
    arm_bench: Callable[..., ArmBench],
) -> None:
    node = arm_bench(max_speed_rad_s=0.5)
    start = node.pose()
    node.start_turn()

    def five_at_once() -> bool:
        for _ in range(5):
            node.command(start + 2.0 * ROLL)
        return bool(abs(node.pose()[4] - start[4]) > 0.3)

    node.observer.until(five_at_once, "the arm to move")
    assert node.largest_step_rad() < MAX_SPEED_TICKS_S * RAD_PER_TICK * CONTROL_PERIOD_S / 2


def test_torque_that_is_switched_on_again_moves_nothing_until_the_executor_is_armed_again(
    arm_bench: Callable[..., ArmBench], start: Callable[..., Any]
) -> None:
    node = arm_bench()
    observer = node.observer
    states = observer.collect(topics.EXECUTOR_STATE)
    commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
    start("nodes.executor_node", mode="armed")
    observer.until(lambda: node.obeyed("/executor") == 1, "the executor to be obeyed")

    node.torque(False)
    node.move_by_hand(200)  # 0.3 rad, less than the executor takes for a fault by itself
    observer.until(lambda: states and states[-1].state == msg.ExecutorState.FAULT, "the executor's fault")
    assert states[-1].reason == "the arm does not obey: torque is off; reset and arm again"
    node.torque(True)
    on, left = len(node.states), node.pose()
    assert observer.trigger("executor/reset").success
    seen = len(commands)
    node.observer.spin(PAUSE_S)  # the arm must not move during this time
    assert observer.switch("executor/arm", True).success
    observer.until(lambda: node.obeyed("/executor") == 2, "the executor to be obeyed again")
    observer.until(lambda: len(commands) > seen + 10, "commands")
    assert np.abs(np.array(commands[-1].position) - left).max() < 0.02
    assert node.largest_step_rad(on) < STILL_RAD
