# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the commands of the executor, and its plan for display.

Commands go to `joint_commands` and, if configured, to the topics of ros2_control controllers. All of them carry the
same command, which has passed all limits, never the plan itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smolvla_ros.execution.executor_status import Command
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_command_msg, position_array_msg, trajectory_msg
from smolvla_ros.observation import NANOSECONDS

MakePublisher = Callable[[topics.Topic], Any]


class CommandOutputs:
    """Publishes each command as JointState and, if configured, as JointTrajectory and Float64MultiArray.

    `commander`: the full name of the node that sends them.
    """

    def __init__(
        self,
        make_publisher: MakePublisher,
        commander: str,
        joint_names: tuple[str, ...],
        rate_hz: float,
        joint_trajectory: bool,
        position_commands: bool,
    ) -> None:
        self._commander = commander
        self._joint_names = joint_names
        self._period_ns = round(NANOSECONDS / rate_hz)
        self._commands = make_publisher(topics.JOINT_COMMANDS)
        self._trajectory = make_publisher(topics.JOINT_TRAJECTORY) if joint_trajectory else None
        self._array = make_publisher(topics.POSITION_COMMANDS) if position_commands else None

    def publish(self, command: Command) -> None:
        """Publish a command; the trajectory has one point, which is due when the next command is sent."""
        positions_rad = command.positions_rad
        self._commands.publish(
            joint_command_msg(self._joint_names, command.stamp_ns, positions_rad, self._commander)
        )
        if self._trajectory is not None:
            self._trajectory.publish(
                trajectory_msg(self._joint_names, 0, positions_rad[None, :], [self._period_ns])
            )
        if self._array is not None:
            self._array.publish(position_array_msg(positions_rad))


class PlanPreview:
    """Publishes the plan while there are subscribers, and an empty one when the plan is dropped."""

    def __init__(self, make_publisher: MakePublisher, joint_names: tuple[str, ...]) -> None:
        self._joint_names = joint_names
        self._publisher = make_publisher(topics.EXECUTOR_PLAN)
        self._is_shown = False

    def publish(self, plan: Trajectory | None, now_ns: int) -> None:
        """Publish the plan as JointTrajectory; its stamp is the time of its first point."""
        if not self._publisher.get_subscription_count() or (plan is None and not self._is_shown):
            return
        self._is_shown = plan is not None
        if plan is None:
            message = trajectory_msg(self._joint_names, now_ns, (), ())
        else:
            after_ns = (plan.times_ns - plan.start_ns).tolist()
            message = trajectory_msg(self._joint_names, plan.start_ns, plan.positions, after_ns)
        self._publisher.publish(message)
