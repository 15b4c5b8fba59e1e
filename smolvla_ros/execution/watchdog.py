# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of clock and joint states; each returns a message, empty if there is no problem.

Grippers are left out of the comparison of commands with measured positions: one that holds an object stays behind its
command.
"""

from __future__ import annotations

import math

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec

MAX_MOVED_RAD = (
    0.2  # from its last command; if it stays further, it was moved or fell while joint states were missing
)


class Watchdog:
    """Watches the clock and the joint states of one robot."""

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self.config = config
        self.joints: Joints | None = None
        self._joint_names = robot.joint_names
        self._follows = np.array([not joint.is_gripper for joint in robot.joints])
        self.start_over()

    def start_over(self) -> None:
        """Discard the time of the last step; joint states are kept."""
        self._stepped_ns: int | None = None
        self._unseen = False  # no joint states at the last step
        self._back_since_ns: int | None = (
            None  # since when there are joint states again, until the arm has arrived
        )
        self._behind_since_ns: int | None = None  # set while a joint is too far behind its command

    def clock_problem(self, now_ns: int) -> tuple[str, bool]:
        """The problem with the clock at this step, and whether it jumped back, which invalidates all earlier stamps."""
        before_ns = self._stepped_ns
        if before_ns is None or now_ns > before_ns:
            self._stepped_ns = now_ns
            return "", False
        back_s = (before_ns - now_ns) / NANOSECONDS
        jumped = back_s > self.config.max_ahead_s
        if jumped:  # what has lasted since a moment that is now in the future begins to last now
            self._stepped_ns = now_ns
            self._behind_since_ns = None
            if self._back_since_ns is not None:
                self._back_since_ns = now_ns
        return (f"the clock went back by {back_s:.3f} s" if back_s else "the clock stands still"), jumped

    def joints_problem(self, now_ns: int) -> str:
        """Why the measured pose is not usable."""
        if self.joints is None:
            return "no joint states yet; is the arm node running?"
        age_s = self.joints_age_s(now_ns)
        if age_s > self.config.stale_after_s:
            return f"joint states are {age_s:.2f} s old, more than stale_after_s={self.config.stale_after_s}"
        if age_s < -self.config.max_ahead_s:
            return f"joint states are stamped {-age_s:.2f} s in the future; do the clocks agree?"
        return ""

    def joints_age_s(self, now_ns: int) -> float:
        """Age of the newest joint states; NaN without any."""
        return math.nan if self.joints is None else (now_ns - self.joints.stamp_ns) / NANOSECONDS

    def displacement_problem(
        self, unseen: bool, last_rad: FloatArray | None, now_ns: int
    ) -> tuple[str, bool]:
        """A message while the arm is away from its last command after joint states were missing, and whether it stays.

        It may have been on its way, so it has `following_error_s` to arrive. Call once per step.
        """
        if self._unseen and not unseen:
            self._back_since_ns = now_ns
        self._unseen = unseen
        if self._back_since_ns is None or unseen or last_rad is None:
            return "", False
        joint, moved_rad = self._worst(last_rad)
        if moved_rad <= MAX_MOVED_RAD:
            self._back_since_ns = None
            return "", False
        stays = now_ns - self._back_since_ns >= self.config.following_error_s * NANOSECONDS
        remedy = "; look at the arm, then reset and arm again" if stays else ""
        return (
            f"{joint} is {moved_rad:.2f} rad from its last command after joint states were missing{remedy}",
            stays,
        )

    def following_error_rad(self, last_rad: FloatArray | None) -> float:
        """The largest distance of a joint from its last command; NaN without one."""
        return math.nan if last_rad is None or self.joints is None else self._worst(last_rad)[1]

    def following_problem(self, unseen: bool, last_rad: FloatArray | None, now_ns: int) -> str:
        """A message if a joint stays behind its command for too long: blocked, without power, or too weak."""
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
