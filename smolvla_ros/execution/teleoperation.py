# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A leader arm moved by hand leads a follower: the same pose by both calibrations, softly and within the limits.

A leader's joint becomes what LeRobot would send: its value in LeRobot's unit by the leader's calibration, read back by
the follower's. In degrees that leaves the angle as it is; a gripper goes by its share of the range, because the
leader has a handle where the follower has a jaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.settings import check_settings, setting
from smolvla_ros.units import JointUnits


@dataclass(frozen=True)
class TeleoperationConfig:
    """How the follower follows; field names are those of the teleop node's ROS parameters."""

    rate_hz: float = setting(50.0, "joint commands per second", minimum=10.0, maximum=100.0)
    max_step_rad: float = setting(
        0.07, "most that a joint's command changes per control period", minimum=0.0001, maximum=1.0
    )
    max_acceleration_rad_s2: float = setting(
        20.0, "most that a joint's commanded speed changes per second", minimum=0.1, maximum=1000.0
    )
    soft_start_s: float = setting(
        2.0, "after a rest the step limit grows to its full size in this time", minimum=0.0, maximum=60.0
    )
    stale_after_s: float = setting(
        0.2, "hold when joint states of either arm are older (s)", minimum=0.01, maximum=10.0
    )

    def __post_init__(self) -> None:
        check_settings(self)


class Teleoperation:
    """What to command, from the newest joints of both arms. Time is an argument."""

    def __init__(
        self,
        config: TeleoperationConfig,
        robot: RobotSpec,
        leader_units: Sequence[JointUnits],
        follower_units: Sequence[JointUnits],
    ) -> None:
        self._stale_ns = config.stale_after_s * NANOSECONDS
        self._units = tuple(zip(leader_units, follower_units, strict=True))
        self._follower = CommandShaper(config, robot)
        self.leader: Joints | None = None
        self.follower: Joints | None = None
        self.pause = ""  # why the follower does not follow; empty while it does

    def target(self, leader_rad: FloatArray) -> FloatArray:
        """The follower's pose (joints,) rad that is this one of the leader's; raises CalibrationError."""
        pairs = zip(self._units, leader_rad, strict=True)
        return np.array(
            [follower.lerobot_to_rad(leader.rad_to_lerobot(float(rad))) for (leader, follower), rad in pairs]
        )

    def step(self, now_ns: int, doubt: str = "") -> FloatArray | None:
        """The command (joints,) rad of this control period; None before there is a pose to start from.

        Without news of the leader the follower brakes and stays. After a gap in its own joint states, or a `doubt` from
        outside, it may be elsewhere: nothing is commanded, and it starts anew from where it then is.
        """
        self.pause = doubt or self._doubt(now_ns)
        if doubt or self._is_stale(self.follower, now_ns):
            self._follower.start_over()
        elif self.pause:
            self._follower.rest()
        else:
            assert self.leader is not None and self.follower is not None  # else stale
            self._follower.start_at(self.follower.positions_rad)
            self._follower.follow(self.target(self.leader.positions_rad), now_ns)
        return self._follower.last_rad

    def _doubt(self, now_ns: int) -> str:
        for name, joints in (("follower", self.follower), ("leader", self.leader)):
            if self._is_stale(joints, now_ns):
                return f"no joint states of the {name} within {self._stale_ns / NANOSECONDS} s"
        assert self.follower is not None
        if self._follower.last_rad is None:
            return self._follower.start_problem(self.follower.positions_rad)
        return ""

    def _is_stale(self, joints: Joints | None, now_ns: int) -> bool:
        return joints is None or now_ns - joints.stamp_ns > self._stale_ns
