# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor: from chunks and joint states to one safe command per control period.

The policy, or a person who has taken control, gives the present target. The shaper limits the command towards it, the
watchdog checks clock and joint states, arming decides whether a command is sent. On any problem the last command is
repeated and the reason reported. No clock, threads or messages: the caller passes `now_ns`, one call at a time.
"""

from __future__ import annotations

from smolvla_ros.arrays import FloatArray
from smolvla_ros.authority import Authority
from smolvla_ros.chunk import ActionChunk, ChunkRequest
from smolvla_ros.execution.arming import Arming, ArmingEvent, ArmingState, Outcome
from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.executor_status import Command, ExecutorStatus
from smolvla_ros.execution.operator_source import OperatorSource
from smolvla_ros.execution.policy_source import PolicySource
from smolvla_ros.execution.safety import SafetyError
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.execution.watchdog import Watchdog
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec


class ChunkExecutor:
    """Executes chunks and a person's targets on one robot. In each control period call `step`, then `request`."""

    # Since the last change of state; `_start_over` sets them.
    _held_since_ns: int | None  # set while no target is followed
    _waiting: str  # why

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self._arming = Arming()
        self._policy = PolicySource(config, robot)
        self._operator = OperatorSource(config)
        self._watchdog = Watchdog(config, robot)
        self._shaper = CommandShaper(config, robot)
        self._commands = 0
        self._start_over()
        self._arm_when_possible = config.mode == "armed"
        if config.mode == "shadow":
            self._arming.apply(ArmingEvent.SHADOW_ON)

    def start(self, now_ns: int) -> None:
        """Start: earlier joint states, plan and arming are discarded; a fault or stop is kept."""
        self._watchdog.joints = None
        self._start_over()
        self._policy.begin(now_ns)

    def reconfigure(self, config: ExecutorConfig) -> None:
        """Use other settings; `mode` is used only at the start."""
        self._watchdog.config = self._operator.config = config
        self._shaper.reconfigure(config)
        self._policy.reconfigure(config)

    def set_task(self, task: str, now_ns: int) -> None:
        """Set the task; `on_task_change` decides what happens to the old plan. Empty: hold."""
        if task == self._policy.task:
            return
        self._policy.set_task(task)
        if self._held_since_ns is not None:
            self._held_since_ns = now_ns  # waiting for the new task starts now

    def update_joints(self, joints: Joints) -> None:
        """Set the newest joint states."""
        self._watchdog.joints = joints

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        """Add a chunk to the plan; raises ChunkError, counted by its reason, if it is rejected."""
        refusal = "" if self.state.accepts_chunks else f"the executor is {self.state.name.lower()}"
        if self._operator.has_control:
            refusal = f"{self._operator.shown_name} has control"
        self._policy.accept(chunk, now_ns, refusal)

    def reject(self, reason: str, request_id: int, now_ns: int) -> None:
        """Count a rejected chunk; if its request is pending, request again."""
        self._policy.reject(reason, request_id, now_ns)

    def policy_changed(self) -> None:
        """Another policy has subscribed: a pending request went to the one before."""
        self._policy.policy_changed()

    def commands_refused(self, reason: str) -> None:
        """The arm node rejects the commands: fault, until the user has reset and armed again."""
        if self.state.moves_arm:
            self._apply(ArmingEvent.FAULT, f"the arm does not obey: {reason}; reset and arm again")

    # The person and the policy. Chunks that were observed or requested before the policy's turn are rejected.

    def accept_target(self, operator: str, goals: Joints, now_ns: int) -> None:
        """Use a target of a person, sent by the node `operator`; the first one takes control. Raises OperatorError."""
        refusal = "" if self.state.moves_arm else f"the executor is {self.state.name.lower()}, arm it first"
        if self._operator.accept(operator, goals, now_ns, refusal):
            self._hand_over(now_ns)

    def take_over(self, now_ns: int) -> Outcome:
        """A person takes control: the arm holds until targets come."""
        if not self.state.moves_arm:
            return Outcome(
                False, f"cannot take over: the executor is {self.state.name.lower()}, arm it first"
            )
        if self._operator.has_control:
            return Outcome(True, f"{self._operator.shown_name} has control already")
        self._operator.take()
        self._hand_over(now_ns)
        return Outcome(True, "the operator has control")

    def give_back(self, now_ns: int) -> Outcome:
        """The policy goes on, from the last command and with a new observation."""
        if not self._operator.has_control:
            return Outcome(False, "no operator has control")
        self._operator.release()
        self._hand_over(now_ns)
        return Outcome(True, "the policy has control")

    @property
    def authority(self) -> Authority:
        """Who commands the arm."""
        if not self.state.moves_arm:
            return Authority.NONE
        return Authority.OPERATOR if self._operator.has_control else Authority.POLICY

    # Requests of the user.

    def arm(self, now_ns: int) -> Outcome:
        """Start to move the arm, from its measured pose."""
        joints = self._watchdog.joints
        problem = self._watchdog.joints_problem(now_ns)
        if joints is not None and not problem:
            problem = self._shaper.start_problem(joints.positions_rad)
        if problem and self._arming.state in (ArmingState.DISARMED, ArmingState.SHADOW):
            return Outcome(False, f"cannot arm: {problem}")
        outcome = self._apply_user_event(ArmingEvent.ARM, now_ns)
        if joints is not None:
            self._shaper.start_at(joints.positions_rad)
        return outcome

    def disarm(self) -> Outcome:
        """Stop sending commands and drop the plan."""
        return self._apply(ArmingEvent.DISARM)

    def shadow(self, on: bool, now_ns: int) -> Outcome:
        """Compute commands as if armed, from the measured pose, without sending them."""
        return (
            self._apply_user_event(ArmingEvent.SHADOW_ON, now_ns)
            if on
            else self._apply(ArmingEvent.SHADOW_OFF)
        )

    def stop(self, reason: str) -> Outcome:
        """Send nothing until `reset`, whatever the state."""
        return self._apply(ArmingEvent.STOP, reason)

    def reset(self) -> Outcome:
        """From stopped or fault to disarmed."""
        return self._apply(ArmingEvent.RESET)

    def step(self, now_ns: int) -> Command | None:
        """The command for now: from the plan, or the last one on any problem; None if none may be sent."""
        if self._arm_when_possible:
            self._arm_at_start(now_ns)
        if not self._arming.state.accepts_chunks:
            return None
        unseen = self._watchdog.joints_problem(now_ns)
        away, stays_away = self._watchdog.displacement_problem(bool(unseen), self._sent_rad, now_ns)
        problem = self._clock_problem(now_ns) or unseen or away
        behind = self._watchdog.following_problem(bool(unseen), self._sent_rad, now_ns)
        if fault := away if stays_away else behind:
            self._apply(ArmingEvent.FAULT, fault)
            return None
        target = None
        if not problem:
            source = self._operator if self._operator.has_control else self._policy
            target, problem = source.target(now_ns)
        if target is None:
            self._hold(problem, now_ns)
        else:
            self._follow(target, now_ns)
        if self._sent_rad is None:
            return None
        self._commands += 1
        return Command(now_ns, self._sent_rad)

    def request(self, now_ns: int) -> ChunkRequest | None:
        """The chunk request to send now, if any; it counts as sent."""
        joints = self._watchdog.joints
        if joints is None or self._watchdog.joints_problem(now_ns):
            return None
        if not self.state.accepts_chunks or self._operator.has_control:
            return None
        return self._policy.request(now_ns, joints)

    @property
    def state(self) -> ArmingState:
        """The state of the arming state machine."""
        return self._arming.state

    @property
    def reason(self) -> str:
        """The reason for the state; may be empty."""
        return self._arming.reason or self._waiting

    @property
    def planned(self) -> FloatArray | None:
        """The newest command, sent or (in shadow) only computed: (joints,) rad; None before the first."""
        return self._shaper.last_rad

    def plan(self, now_ns: int) -> Trajectory | None:
        """The remaining plan, before limits are applied."""
        return self._policy.plan(now_ns)

    def status(self, now_ns: int) -> ExecutorStatus:
        """The complete status, for publishing."""
        return ExecutorStatus(
            **vars(self._policy.status(now_ns)),
            state=self.state,
            reason=self.reason,
            joint_states_age_s=self._watchdog.joints_age_s(now_ns),
            following_error_rad=self._watchdog.following_error_rad(self._sent_rad),
            commands=self._commands,
            clamps=tuple(self._shaper.clamps.tolist()),
        )

    @property
    def _sent_rad(self) -> FloatArray | None:
        """The newest command that is sent; None in shadow."""
        return self._shaper.last_rad if self.state.moves_arm else None

    def _follow(self, target: FloatArray, now_ns: int) -> None:
        assert self._watchdog.joints is not None  # else `step` holds
        self._shaper.start_at(self._watchdog.joints.positions_rad)
        try:
            self._shaper.move_towards(target, now_ns)
        except SafetyError as error:
            self._apply(ArmingEvent.FAULT, str(error))
            return
        self._held_since_ns = None
        self._waiting = f"{self._operator.shown_name} leads" if self._operator.has_control else ""
        if self._arming.state is ArmingState.HOLDING:
            self._arming.apply(ArmingEvent.RESUME)

    def _hold(self, problem: str, now_ns: int) -> None:
        if self._held_since_ns is None:
            self._held_since_ns = now_ns
        self._shaper.brake()
        self._policy.hold(now_ns)
        held_s = max(now_ns - self._held_since_ns, 0) / NANOSECONDS
        self._waiting = f"{problem}; holding for {held_s:.1f} s"
        if self._arming.state is not ArmingState.SHADOW:
            self._arming.apply(ArmingEvent.HOLD, self._waiting)

    def _clock_problem(self, now_ns: int) -> str:
        problem, jumped = self._watchdog.clock_problem(now_ns)
        if jumped:
            self._policy.forget_plan()
            self._policy.begin(now_ns)
            self._held_since_ns = None
        return problem

    def _arm_at_start(self, now_ns: int) -> None:
        """Start mode "armed": try to arm once, as soon as there are joint states.

        It does not wait for another pose: who moves the arm by hand does not expect it to start.
        """
        problem = self._watchdog.joints_problem(now_ns)
        self._waiting = f"will arm: {problem}" if problem else ""
        if not problem:
            self._arm_when_possible = False
            outcome = self.arm(now_ns)
            self._waiting = "" if outcome.ok else outcome.message

    def _apply_user_event(self, event: ArmingEvent, now_ns: int) -> Outcome:
        """Apply an event; chunks that were observed or requested before are rejected."""
        before = self._arming.state
        outcome = self._apply(event)
        if self._arming.state is not before:
            self._policy.begin(now_ns)
        return outcome

    def _apply(self, event: ArmingEvent, reason: str = "") -> Outcome:
        """Apply an event; a new state starts without a plan."""
        self._arm_when_possible = False
        before = self._arming.state
        outcome = self._arming.apply(event, reason)
        if self._arming.state is not before:
            self._start_over()
        return outcome

    def _hand_over(self, now_ns: int) -> None:
        """Person and policy change places: a soft start from the last command, without a plan."""
        self._policy.forget_plan()
        self._policy.begin(now_ns)
        self._shaper.start_softly()
        self._held_since_ns = None

    def _start_over(self) -> None:
        self._policy.forget_plan()
        self._operator.release()
        self._watchdog.start_over()
        self._shaper.start_over()
        self._held_since_ns = None
        self._waiting = ""
