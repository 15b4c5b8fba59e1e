# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two emulated arms: a leader that is moved by hand, and a follower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.arm.command_admission import PAUSE_S
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.wire import header_stamp_ns, joints_from_msg

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROBOT
from .conftest import EVERY_ONE, is_complete, measured_rad
from .leader_arm import MOVES_TICKS, move_by_hand


@pytest.fixture
def teleop(
    observer: Any, start: Callable[..., Any], emulated_arm: Any, leader: tuple[EmulatedArm, Path]
) -> Any:
    """Both arm nodes and the teleop node, following: its program, joint states of leader and follower."""
    arm, file = leader
    led, leading = observer.collect(topics.JOINT_STATES), observer.collect(topics.LEADER_JOINT_STATES)
    start("nodes.arm_node", port=emulated_arm[0])
    namespace = ("--ros-args", "-r", "__ns:=/leader")
    start("nodes.arm_node", *namespace, port=arm.port, calibration=file, role="leader")
    program = start("nodes.teleop_node", calibration=CALIBRATION_FILE, leader_calibration=file)
    observer.until(
        lambda: any(map(is_complete, led)) and any(map(is_complete, leading)), "joint states of both arms"
    )
    observer.until(lambda: "the follower follows" in program.output, "the follower to follow")
    return program, leading, led


def test_the_follower_follows_the_leader_softly(observer: Any, teleop: Any, leader: Any) -> None:
    _, leading, led = teleop
    commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
    observer.until(lambda: commands, "commands")
    assert not any(servo.value("Torque_Enable") for servo in leader[0].servos.values())
    before = measured_rad(led)
    move_by_hand(leader[0])
    seen = len(commands)
    observer.until(
        lambda: (
            np.abs(measured_rad(led) - measured_rad(leading))[:5].max() < 0.02 and len(commands) > seen + 50
        ),
        "the follower to arrive",
    )
    moved = measured_rad(led) - before
    directions = [joint.direction for joint in ROBOT.joints[:5]]
    assert moved[:5] == pytest.approx(
        np.array(directions) * list(MOVES_TICKS.values()) * 2 * np.pi / 4096, abs=0.02
    )
    gripper = ROBOT.units(CALIBRATION)[5]
    assert gripper.rad_to_lerobot(float(measured_rad(led)[5])) == pytest.approx(25.0, abs=1.0)
    goals = np.array([joints_from_msg(message, ROBOT.joint_names).positions_rad for message in commands])
    assert np.abs(np.diff(goals, axis=0)).max() <= 0.07 + 1e-6
    stamps = [header_stamp_ns(message) for message in commands]
    assert 1e9 / np.median(np.diff(stamps)) == pytest.approx(50.0, rel=0.05)


def test_the_follower_follows_while_a_recorder_listens(
    observer: Any, start: Callable[..., Any], teleop: Any, leader: Any, tmp_path: Path
) -> None:
    _, _, led = teleop
    start("nodes.recorder_node", output=tmp_path / "episodes", task="follow", min_free_mb=1.0)
    observer.until(
        lambda: observer.node.get_subscriptions_info_by_topic("/operator_targets"), "the recorder to listen"
    )
    observer.spin(0.5)  # until the teleop node knows of it
    before = measured_rad(led)
    move_by_hand(leader[0])
    observer.until(lambda: np.abs(measured_rad(led) - before)[:5].min() > 0.2, "the follower to arrive")


def test_it_holds_while_the_leader_is_silent_and_continues_afterwards(
    observer: Any, teleop: Any, leader: Any
) -> None:
    program, _, led = teleop
    for servo in leader[0].servos.values():
        servo.silent = True
    observer.until(lambda: "holding: no joint states of the leader" in program.output, "it to hold")
    before = measured_rad(led)
    move_by_hand(leader[0])
    observer.spin(0.5)
    assert np.abs(measured_rad(led) - before).max() < 0.02
    for servo in leader[0].servos.values():
        servo.silent = False
    observer.until(lambda: np.abs(measured_rad(led) - before)[:5].max() > 0.2, "it to go on")


def test_it_holds_while_another_program_commands_the_arm(observer: Any, teleop: Any, leader: Any) -> None:
    program, _, led = teleop
    other = observer.publisher(topics.JOINT_COMMANDS)
    observer.until(lambda: "1 other publishers on /joint_commands" in program.output, "it to hold")
    before = measured_rad(led)
    goal = before + [0.08, 0, 0, 0, 0, 0]
    observer.spin(2 * PAUSE_S)  # until the turn of the teleop node has ended

    def there() -> bool:
        other.publish(joint_command_msg(ROBOT.joint_names, observer.now_ns(), goal, "/observer"))
        return bool(np.abs(measured_rad(led) - goal).max() < 0.01)

    observer.until(there, "the arm to obey the other")
    observer.node.destroy_publisher(other)
    observer.until(lambda: abs(measured_rad(led)[0] - before[0]) < 0.01, "the leader to lead again")


def test_an_arm_without_torque_can_be_moved_by_hand_and_then_holds_its_new_pose(
    observer: Any, start: Callable[..., Any], leader: tuple[EmulatedArm, Path]
) -> None:
    arm, file = leader
    states = observer.collect(topics.JOINT_STATES)
    start("nodes.arm_node", port=arm.port, calibration=file)
    observer.until(lambda: any(map(is_complete, states)), "joint states")

    def torque(on: bool) -> None:
        assert observer.set_parameters("arm", torque=on).successful
        servos = arm.servos.values()
        observer.until(lambda: all(s.value("Torque_Enable") == on for s in servos), f"torque {on}")

    before = measured_rad(states)
    torque(False)
    move_by_hand(arm)
    observer.until(
        lambda: np.abs(measured_rad(states) - before).min() > 0.2, "joint states to follow the hand"
    )
    left = {name: servo.position_ticks for name, servo in arm.servos.items()}
    torque(True)
    observer.spin(0.5)
    assert {name: servo.position_ticks for name, servo in arm.servos.items()} == pytest.approx(left, abs=10)


def test_without_both_calibrations_it_exits_with_a_message(start: Callable[..., Any]) -> None:
    program = start("nodes.teleop_node", calibration=CALIBRATION_FILE)
    assert program.wait() == 1
    assert "parameter `leader_calibration` is empty" in program.output
