# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Emulated servos on the joints of a world: registers act there, and contacts show in the telemetry."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.registers import ServoFault, register
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.expert import Expert
from smolvla_ros.simulation.layout import Cube, Layout, random_layout
from smolvla_ros.simulation.tasks.instruction import understand
from smolvla_ros.simulation.world import World
from smolvla_ros.simulation.world_servos import WorldServos
from smolvla_ros.units import RAD_PER_TICK, load_calibration
from smolvla_ros.urdf import Urdf

ROOT = Path(__file__).parents[2]
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
UNITS = dict(
    zip(ROBOT.joint_names, ROBOT.units(load_calibration(ROOT / "config" / "emulated_calibration.json")))
)
OVER = (0.0, 1.0, -1.2, 1.1, 0.0, 0.7)


class Arm:
    """Servos in a world, commanded by their registers."""

    def __init__(self, layout: Layout) -> None:
        self.world = World(ROBOT.urdf_path, layout)
        self.bus = WorldServos(self.world, UNITS)
        for servo in self.bus.servos.values():
            self.write(servo, "P_Coefficient", 16)
            self.write(servo, "Goal_Position", round(servo.position_ticks))
            self.write(servo, "Torque_Enable", 1)

    def write(self, servo: object, name: str, value: int) -> None:
        entry = register(name)
        servo.write(entry.address, entry.encode(value))  # type: ignore[attr-defined]

    def read(self, joint: str, name: str) -> int:
        entry = register(name)
        return int(entry.decode(self.bus.servos[joint].read(entry.address, entry.end - entry.address)))

    def go(self, positions_rad: object) -> None:
        for name, position in zip(ROBOT.joint_names, np.asarray(positions_rad, float).tolist(), strict=True):
            self.write(
                self.bus.servos[name],
                "Goal_Position",
                int(np.clip(UNITS[name].rad_to_ticks(position), 0, 4095)),
            )


def test_the_joints_go_where_the_goal_positions_say_and_report_it() -> None:
    arm = Arm(Layout((), start_rad=OVER))
    target = np.array(OVER) + [0.4, -0.2, 0.2, -0.3, 0.5, -0.3]
    arm.go(target)
    arm.bus.advance(2.0)
    np.testing.assert_allclose(arm.world.positions_rad, target, atol=0.05)
    reported = [UNITS[name].ticks_to_rad(arm.read(name, "Present_Position")) for name in ROBOT.joint_names]
    np.testing.assert_allclose(reported, arm.world.positions_rad, atol=RAD_PER_TICK)


def test_goal_velocity_limits_the_speed_of_the_joint() -> None:
    arm = Arm(Layout((), start_rad=OVER))
    arm.write(arm.bus.servos["shoulder_pan"], "Goal_Velocity", 300)
    arm.go([1.0, *OVER[1:]])
    arm.bus.advance(0.5)
    assert arm.world.velocities_rad_s[0] == pytest.approx(300 * RAD_PER_TICK, rel=0.1)
    assert abs(arm.read("shoulder_pan", "Present_Velocity")) == pytest.approx(300, rel=0.1)
    assert arm.read("shoulder_pan", "Moving") == 1


def test_the_weight_of_the_arm_shows_as_load_and_the_arm_gives_way_to_it_less_with_a_higher_gain() -> None:
    sags = {}
    for gain in (16, 32):
        arm = Arm(Layout((), start_rad=OVER))
        for servo in arm.bus.servos.values():
            arm.write(servo, "P_Coefficient", gain)
        arm.bus.advance(1.5)
        assert abs(arm.read("elbow_flex", "Present_Load")) > 20
        sags[gain] = abs(arm.world.positions_rad - OVER).max()
    assert sags[16] > 1.7 * sags[32] > 0.0


def test_a_grasped_cube_shows_as_load_of_the_gripper() -> None:
    layout = Layout((Cube("red_cube", "red", 0.25, 0.0),))
    arm, expert = Arm(layout), Expert(Urdf.load(ROBOT.urdf_path))
    task = understand("Pick up the red cube", layout)
    while not task.is_done(arm.world.state()) and arm.world.time_s < 10.0:
        arm.go(expert.targets(arm.world.state(), task))
        arm.bus.advance(0.1)
    assert task.is_done(arm.world.state())
    assert abs(arm.read("gripper", "Present_Load")) > 100
    assert not any(servo.error_bits for servo in arm.bus.servos.values())


def test_a_collision_becomes_an_overload_with_the_torque_that_is_left_after_one() -> None:
    arm = Arm(Layout((), start_rad=OVER))
    arm.go([OVER[0], 3.0, -0.4, *OVER[3:]])  # through the table
    arm.bus.advance(1.0)
    assert arm.world.state().gripper_pose[2, 3] > 0.0
    assert abs(arm.read("shoulder_lift", "Present_Load")) > 800
    arm.bus.advance(2.5)
    assert arm.bus.servos["shoulder_lift"].error_bits & ServoFault.OVERLOAD
    assert abs(arm.read("shoulder_lift", "Present_Load")) <= 200 + 15


def test_without_torque_the_arm_falls_and_with_torque_again_it_holds_where_it_lies() -> None:
    arm = Arm(Layout((), start_rad=OVER))
    for servo in arm.bus.servos.values():
        arm.write(servo, "Torque_Enable", 0)
    arm.bus.advance(3.0)
    fallen = arm.world.positions_rad
    assert abs(fallen - OVER).max() > 0.2
    for servo in arm.bus.servos.values():
        arm.write(servo, "Goal_Position", round(servo.position_ticks))
        arm.write(servo, "Torque_Enable", 1)
    arm.bus.advance(1.0)
    np.testing.assert_allclose(arm.world.positions_rad, fallen, atol=0.06)


def test_time_between_the_steps_of_the_world_is_not_lost() -> None:
    arm = Arm(random_layout(1))
    for _ in range(1000):
        arm.bus.advance(0.0013)
    assert arm.world.time_s == pytest.approx(1.3, abs=0.006)


def test_the_driver_moves_the_arm_in_the_world_over_the_serial_line() -> None:
    world = World(ROBOT.urdf_path, Layout((), start_rad=OVER))
    calibration = load_calibration(ROOT / "config" / "emulated_calibration.json")
    with EmulatedArm(calibration, mechanics=WorldServos(world, UNITS)) as emulated:
        arm = So100Arm(FeetechBus(emulated.port), ROBOT.units(calibration))
        arm.connect()
        arm.enable_torque()
        goal = np.array(OVER) + [0.3, 0.0, 0.0, -0.2, 0.0, 0.0]
        deadline_s = time.monotonic() + 10.0
        while abs(arm.read().positions_rad - goal).max() > 0.05 and time.monotonic() < deadline_s:
            arm.write(goal)
        with emulated.held_still():
            np.testing.assert_allclose(world.positions_rad, goal, atol=0.06)
        arm.close()


def test_an_arm_that_falls_stays_within_its_calibrated_range() -> None:
    arm = Arm(Layout(()))
    for servo in arm.bus.servos.values():
        arm.write(servo, "Torque_Enable", 0)
    arm.bus.advance(5.0)
    for name, servo in arm.bus.servos.items():
        motor = UNITS[name].calibration
        assert motor is not None and motor.range_min <= servo.position_ticks <= motor.range_max, name
