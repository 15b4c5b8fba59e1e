# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which joint commands the arm obeys, and how far each may move the goals. No bus and no clock: time is an argument.

One commander is obeyed at a time. A commander begins with its first command after a pause of PAUSE_S, and only from
where the arm stands (or from the goals it holds). When a command is refused because of who sent it, or because the arm
cannot obey, its commander has to pause and begin anew: a stream of commands that went on while the arm was held,
without torque or moved by hand is never taken up in its middle. A commander is obeyed until it is silent for
`command_timeout_s`, or until `interrupt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints
from smolvla_ros.settings import setting

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PAUSE_S = 0.5  # a commander that was refused is heard again after such a pause
BURST_S = 0.05  # the speed limit counts over this time: a period of the executor, and what its commands come unevenly
MAX_GOAL_RAD = 4 * np.pi  # beyond is no angle of a joint: degrees, ticks or garbage
UNKNOWN_NODE = "_NODE_NAME_UNKNOWN_"  # rmw's name of a node whose publisher is discovered and itself is not
SHOWN_CHARACTERS = 80  # of a commander's name, which anybody may choose


@dataclass(frozen=True)
class CommandLimits:
    """Which commands are obeyed; field names are those of the arm node's ROS parameters."""

    command_timeout_s: float = setting(
        0.5, "without a command for so long the arm stops and holds", minimum=0.05, maximum=60.0, live=True
    )
    max_command_age_s: float = setting(
        0.2, "refuse a command whose stamp is older (s)", minimum=0.01, maximum=10.0, live=True
    )
    max_ahead_s: float = setting(
        0.05,
        "how far a command's stamp may lie in the future (s): clocks of two machines differ",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_speed_rad_s: float = setting(
        3.5,
        "fastest that a goal may move; a joint's speed limit in the URDF counts as well",
        minimum=0.01,
        maximum=20.0,
        live=True,
    )
    start_tolerance_rad: float = setting(
        0.1,
        "how far from where the arm stands the first command of a commander may be",
        minimum=0.01,
        maximum=1.0,
        live=True,
    )


class CommandError(ValueError):
    """A joint command that is not obeyed: `reason` in one or two words, the message with who, why and the remedy.

    `pause`: why its commander has to pause; empty where the next command may be obeyed.
    """

    def __init__(self, reason: str, message: str, pause: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.pause = pause


@dataclass(frozen=True, eq=False)
class JointCommand:
    """Where the joints shall go, when that was said, and who said it."""

    commander: str  # full name of the node
    goals: Joints
    sequence: int | None = (
        None  # counts the messages of one publisher; None where the middleware does not tell
    )

    @property
    def shown_commander(self) -> str:
        """The name as messages show it: anybody may choose any."""
        return repr(self.commander[:SHOWN_CHARACTERS])


@dataclass(frozen=True, eq=False)
class ArmPose:
    """Where the arm is, (joints,) rad each."""

    measured_rad: FloatArray  # measured; NaN where a servo does not answer
    goals_rad: FloatArray  # what it was told last


def only_commander(nodes: Iterable[tuple[str, str]]) -> str:
    """The full name of the only node of these (namespace, name) that can have sent a command without a name.

    Raises CommandError where there are several, and where the middleware does not know its name (yet): a name that
    changes during a turn would be another commander.
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
    """Decides on each command of one arm. `period_s` is the arm's own control period."""

    def __init__(
        self,
        limits: CommandLimits,
        joint_names: Sequence[str],
        max_speed_rad_s: FloatArray,
        period_s: float,
    ) -> None:
        self.limits = limits
        self.commander = ""  # who is obeyed; empty: nobody
        self.refused: Counter[str] = Counter()  # commands, by CommandError.reason
        self._joint_names = tuple(joint_names)
        self._urdf_speed_rad_s = max_speed_rad_s
        self._period_s = period_s
        self._admitted_s = 0.0
        self._sequence: int | None = None  # of the last command that was obeyed
        self._reach_rad: FloatArray = np.zeros(len(self._joint_names))  # how far the goals may move at once
        self._must_pause: dict[str, tuple[float, str]] = {}  # commander -> when it was heard last, and why

    def admit(
        self, command: JointCommand, now_ns: int, now_s: float, pose: ArmPose | str
    ) -> tuple[FloatArray, BoolArray]:
        """The goals (joints,) rad to send, and which of them the speed limit has cut. Raises CommandError.

        `now_ns` is the clock of the stamps, `now_s` monotonic. `pose`: where the arm is, or why it can obey nobody.
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
        """Nobody is obeyed any more, and who was has to pause and begin anew from where the arm stands."""
        if self.commander:
            self._must_pause[self.commander] = (now_s, why)
            self.commander = ""

    def drop_silent_commander(self, now_s: float) -> float:
        """Let a commander go that is silent for too long: for how long (s); 0.0 while it is not, and without one."""
        silent_s = now_s - self._admitted_s
        if not self.commander or silent_s <= self.limits.command_timeout_s:
            return 0.0
        self.commander = ""
        return silent_s

    def refused_commander(self, now_s: float) -> tuple[str, str] | None:
        """A commander that sends commands and is not obeyed, and why; None if there is none."""
        heard = [(s, name, why) for name, (s, why) in self._must_pause.items() if now_s - s < PAUSE_S]
        return max(heard)[1:] if heard else None

    def _check_values(self, command: JointCommand, now_ns: int) -> None:
        """Stamp and angles alone; such a command counts as not sent."""
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
        """Towards the goals, no further than the speed limits allow since the last command."""
        speed_rad_s = np.minimum(self._urdf_speed_rad_s, self.limits.max_speed_rad_s)
        since_s = now_s - self._admitted_s
        reach_rad = np.minimum(self._reach_rad + speed_rad_s * since_s, speed_rad_s * BURST_S)
        wanted_rad = command.goals.positions_rad - from_rad
        step_rad = np.clip(wanted_rad, -reach_rad, reach_rad)
        self._reach_rad = reach_rad - np.abs(step_rad)
        self._admitted_s, self._sequence = now_s, command.sequence
        return from_rad + step_rad, step_rad != wanted_rad

    def _pause(self, command: JointCommand, now_s: float, reason: str, why: str) -> CommandError:
        """The error for a commander that has to pause, noted."""
        recent = {name: entry for name, entry in self._must_pause.items() if now_s - entry[0] < PAUSE_S}
        self._must_pause = recent | {command.commander: (now_s, why)}
        return CommandError(
            reason,
            f"{command.shown_commander} is not obeyed: {why}. It has to pause for {PAUSE_S} s, then start from where "
            "the arm stands",
            pause=why,
        )
