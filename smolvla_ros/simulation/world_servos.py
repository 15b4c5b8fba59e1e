# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Emulated servos whose shafts are the joints of a World: goal, speed, acceleration, torque limit and gain act there.

A servo moves a reference towards its goal within its speed and acceleration, and drives its joint towards it with a
torque in proportion to P_Coefficient, up to its limit. Position, speed and load come back from the joint: a grasp
shows as load, a collision as overload, and with torque off the arm falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from smolvla_ros.simulation.servo import DRIVE_PER_TICK, EmulatedServo, approach_speed
from smolvla_ros.simulation.world import Drive, World
from smolvla_ros.units import RAD_PER_TICK, JointUnits

FULL_TORQUE_NM = 2.94  # at full drive: the stall torque of an STS3215 at 7.4 V, 30 kg cm
STOP_MARGIN_RAD = 0.03  # the stops of the world give way a little
DAMPING_S = 0.08  # of the drive, as a share of its stiffness: torque against speed


class WorldServo(EmulatedServo):
    """A servo on one joint of a world. `units` converts between its ticks and the joint's radians."""

    def __init__(self, units: JointUnits, world: World, joint: int, seed: int = 0) -> None:
        assert units.calibration is not None
        self._units, self._world, self._joint = units, world, joint
        position = units.rad_to_ticks(float(world.positions_rad[joint]))
        super().__init__(units.calibration, position, seed)
        self._set_stops()
        self._reference_ticks, self._reference_ticks_s = float(position), 0.0

    @property
    def at_rest(self) -> bool:
        """Never: the world may move the shaft."""
        return False

    def enter(self, world: World) -> None:
        """Move the joint of another world from now on, which stands where this one stands."""
        self._world = world
        self._set_stops()

    def begin_step(self, duration_s: float) -> None:
        """Move the reference, and set what drives the joint in the step to come."""
        if not self._holds:
            self._reference_ticks, self._reference_ticks_s = self.position_ticks, 0.0
            self._world.set_drive(self._joint, Drive(0.0, 0.0, 0.0))
            return
        self._move_reference(duration_s)
        stiffness = max(1, self.value("P_Coefficient")) * DRIVE_PER_TICK / RAD_PER_TICK * FULL_TORQUE_NM
        max_torque_nm = self._protection.max_drive() * FULL_TORQUE_NM
        self._world.set_drive(self._joint, Drive(stiffness, stiffness * DAMPING_S, max_torque_nm))
        self._world.set_target(self._joint, self._units.ticks_to_rad(self._reference_ticks))

    def end_step(self, duration_s: float, position_rad: float, speed_rad_s: float, torque_nm: float) -> None:
        """Take over what the step has made of the joint."""
        zero_rad = self._units.ticks_to_rad(0.0)
        self.position_ticks = (position_rad - zero_rad) * self._units.direction / RAD_PER_TICK
        self.velocity_ticks_s = self._units.direction * speed_rad_s / RAD_PER_TICK
        self._drive = self._units.direction * torque_nm / FULL_TORQUE_NM
        self._warm_up(duration_s)

    def _set_stops(self) -> None:
        """Put stops just inside the calibrated range: an arm is calibrated by moving it from stop to stop."""
        motor = self._units.calibration
        assert motor is not None
        ends = (self._units.ticks_to_rad(motor.range_min), self._units.ticks_to_rad(motor.range_max))
        self._world.set_stops(self._joint, min(ends) + STOP_MARGIN_RAD, max(ends) - STOP_MARGIN_RAD)

    def _move_reference(self, duration_s: float) -> None:
        error = self._goal_ticks() - self._reference_ticks
        speed, acceleration = self._speed_and_acceleration()
        wanted = math.copysign(min(approach_speed(abs(error), 0.9 * acceleration), speed), error)
        most = acceleration * duration_s
        self._reference_ticks_s += max(-most, min(most, wanted - self._reference_ticks_s))
        self._reference_ticks += self._reference_ticks_s * duration_s


class WorldServos:
    """The servos of an arm in a world, moved together. `servos` are for an EmulatedArm."""

    def __init__(self, world: World, units: Mapping[str, JointUnits], seed: int = 0) -> None:
        self._world = world
        self._left_over_s = 0.0
        self.servos = {
            name: WorldServo(units[name], world, joint, seed) for joint, name in enumerate(world.joint_names)
        }

    def enter(self, world: World) -> None:
        """Belong to another world from now on, whose arm stands as it stands in this one."""
        self._world = world
        for servo in self.servos.values():
            servo.enter(world)

    def advance(self, duration_s: float) -> None:
        """Let time pass in steps of the world; what is shorter than a step is kept for the next call."""
        step_s = self._world.time_step_s
        self._left_over_s += duration_s
        while self._left_over_s >= step_s:
            self._left_over_s -= step_s
            for servo in self.servos.values():
                servo.begin_step(step_s)
            self._world.step(step_s)
            world = self._world
            joints = zip(
                world.positions_rad.tolist(), world.velocities_rad_s.tolist(), world.torques_nm.tolist()
            )
            for servo, joint in zip(self.servos.values(), joints, strict=True):
                servo.end_step(step_s, *joint)
