# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teleoperation: the follower arm follows a leader arm that is moved by hand, with soft start and limits.

As in LeRobot, a leader's joint is converted to LeRobot's unit with the leader's calibration, and back with the
follower's. In degrees the angle stays the same; a gripper is converted by its share of the range, because the leader
has a handle in place of the jaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.settings import Settings, setting
from smolvla_ros.units import JointUnits

MOTION_NS = NANOSECONDS  # in which the leader has to move to take control: slower, it sags


@dataclass(frozen=True)
class TeleoperationConfig(Settings):
    """Settings of teleoperation; field names are those of the teleop node's ROS parameters."""

    rate_hz: float = setting(50.0, "joint commands per second", bounds=(10.0, 100.0))
    max_step_rad: float = setting(
        0.07, "most that a joint's command changes per control period", bounds=(0.0001, 1.0)
    )
    max_acceleration_rad_s2: float = setting(
        20.0, "most that a joint's commanded speed changes per second", bounds=(0.1, 1000.0)
    )
    soft_start_s: float = setting(
        2.0, "after a rest the step limit grows to its full size in this time", bounds=(0.0, 60.0)
    )
    stale_after_s: float = setting(
        0.2, "hold when joint states of either arm are older (s)", bounds=(0.01, 10.0)
    )
    take_over_motion_rad: float = setting(
        0.1,
        "beside a policy: the leader takes control when a joint of it moves by so much within a second; 0: only when "
        "executor/take_over is called",
        bounds=(0.0, 1.0),
    )


class Teleoperation:
    """Computes commands from the newest joint states of both arms. Time is an argument."""

    def __init__(
        self,
        config: TeleoperationConfig,
        robot: RobotSpec,
        leader_units: Sequence[JointUnits],
        follower_units: Sequence[JointUnits],
    ) -> None:
        self._config = config
        self._stale_ns = config.stale_after_s * NANOSECONDS
        self._units = tuple(zip(leader_units, follower_units, strict=True))
        self._shaper = CommandShaper(config, robot)
        self.leader: Joints | None = None
        self.follower: Joints | None = None
        self.pause = ""  # why the follower is held; empty while it follows
        self._leads = True
        self._still: Joints | None = None  # the leader in the past second, while it does not lead

    def target(self, leader_rad: FloatArray) -> FloatArray:
        """The follower's pose (joints,) rad for a pose of the leader; raises CalibrationError."""
        pairs = zip(self._units, leader_rad, strict=True)
        return np.array(
            [follower.lerobot_to_rad(leader.rad_to_lerobot(float(rad))) for (leader, follower), rad in pairs]
        )

    def lead(self) -> None:
        """The follower follows."""
        self._leads = True

    def wait_for_motion(self) -> None:
        """The follower does not follow until the leader is moved."""
        self._leads, self._still = False, None

    def step(self, now_ns: int, reason_to_hold: str = "") -> FloatArray | None:
        """The command (joints,) rad of this control period; None before there is a pose to start from.

        Without joint states of the leader the follower brakes and stays. After a gap in its own joint states, or a
        `reason_to_hold`, it may have moved: nothing is commanded, and it then starts from its measured pose.
        """
        self.pause = reason_to_hold or self._reason_to_hold(now_ns)
        if self.pause:
            self._still = None
        elif not self._leads:
            self._leads = self._is_moved()
            self.pause = "" if self._leads else "the leader has no control"
        if reason_to_hold or not self._leads or self._is_stale(self.follower, now_ns):
            self._shaper.start_over()
        elif self.pause:
            self._shaper.brake()
        else:
            assert self.leader is not None and self.follower is not None  # else _reason_to_hold
            self._shaper.start_at(self.follower.positions_rad)
            self._shaper.move_towards(self.target(self.leader.positions_rad), now_ns)
        return self._shaper.last_rad

    def _is_moved(self) -> bool:
        """Whether the leader takes control."""
        assert self.leader is not None  # else there is a reason to hold
        limit_rad = self._config.take_over_motion_rad
        still = self._still or self.leader
        moved_rad = np.abs(self.leader.positions_rad - still.positions_rad).max()
        is_old = self.leader.stamp_ns - still.stamp_ns > MOTION_NS
        self._still = self.leader if is_old else still
        return bool(0.0 < limit_rad <= moved_rad)

    def _reason_to_hold(self, now_ns: int) -> str:
        for name, joints in (("follower", self.follower), ("leader", self.leader)):
            if self._is_stale(joints, now_ns):
                return f"no joint states of the {name} within {self._stale_ns / NANOSECONDS} s"
        assert self.follower is not None
        if self._shaper.last_rad is None:
            return self._shaper.start_problem(self.follower.positions_rad)
        return ""

    def _is_stale(self, joints: Joints | None, now_ns: int) -> bool:
        return joints is None or now_ns - joints.stamp_ns > self._stale_ns
