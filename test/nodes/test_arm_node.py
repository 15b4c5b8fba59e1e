# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm node on the real servo protocol: reads at its rate, obeys commands, holds when it stops."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.wire import header_stamp_ns

from ..package_files import CALIBRATION_FILE, ROBOT, ROBOT_FILE
from .conftest import is_complete, measured_rad


def test_joint_states_come_at_fifty_hertz_in_radians(observer: Any, start: Any, emulated_arm: Any) -> None:
    states = observer.collect(topics.JOINT_STATES)
    start("nodes.arm_node", port=emulated_arm[0])
    observer.until(lambda: any(map(is_complete, states)), "joint states")
    observer.spin(2.0)
    stamps = [header_stamp_ns(message) for message in states]
    assert stamps == sorted(set(stamps))
    assert 1e9 / np.median(np.diff(stamps)) == pytest.approx(50.0, rel=0.05)
    pose = measured_rad(states)
    assert (ROBOT.lower_rad - 0.3 < pose).all() and (pose < ROBOT.upper_rad + 0.3).all()


def test_a_command_moves_the_arm_to_its_goal(observer: Any, start: Any, emulated_arm: Any) -> None:
    states, servos = observer.collect(topics.JOINT_STATES), observer.collect(topics.SERVO_STATES)
    commands = observer.publisher(topics.JOINT_COMMANDS)
    start("nodes.arm_node", port=emulated_arm[0])
    observer.until(
        lambda: any(map(is_complete, states)) and servos and commands.get_subscription_count(), "the arm"
    )
    goal = measured_rad(states) + 0.09 * np.eye(6)[0]

    def there() -> bool:
        commands.publish(joint_command_msg(ROBOT.joint_names, observer.now_ns(), goal))
        return bool(np.abs(measured_rad(states) - goal).max() < 0.01)

    observer.until(there, "the arm to arrive")
    assert min(servos[-1].temperature) > 0 and max(servos[-1].temperature) < 60
    assert min(servos[-1].voltage) > 4.0 and max(servos[-1].voltage) < 13.0
    assert not any(servos[-1].error_bits) and not any(servos[-1].communication_errors)


def test_a_disconnected_bus_is_reported_and_the_node_continues(
    observer: Any, start: Any, emulated_arm: Any
) -> None:
    port, bus = emulated_arm
    states, diagnostics = observer.collect(topics.JOINT_STATES), observer.collect(topics.DIAGNOSTICS)
    program = start("nodes.arm_node", port=port)
    observer.until(lambda: states, "joint states")
    Path(port).unlink()  # as udev does; otherwise the node would open the next pseudo-terminal of this name
    bus.stop(signal.SIGKILL)
    observer.until(
        lambda: diagnostics and diagnostics[-1].status[0].level == b"\x02", "an error on /diagnostics"
    )
    observer.spin(0.2)  # receive what was published before
    seen = len(states)
    observer.spin(0.5)
    assert len(states) == seen and program.running
    assert port in program.output


def test_the_arm_holds_when_the_node_stops(observer: Any, start: Any, emulated_arm: Any) -> None:
    states = observer.collect(topics.JOINT_STATES)
    commands = observer.publisher(topics.JOINT_COMMANDS)
    program = start("nodes.arm_node", port=emulated_arm[0])
    observer.until(lambda: states and commands.get_subscription_count(), "the arm")
    assert program.stop(signal.SIGINT) == 0
    assert "the arm holds its pose, its torque stays on" in program.output
    assert "Traceback" not in program.output

    with closing(FeetechBus(emulated_arm[0])) as bus, bus.long_timeouts():
        bus.open()
        assert [bus.read(servo_id, "Torque_Enable") for servo_id in range(1, 7)] == [1] * 6


def test_a_gripper_of_another_name_gets_the_limits_of_a_gripper(
    observer: Any, start: Any, emulated_arm: Any, tmp_path: Path
) -> None:
    urdf = ROBOT.urdf_path.read_text().replace('<joint name="gripper"', '<joint name="jaw"')
    (tmp_path / "jaw.urdf").write_text(urdf)
    robot = Path(ROBOT_FILE).read_text().replace("name: gripper,", "name: jaw,")
    (tmp_path / "jaw.yaml").write_text(robot.replace("../urdf/so100.urdf", "jaw.urdf"))
    calibration = Path(CALIBRATION_FILE).read_text().replace('"gripper"', '"jaw"')
    (tmp_path / "jaw.json").write_text(calibration)
    program = start(
        "nodes.arm_node",
        port=emulated_arm[0],
        robot=tmp_path / "jaw.yaml",
        calibration=tmp_path / "jaw.json",
    )
    observer.until(lambda: "active" in program.output, "the arm")
    assert "jaw (servo 6): Max_Torque_Limit 1000 -> 500" in program.output


def test_a_failed_start_is_explained_in_one_message(start: Any, emulated_arm: Any, tmp_path: Path) -> None:
    calibration = json.loads(Path(CALIBRATION_FILE).read_text())
    without_gripper = tmp_path / "five.json"
    without_gripper.write_text(
        json.dumps({name: entry for name, entry in calibration.items() if name != "gripper"})
    )
    calibration["elbow_flex"]["homing_offset"] += 100
    other_arm = tmp_path / "other.json"
    other_arm.write_text(json.dumps(calibration))
    cases = [
        ({"port": "/dev/serial/by-id/absent"}, "/dev/serial/by-id/absent"),
        ({"port": ""}, "parameter `port` is empty"),
        ({"calibration": "absent.json"}, "absent.json"),
        ({"calibration": without_gripper}, "gripper"),
        ({"calibration": other_arm}, "elbow_flex"),
    ]
    for parameters, message in cases:
        program = start("nodes.arm_node", **{"port": emulated_arm[0], **parameters})
        assert program.wait() == 1, program.output
        assert message in program.output and "Traceback" not in program.output
