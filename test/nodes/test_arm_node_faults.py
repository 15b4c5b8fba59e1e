# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm node with an unplugged cable, power loss, heat, dead servos, bad packets, and without commands."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition

from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.line_faults import LineFaults

from ..package_files import CALIBRATION
from .arm_bench import ArmBench

OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"


def shift(*, pan: float = 0.0, roll: float = 0.0) -> Any:
    return np.array([pan, 0.0, 0.0, 0.0, roll, 0.0])


def test_unplugged_for_five_seconds_it_reconnects_and_holds(
    arm_bench: Callable[..., ArmBench], arm: EmulatedArm
) -> None:
    node = arm_bench()
    before = node.pose() + shift(pan=0.3)
    node.move_to(before)
    arm.unplug()
    node.observer.until(node.diagnoses(ERROR, "so100"), "an error on /diagnostics")
    seen = len(node.states)
    node.observer.spin(5.0)
    assert len(node.states) == seen  # only measured values are published
    arm.plug_in()
    node.observer.until(lambda: len(node.states) > seen + 20, "joint states again")
    assert node.torques() == [1] * 6
    assert np.abs(node.pose() - before).max() < 0.03
    node.move_to(before + shift(roll=0.3))
    node.observer.until(node.diagnoses(OK, "holding, no commands"), "health")
    assert {pair.key: pair.value for pair in node.status().values}["reconnects"] == "1"
    assert node.program.running


def test_deactivated_while_unplugged_it_reconnects_when_it_is_activated(
    arm_bench: Callable[..., ArmBench], arm: EmulatedArm
) -> None:
    node = arm_bench()
    arm.unplug()
    node.observer.until(node.diagnoses(ERROR, "so100"), "an error on /diagnostics")
    assert node.observer.change_state("arm", Transition.TRANSITION_DEACTIVATE)
    arm.plug_in()
    seen = len(node.states)
    assert node.observer.change_state("arm", Transition.TRANSITION_ACTIVATE), node.program.output
    node.observer.until(lambda: len(node.states) > seen, "joint states again")
    node.move_to(node.pose() + shift(pan=0.1))


def test_on_a_bad_line_joint_states_are_correct_and_commands_are_executed(
    arm_bench: Callable[..., ArmBench], arm: EmulatedArm
) -> None:
    node = arm_bench()
    node.observer.until(lambda: len(node.states) > 20, "joint states")
    start = node.pose()
    arm.faults = LineFaults(lost=0.03, corrupt=0.03, truncated=0.02, late=0.02, echoed=0.05, seed=3)
    first = len(node.states)
    turn = 0
    node.start_turn()
    while sum(arm.faults.counts.values()) < 60:
        turn += 1
        node.approach(start + shift(pan=0.3 * (turn % 2)))
    pan = [dict(zip(message.name, message.position, strict=True)) for message in node.states[first:]]
    still = [joints[name] for joints in pan for name in ("elbow_flex", "wrist_flex") if name in joints]
    assert {round(value, 4) for value in still} <= {round(start[2], 4), round(start[3], 4)}
    moving = [joints["shoulder_pan"] for joints in pan if "shoulder_pan" in joints]
    assert start[0] - 0.05 < min(moving) and max(moving) < start[0] + 0.35


def test_a_dead_servo_is_left_out_and_the_others_continue(arm_bench: Callable[..., ArmBench]) -> None:
    node = arm_bench()
    node.servo("wrist_flex").silent = True
    node.observer.until(lambda: "wrist_flex" not in node.states[-1].name, "a message without it")
    assert list(node.states[-1].name) == [n for n in node.robot.joint_names if n != "wrist_flex"]
    node.observer.until(node.diagnoses(WARN, "wrist_flex (servo 4): no answer"), "a warning")
    node.servo("wrist_flex").silent = False
    node.observer.until(lambda: "wrist_flex" in node.states[-1].name, "the whole arm")


def test_a_servo_that_lost_power_holds_its_pose_again(
    arm_bench: Callable[..., ArmBench], arm: EmulatedArm
) -> None:
    node = arm_bench()
    before = node.pose()
    node.start_turn()
    arm.power_cycle("elbow_flex")
    node.wait_for_refusal(before, "not obeyed: elbow_flex had lost torque. It has to pause")
    for _ in range(10):
        node.command(before + shift(pan=0.3))
        node.observer.spin(0.02)
    assert node.torques() == [1] * 6
    assert "elbow_flex (servo 3) had lost its torque" in node.program.output
    assert np.abs(node.pose() - before).max() < 0.02
    assert node.servo("elbow_flex").value("Acceleration") == 254


def test_overload_is_explained(arm_bench: Callable[..., ArmBench]) -> None:
    node = arm_bench()
    node.servo("shoulder_lift").fault_bits = 32
    node.observer.until(node.diagnoses(ERROR, "shoulder_lift: overload: it pushed for too long"), "an error")


def test_a_hot_servo_gets_less_torque_and_a_hotter_one_stops_the_arm(
    arm_bench: Callable[..., ArmBench],
) -> None:
    node = arm_bench()
    elbow = node.servo("elbow_flex")
    elbow.room_c = elbow.temperature_c = 60.0
    node.observer.until(lambda: elbow.value("Torque_Limit") == 700, "less torque")
    node.observer.until(node.diagnoses(WARN, "elbow_flex: temperature 60 degC"), "a warning")
    node.move_to(node.pose() + shift(pan=0.2))
    elbow.room_c = elbow.temperature_c = 67.0
    node.observer.until(node.diagnoses(ERROR, "elbow_flex: temperature 67 degC"), "an error")
    before = node.pose()
    node.wait_for_refusal(before + shift(pan=0.3), "'/observer' is not obeyed: elbow_flex reached 65 degC")
    assert np.abs(node.pose() - before).max() < 0.02 and node.torques() == [1] * 6
    elbow.room_c = elbow.temperature_c = 40.0
    node.observer.until(lambda: elbow.value("Torque_Limit") == 1000, "all the torque")
    node.move_to(before + shift(pan=-0.2))


def test_without_commands_the_arm_holds(arm_bench: Callable[..., ArmBench]) -> None:
    node = arm_bench(command_timeout_s=0.2, max_step_rad=6.0)
    roll = node.servo("wrist_roll")
    roll.write(46, (200).to_bytes(2, "little"))  # Goal_Velocity: 0.3 rad/s, so that the movement takes long
    start = node.pose()
    node.start_turn()
    node.observer.until(
        lambda: node.command(start + shift(roll=1.5)) or abs(node.pose()[4] - start[4]) > 0.1, "it to go"
    )
    node.observer.until(lambda: "holding: no command for" in node.program.output, "the watchdog")
    node.observer.until(lambda: roll.velocity_ticks_s == 0.0, "it to stand")
    assert 0.0 < abs(node.pose()[4] - start[4]) < 1.0
    assert node.torques() == [1] * 6
    node.observer.until(node.diagnoses(OK, "holding, no commands"), "health")


def test_a_distant_goal_is_limited_to_one_step(arm_bench: Callable[..., ArmBench]) -> None:
    node = arm_bench(max_step_rad=0.1)
    start = node.pose()
    node.start_turn()
    node.command(start + shift(roll=1.0))
    node.observer.until(lambda: "joint command clamped at wrist_roll" in node.program.output, "a word")
    node.observer.until(lambda: "holding: no command" in node.program.output, "the watchdog")
    assert 0.03 < abs(node.pose()[4] - start[4]) < 0.1 + 0.03


def test_torque_is_switched_by_a_parameter(arm_bench: Callable[..., ArmBench]) -> None:
    node = arm_bench()
    node.torque(False)
    node.observer.until(node.diagnoses(OK, "reading, torque is off"), "health")
    node.torque(True)
    node.move_to(node.pose() + shift(pan=0.2))


@pytest.mark.parametrize(
    ("mode", "step_rad", "torque"),
    [("hold", 0.3, 1), ("release", 0.3, 0), ("rest_pose", 0.3, 0), ("rest_pose", 0.08, 0)],
)
def test_on_deactivate_is_obeyed(
    arm_bench: Callable[..., ArmBench], mode: str, step_rad: float, torque: int
) -> None:
    rest = [0.1, 0.5, -0.5, 0.5, 0.0, 0.9]
    node = arm_bench(on_deactivate=mode, rest_pose_rad=rest, rest_speed_rad_s=3.0, max_step_rad=step_rad)
    before = node.pose()
    assert node.program.stop(signal.SIGINT) == 0
    assert node.torques() == [torque] * 6
    units = node.robot.units(CALIBRATION)
    servos = node.emulated_arm.servos.values()
    stands = np.array([u.ticks_to_rad(s.position_ticks) for u, s in zip(units, servos, strict=True)])
    assert np.abs(stands - (rest if mode == "rest_pose" else before)).max() < 0.15
