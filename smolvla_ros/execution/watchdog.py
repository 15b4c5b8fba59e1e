# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with the clock and the joints: a doubt in words, empty when there is none.

A gripper that holds something stays behind its command, and has nothing to do with where the arm is: it is left out
where commands are compared with what is measured.
"""

from __future__ import annotations

import math

import numpy as np

from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec

MAX_MOVED_RAD = 0.2  # further from its last command, the arm was moved or has sunk while nobody saw it


class Watchdog:
    """Watches the clock and the joint states of one robot."""

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self.config = config
        self.joints: Joints | None = None
        self._joint_names = robot.joint_names
        self._follows = np.array([not joint.is_gripper for joint in robot.joints])
        self.start_over()

    def start_over(self) -> None:
        """Forget the time of the last step; the joints are where they are."""
        self._stepped_ns: int | None = None
        self._unseen = False  # joint states were missing at the last step
        self._behind_since_ns: int | None = None  # set while a joint is too far behind its command

    def clock_problem(self, now_ns: int) -> tuple[str, bool]:
        """Why the clock is not to be trusted at this step, and whether it jumped: all stamps are of another time."""
        before_ns = self._stepped_ns
        if before_ns is None or now_ns > before_ns:
            self._stepped_ns = now_ns
            return "", False
        back_s = (before_ns - now_ns) / NANOSECONDS
        jumped = back_s > self.config.max_ahead_s
        if jumped:
            self._stepped_ns = now_ns
        return (f"the clock went back by {back_s:.3f} s" if back_s else "the clock stands still"), jumped

    def joints_problem(self, now_ns: int) -> str:
        """Why it is not known where the joints are."""
        if self.joints is None:
            return "no joint states yet; is the arm node running?"
        age_s = self.joints_age_s(now_ns)
        if age_s > self.config.stale_after_s:
            return f"joint states are {age_s:.2f} s old, more than stale_after_s={self.config.stale_after_s}"
        if age_s < -self.config.max_ahead_s:
            return f"joint states are stamped {-age_s:.2f} s in the future; do the clocks agree?"
        return ""

    def joints_age_s(self, now_ns: int) -> float:
        """Since the newest joint states; NaN while there are none."""
        return math.nan if self.joints is None else (now_ns - self.joints.stamp_ns) / NANOSECONDS

    def displacement_problem(self, unseen: bool, last_rad: FloatArray | None) -> str:
        """Whether the arm left its last command while joint states were missing: asked once a step, told once."""
        back, self._unseen = self._unseen and not unseen, unseen
        if not back or last_rad is None:
            return ""
        joint, moved_rad = self._worst(last_rad)
        if moved_rad <= MAX_MOVED_RAD:
            return ""
        return (
            f"{joint} is {moved_rad:.2f} rad from its last command after joint states were missing; look at the "
            "arm, then reset and arm again"
        )

    def following_error_rad(self, last_rad: FloatArray | None) -> float:
        """How far the joint that is furthest from its last command is from it; NaN while there is none."""
        return math.nan if last_rad is None or self.joints is None else self._worst(last_rad)[1]

    def following_problem(self, unseen: bool, last_rad: FloatArray | None, now_ns: int) -> str:
        """Whether a joint has not come along for too long: it is blocked, off its power or too weak."""
        limit_rad = self.config.max_following_error_rad
        joint, error_rad = ("", 0.0) if unseen or last_rad is None else self._worst(last_rad)
        if not limit_rad or error_rad <= limit_rad:
            self._behind_since_ns = None
            return ""
        if self._behind_since_ns is None:
            self._behind_since_ns = now_ns
        if now_ns - self._behind_since_ns < self.config.following_error_s * NANOSECONDS:
            return ""
        return (
            f"{joint} is {error_rad:.2f} rad from its command, more than max_following_error_rad={limit_rad} for "
            f"{self.config.following_error_s} s; is it blocked or without power? Then reset and arm again"
        )

    def _worst(self, last_rad: FloatArray) -> tuple[str, float]:
        assert self.joints is not None  # there was a last command
        away_rad = np.where(self._follows, np.abs(self.joints.positions_rad - last_rad), 0.0)
        worst = int(away_rad.argmax())
        return self._joint_names[worst], float(away_rad[worst])
