# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which joint commands the arm accepts, and how far each may move the goals. No bus and no clock: time is an argument.

Commands of one node (the commander) are accepted at a time. A commander starts with a command near the measured pose,
or near the goals that the arm holds. A commander whose command is rejected because of its sender or because the arm
cannot move has to pause for PAUSE_S and start again, so a stream of commands that continued while the arm was held, had
no torque or was moved by hand is not followed from its middle. A commander is released when it sends nothing for
`command_timeout_s`, and by `interrupt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import BoolArray, FloatArray
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints
from smolvla_ros.settings import Settings, setting

PAUSE_S = 0.5  # without a command, after which a rejected commander may start again
BURST_S = 0.05  # the speed limit is averaged over this time: a period of the executor plus its jitter
MAX_GOAL_RAD = 4 * np.pi  # larger values are degrees, ticks or damaged
UNKNOWN_NODE = "_NODE_NAME_UNKNOWN_"  # rmw's name of a node that is not discovered while its publisher is
SHOWN_CHARACTERS = 80  # of a commander's name in messages: senders choose it


@dataclass(frozen=True)
class CommandLimits(Settings):
    """Which commands are accepted; field names are those of the arm node's ROS parameters."""

    command_timeout_s: float = setting(
        0.5, "without a command for so long the arm stops and holds", bounds=(0.05, 60.0), live=True
    )
    max_command_age_s: float = setting(
        0.2, "refuse a command whose stamp is older (s)", bounds=(0.01, 10.0), live=True
    )
    max_ahead_s: float = setting(
        0.05,
        "how far a command's stamp may lie in the future (s): clocks of two machines differ",
        bounds=(0.0, 1.0),
        live=True,
    )
    max_speed_rad_s: float = setting(
        3.5,
        "fastest that a goal may move; a joint's speed limit in the URDF counts as well",
        bounds=(0.01, 20.0),
        live=True,
    )
    start_tolerance_rad: float = setting(
        0.1,
        "how far from where the arm stands the first command of a commander may be",
        bounds=(0.01, 1.0),
        live=True,
    )


class CommandError(ValueError):
    """A joint command is rejected: `reason` in one or two words; the message has the sender, the cause and the remedy.

    `pause`: why its commander has to pause; empty if the next command may be accepted.
    """

    def __init__(self, reason: str, message: str, pause: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.pause = pause


@dataclass(frozen=True, eq=False)
class JointCommand:
    """Goals of the joints, their stamp, and the node that sent them."""

    commander: str  # full name of the node
    goals: Joints
    # counts the messages of one publisher; None if the middleware does not report it
    sequence: int | None = None

    @property
    def shown_commander(self) -> str:
        """The name as messages show it: shortened and escaped."""
        return repr(self.commander[:SHOWN_CHARACTERS])


@dataclass(frozen=True, eq=False)
class ArmPose:
    """Measured and commanded pose of the arm, (joints,) rad each."""

    measured_rad: FloatArray  # NaN where a servo does not answer
    goals_rad: FloatArray  # the newest goals


def only_commander(nodes: Iterable[tuple[str, str]]) -> str:
    """The full name of the sender of a command without a name, if only one of these nodes (namespace, name) can be it.

    Raises CommandError if there are several, or if the middleware does not know the name (yet): if the name changed
    later, the node would count as another commander.
    """
    names = sorted(f"{namespace.rstrip('/')}/{name}" for namespace, name in nodes)
    remedy = "write the full name of its node into header.frame_id"
    if len(names) > 1:
        raise CommandError(
            "no name",
            f"it names no commander in header.frame_id, and may come from {', '.join(names)}; {remedy}, or stop the "
            "others",
        )
    if not names or UNKNOWN_NODE in names[0]:
        raise CommandError(
            "no name",
            f"it names no commander in header.frame_id, and its node is not discovered (yet); wait, or {remedy}",
        )
    return names[0]


class CommandAdmission:
    """Accepts or rejects each command of one arm. `period_s`: the arm's own control period."""

    def __init__(
        self,
        limits: CommandLimits,
        joint_names: Sequence[str],
        max_speed_rad_s: FloatArray,
        period_s: float,
    ) -> None:
        self.limits = limits
        self.commander = ""  # whose commands are accepted; empty: nobody's
        self.refused: Counter[str] = Counter()  # commands, by CommandError.reason
        self._joint_names = tuple(joint_names)
        self._urdf_speed_rad_s = max_speed_rad_s
        self._period_s = period_s
        self._admitted_s = 0.0
        self._sequence: int | None = None  # of the last accepted command
        self._reach_rad: FloatArray = np.zeros(len(self._joint_names))  # how far the goals may move at once
        # commander -> time of its last command, and why it must pause
        self._must_pause: dict[str, tuple[float, str]] = {}

    def admit(
        self, command: JointCommand, now_ns: int, now_s: float, pose: ArmPose | str
    ) -> tuple[FloatArray, BoolArray]:
        """The goals (joints,) rad to send, and which of them the speed limit has reduced. Raises CommandError.

        `now_ns` is on the clock of the stamps, `now_s` monotonic. `pose`: of the arm, or why it accepts no command.
        """
        try:
            self._check_values(command, now_ns)
            if isinstance(pose, str):
                self.interrupt(pose, now_s)
                raise self._pause(command, now_s, "arm", pose)
            if not self.commander:
                return self._begin(command, now_s, pose)
            self._check_commander(command, now_s)
        except CommandError as error:
            self.refused[error.reason] += 1
            raise
        return self._approach(command, now_s, pose.goals_rad)

    def interrupt(self, why: str, now_s: float) -> None:
        """Release the commander, which has to pause and start again from the measured pose; `why` is for messages."""
        if self.commander:
            self._must_pause[self.commander] = (now_s, why)
            self.commander = ""

    def drop_silent_commander(self, now_s: float) -> float:
        """Release a commander without commands for too long; returns for how long (s), 0.0 if none was released."""
        silent_s = now_s - self._admitted_s
        if not self.commander or silent_s <= self.limits.command_timeout_s:
            return 0.0
        self.commander = ""
        return silent_s

    def refused_commander(self, now_s: float) -> tuple[str, str] | None:
        """A commander whose present commands are rejected, and why; None if there is none."""
        heard = [(s, name, why) for name, (s, why) in self._must_pause.items() if now_s - s < PAUSE_S]
        return max(heard)[1:] if heard else None

    def _check_values(self, command: JointCommand, now_ns: int) -> None:
        """Raise CommandError for a bad stamp or angle; that does not count against the commander."""
        who, stamp_ns = command.shown_commander, command.goals.stamp_ns
        age_s = (now_ns - stamp_ns) / NANOSECONDS
        if stamp_ns == 0:
            raise CommandError(
                "no stamp", f"{who} sends no time in header.stamp; `ros2 topic pub` does with `header: auto`"
            )
        if age_s > self.limits.max_command_age_s:
            raise CommandError(
                "stale",
                f"the stamp of {who} is {age_s:.2f} s old, more than max_command_age_s="
                f"{self.limits.max_command_age_s}; is it a recording, or do the clocks differ?",
            )
        if age_s < -self.limits.max_ahead_s:
            raise CommandError(
                "future",
                f"the stamp of {who} is {-age_s:.2f} s in the future, more than max_ahead_s="
                f"{self.limits.max_ahead_s}; do the clocks agree?",
            )
        for name, goal in zip(self._joint_names, command.goals.positions_rad, strict=True):
            if not abs(goal) <= MAX_GOAL_RAD:
                raise CommandError(
                    "no angle", f"{who} sends {name} to {goal:.4g} rad, which is no angle of a joint"
                )

    def _check_commander(self, command: JointCommand, now_s: float) -> None:
        who = command.shown_commander
        if command.commander != self.commander:
            active = self.commander[:SHOWN_CHARACTERS]
            raise self._pause(
                command, now_s, "second commander", f"{active!r} commands the arm; stop it first"
            )
        if None not in (command.sequence, self._sequence) and command.sequence <= self._sequence:  # type: ignore[operator]
            raise CommandError("same name", f"two programs command the arm as {who}; stop one of them")

    def _begin(self, command: JointCommand, now_s: float, pose: ArmPose) -> tuple[FloatArray, BoolArray]:
        heard_s, why = self._must_pause.get(command.commander, (-np.inf, ""))
        if now_s - heard_s < PAUSE_S:
            raise self._pause(command, now_s, "no pause", why)
        from_stand = np.abs(command.goals.positions_rad - pose.measured_rad)
        from_goal = np.abs(command.goals.positions_rad - pose.goals_rad)
        away = np.fmin(from_stand, from_goal)
        worst = int(np.argmax(away))
        if away[worst] > self.limits.start_tolerance_rad:
            raise self._pause(
                command,
                now_s,
                "away",
                f"its first command is {away[worst]:.2f} rad from where {self._joint_names[worst]} stands, more than "
                f"start_tolerance_rad={self.limits.start_tolerance_rad}",
            )
        self.commander = command.commander
        self._reach_rad = np.zeros_like(self._reach_rad)
        self._admitted_s = now_s - self._period_s
        return self._approach(
            command, now_s, np.where(from_stand < from_goal, pose.measured_rad, pose.goals_rad)
        )

    def _approach(
        self, command: JointCommand, now_s: float, from_rad: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """Towards the goals, as far as the speed limits allow since the last command."""
        speed_rad_s = np.minimum(self._urdf_speed_rad_s, self.limits.max_speed_rad_s)
        since_s = now_s - self._admitted_s
        reach_rad = np.minimum(self._reach_rad + speed_rad_s * since_s, speed_rad_s * BURST_S)
        wanted_rad = command.goals.positions_rad - from_rad
        step_rad = np.clip(wanted_rad, -reach_rad, reach_rad)
        self._reach_rad = reach_rad - np.abs(step_rad)
        self._admitted_s, self._sequence = now_s, command.sequence
        return from_rad + step_rad, step_rad != wanted_rad

    def _pause(self, command: JointCommand, now_s: float, reason: str, why: str) -> CommandError:
        """Note that this commander has to pause; returns the error to raise."""
        recent = {name: entry for name, entry in self._must_pause.items() if now_s - entry[0] < PAUSE_S}
        self._must_pause = recent | {command.commander: (now_s, why)}
        return CommandError(
            reason,
            f"{command.shown_commander} is not obeyed: {why}. It has to pause for {PAUSE_S} s, then start from where "
            "the arm stands",
            pause=why,
        )
