# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm node with emulated servos in the process of the test, which can make them fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smolvla_ros.arm.command_admission import PAUSE_S
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.wire import header_stamp_ns, joints_from_msg, nanoseconds

from ..package_files import ROBOT
from .conftest import EVERY_ONE, is_complete, measured_rad

CONTROL_PERIOD_S = 1 / 30  # of the executor


class ArmBench:
    """The arm node, observed and commanded by the node of the test, /observer."""

    def __init__(self, observer: Any, start: Any, arm: EmulatedArm, parameters: dict[str, Any]) -> None:
        self.observer, self.emulated_arm = observer, arm
        self.robot = ROBOT
        self.states = observer.collect(topics.JOINT_STATES, qos=EVERY_ONE)
        self.diagnostics = observer.collect(topics.DIAGNOSTICS)
        self.refusals = observer.collect(topics.REFUSED_COMMANDER)
        self._commands = observer.publisher(topics.JOINT_COMMANDS)
        self._commanded_s = 0.0
        self.program = start("nodes.arm_node", port=arm.port, **parameters)
        observer.until(
            lambda: any(map(is_complete, self.states)) and self._commands.get_subscription_count(), "the arm"
        )

    def pose(self) -> Any:
        return measured_rad(self.states)

    def command(
        self,
        goal: Any,
        commander: str = "/observer",
        *,
        age_s: float = 0.0,
        stamp_ns: int | None = None,
        names: Any = None,
    ) -> None:
        now_ns = self.observer.now_ns() - round(age_s * 1e9)
        message = joint_command_msg(
            names or self.robot.joint_names, now_ns if stamp_ns is None else stamp_ns, goal, commander
        )
        self._commands.publish(message)
        self._commanded_s = time.monotonic()

    def start_turn(self) -> None:
        """Pause, then command the measured pose until the arm obeys."""
        self.pause()
        before = self.obeyed()
        self.observer.until(lambda: self.command(self.pose()) or self.obeyed() > before, "the arm to obey")

    def pause(self) -> None:
        """Send no command for the time after which a turn may start."""
        self.observer.until(lambda: time.monotonic() - self._commanded_s > PAUSE_S + 0.1, "a pause")

    def obeyed(self, commander: str = "/observer") -> int:
        """How many turns of this commander have started."""
        return self.program.output.count(f"obeying '{commander}'")

    def wait_for_refusal(self, goal: Any, text: str, **options: Any) -> None:
        """Repeat a command until the log contains this refusal."""
        said = self.program.output.count(text)
        self.observer.until(
            lambda: self.command(goal, **options) or self.program.output.count(text) > said, f"'{text}'"
        )

    def approach(self, goal: Any) -> None:
        """Repeat a command until the arm is at the goal."""

        def is_there() -> bool:
            self.command(goal)
            return is_complete(self.states[-1]) and bool(np.abs(self.pose() - goal).max() < 0.03)

        self.observer.until(is_there, "the arm to arrive")

    def move_to(self, goal: Any) -> None:
        """Start a turn at the measured pose, and move to the goal."""
        self.start_turn()
        self.approach(goal)

    def torque(self, on: bool) -> None:
        """Set the parameter, and wait until the servos have this torque."""
        assert self.observer.set_parameters("arm", torque=on).successful
        self.observer.until(lambda: self.torques() == [int(on)] * 6, f"torque {on}")

    def move_by_hand(self, ticks: int) -> None:
        """Move every joint by this many ticks, as a hand does without torque."""
        for servo in self.emulated_arm.servos.values():
            servo.position_ticks += ticks

    def largest_step_rad(self, first: int = 0) -> float:
        """The largest movement of a servo in one control period of the executor, from `states[first]` on."""
        now_ns = self.observer.now_ns()
        self.observer.until(
            lambda: nanoseconds(self.states[-1].header.stamp) > now_ns + 2 * CONTROL_PERIOD_S * 1e9,
            "joint states of two control periods from now on",
        )
        complete = [state for state in self.states[first:] if is_complete(state)]
        positions = [joints_from_msg(state, self.robot.joint_names).positions_rad for state in complete]
        stamps_ns = np.array([header_stamp_ns(state) for state in complete])
        stamps_s = (stamps_ns - stamps_ns[0]) * 1e-9
        periods_s = np.arange(0.0, stamps_s[-1], CONTROL_PERIOD_S)
        steps = [np.diff(np.interp(periods_s, stamps_s, joint)) for joint in np.transpose(positions)]
        return float(np.abs(steps).max())

    def status(self) -> Any:
        return self.diagnostics[-1].status[0] if self.diagnostics else None

    def diagnoses(self, level: bytes, text: str) -> Callable[[], bool]:
        return lambda: bool(
            self.diagnostics and self.status().level == level and text in self.status().message
        )

    def servo(self, name: str) -> Any:
        return self.emulated_arm.servos[name]

    def torques(self) -> list[int]:
        return [servo.value("Torque_Enable") for servo in self.emulated_arm.servos.values()]
