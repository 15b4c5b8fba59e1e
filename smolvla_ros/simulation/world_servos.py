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
LIMP = Drive(0.0, 0.0, 0.0)
STEPS = 4  # of the world, in which registers and protection do not change: 20 ms


class WorldServo(EmulatedServo):
    """A servo on one joint of a world. `units` converts between its ticks and the joint's radians."""

    def __init__(self, units: JointUnits, world: World, joint: int, seed: int = 0) -> None:
        assert units.calibration is not None
        self._units, self._world, self._joint = units, world, joint
        position = units.rad_to_ticks(float(world.positions_rad[joint]))
        super().__init__(units.calibration, position, seed)
        self._reference_ticks, self._reference_ticks_s = float(position), 0.0
        self._zero_rad, self._rad_per_tick = units.ticks_to_rad(0.0), units.direction * RAD_PER_TICK
        self.enter(world)

    @property
    def at_rest(self) -> bool:
        """Never: the world may move the shaft."""
        return False

    def enter(self, world: World) -> None:
        """Move the joint of another world from now on, which stands where this one stands."""
        self._world = world
        self._joint_drive: Drive | None = None  # not set yet
        self._set_stops()

    def begin(self) -> None:
        """Set what drives the joint from now on, as the registers say."""
        torque = self._protection.max_drive() * FULL_TORQUE_NM if self._holds else 0.0
        stiffness = max(1, self.value("P_Coefficient")) * DRIVE_PER_TICK / RAD_PER_TICK * FULL_TORQUE_NM
        drive = Drive(stiffness, stiffness * DAMPING_S, torque) if torque else LIMP
        if drive != self._joint_drive:
            self._joint_drive = drive
            self._world.set_drive(self._joint, drive)
        self._goal = self._goal_ticks()
        self._limits = self._speed_and_acceleration()

    def next_target_rad(self, duration_s: float) -> float:
        """Move the reference by a step of this duration; returns where the drive then holds the joint."""
        error = self._goal - self._reference_ticks
        speed, acceleration = self._limits
        wanted = math.copysign(min(approach_speed(abs(error), 0.9 * acceleration), speed), error)
        most = acceleration * duration_s
        self._reference_ticks_s += max(-most, min(most, wanted - self._reference_ticks_s))
        self._reference_ticks += self._reference_ticks_s * duration_s
        return self._zero_rad + self._rad_per_tick * self._reference_ticks

    def end(self, duration_s: float, position_rad: float, speed_rad_s: float, torque_nm: float) -> None:
        """Take over what has become of the joint in the time since `begin`."""
        self.position_ticks = (position_rad - self._zero_rad) / self._rad_per_tick
        self.velocity_ticks_s = speed_rad_s / self._rad_per_tick
        self._drive = self._units.direction * torque_nm / FULL_TORQUE_NM
        if self._joint_drive == LIMP:
            self._reference_ticks, self._reference_ticks_s = self.position_ticks, 0.0
        self._warm_up(duration_s)

    def _set_stops(self) -> None:
        """Put stops just inside the calibrated range: an arm is calibrated by moving it from stop to stop."""
        motor = self._units.calibration
        assert motor is not None
        ends = (self._units.ticks_to_rad(motor.range_min), self._units.ticks_to_rad(motor.range_max))
        self._world.set_stops(self._joint, min(ends) + STOP_MARGIN_RAD, max(ends) - STOP_MARGIN_RAD)


class WorldServos:
    """The servos of an arm in a world, moved together. `servos` are for an EmulatedArm.

    most_s: time that one `advance` makes up for; on a computer that is too busy for more, the world is late.
    """

    def __init__(
        self, world: World, units: Mapping[str, JointUnits], seed: int = 0, most_s: float = math.inf
    ) -> None:
        self._world = world
        self._most_s = most_s
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
        self._left_over_s += min(duration_s, self._most_s)
        steps = int(self._left_over_s / self._world.time_step_s)
        self._left_over_s -= steps * self._world.time_step_s
        while steps > 0:
            self._advance(min(steps, STEPS))
            steps -= STEPS

    def _advance(self, steps: int) -> None:
        """As many steps of the world."""
        world, servos = self._world, self.servos.values()
        step_s = world.time_step_s
        for servo in servos:
            servo.begin()
        for _ in range(steps):
            world.command([servo.next_target_rad(step_s) for servo in servos])
            world.step(step_s)
        joints = zip(world.positions_rad.tolist(), world.velocities_rad_s.tolist(), world.torques_nm.tolist())
        for servo, joint in zip(servos, joints, strict=True):
            servo.end(steps * step_s, *joint)
