# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor: from chunks and joint states to one safe command per control period.

The admission decides which chunks are accepted, the queue has the present target, the shaper limits the command towards
it, the watchdog checks clock and joint states, the trigger decides when to request a chunk, arming whether a command is
sent. On any problem the last command is repeated and the reason reported. No clock, threads or messages: the caller
passes `now_ns` and makes one call at a time.
"""

from __future__ import annotations

import math

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest
from smolvla_ros.execution.action_queue import ActionQueue
from smolvla_ros.execution.arming import Arming, ArmingEvent, ArmingState, Outcome
from smolvla_ros.execution.chunk_admission import ChunkAdmission
from smolvla_ros.execution.command_shaper import CommandShaper
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.executor_status import Command, ExecutorStatus
from smolvla_ros.execution.fusion import FUSIONS, TASK_CHANGE_FUSIONS
from smolvla_ros.execution.latency import LatencyWindow
from smolvla_ros.execution.safety import SafetyError
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.execution.trigger import ChunkTrigger
from smolvla_ros.execution.watchdog import Watchdog
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec


class ChunkExecutor:
    """Executes chunks on one robot. In each control period call `step`, then `request`."""

    # Since the last change of state; `_start_over` sets them.
    _queue: ActionQueue
    _held_since_ns: int | None  # set while the plan is not followed
    _waiting: str  # why

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self._robot = robot
        self._config = config
        self._arming = Arming()
        self._task = ""
        self._admission = ChunkAdmission(robot.joint_names)
        self._watchdog = Watchdog(config, robot)
        self._shaper = CommandShaper(config, robot)
        self._trigger = ChunkTrigger(config)
        self._inference = LatencyWindow()
        self._commands = self._starved_periods = 0
        self._start_over()
        self.reconfigure(config)
        self._arm_when_possible = config.mode == "armed"
        if config.mode == "shadow":
            self._arming.apply(ArmingEvent.SHADOW_ON)

    def start(self, now_ns: int) -> None:
        """Start: earlier joint states, plan and arming are discarded; a fault or stop is kept."""
        self._watchdog.joints = None
        self._start_over()
        self._admission.begin(now_ns, self._trigger.requests)

    def reconfigure(self, config: ExecutorConfig) -> None:
        """Use other settings; `mode` is used only at the start."""
        self._config = config
        self._watchdog.config = config
        self._shaper.reconfigure(config)
        self._queue.fusion, self._queue.settings = FUSIONS[config.fusion], config
        self._trigger.config = config

    def set_task(self, task: str, now_ns: int) -> None:
        """Set the task; `on_task_change` decides what happens to the old plan. Empty: hold."""
        if task == self._task:
            return
        self._task = task
        if task and self._config.on_task_change != "flush":
            self._queue.join_next_chunk_with(TASK_CHANGE_FUSIONS[self._config.on_task_change])
        else:
            self._queue.clear()
        self._trigger.change_task()
        self._admission.start_over()
        if self._held_since_ns is not None:
            self._held_since_ns = now_ns  # waiting for the new task starts now

    def update_joints(self, joints: Joints) -> None:
        """Set the newest joint states."""
        self._watchdog.joints = joints

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        """Add a chunk to the plan; raises ChunkError, counted by its reason, if it is rejected."""
        try:
            held_ns = self._queue.held_ns(chunk.observation_stamp_ns, now_ns)
            self._admission.check(chunk, now_ns, self._arming.state, self._task, self._config, held_ns)
            self._trigger.check(chunk)
            self._queue.merge(chunk, now_ns)
        except ChunkError as error:
            self.reject(error.reason, chunk.request_id, now_ns)
            raise
        self._admission.accept(chunk)
        self._inference.add(chunk.inference_duration_s)
        self._trigger.accept(chunk, now_ns)

    def reject(self, reason: str, request_id: int, now_ns: int) -> None:
        """Count a rejected chunk; if its request is pending, request again."""
        self._admission.reject(reason)
        self._trigger.reject(request_id, now_ns)

    def policy_changed(self) -> None:
        """Another policy has subscribed: a pending request went to the one before."""
        self._trigger.policy_changed()

    def commands_refused(self, reason: str) -> None:
        """The arm node rejects the commands: fault, until the user has reset and armed again."""
        if self._arming.state in (ArmingState.ARMED, ArmingState.HOLDING):
            self._apply(ArmingEvent.FAULT, f"the arm does not obey: {reason}; reset and arm again")

    # Requests of the user. Chunks that were observed or requested before are rejected.

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
        if not problem and not self._task:
            problem = "no task"
        target = None if problem else self._queue.take(now_ns)
        if target is None:
            self._hold(problem or self._starvation_reason(), now_ns)
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
        if not self._arming.state.accepts_chunks or not self._task:
            return None
        remaining_ns = self._queue.remaining_ns(now_ns)
        reason = self._trigger.reason_to_request(now_ns, remaining_ns, joints.positions_rad)
        if reason is None:
            return None
        rest = self._queue.remaining(now_ns)
        return ChunkRequest(
            stamp_ns=now_ns,
            request_id=self._trigger.add_request(now_ns, joints.positions_rad),
            task=self._task,
            reason=reason,
            queue_duration_s=remaining_ns / NANOSECONDS,
            joint_names=self._robot.joint_names,
            prefix=np.zeros((0, len(self._robot.joints))) if rest is None else rest.positions,
            prefix_stamp_ns=0 if rest is None else rest.start_ns,
            expected_delay_s=self._trigger.expected_delay_s,
        )

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
        return self._queue.remaining(now_ns)

    def status(self, now_ns: int) -> ExecutorStatus:
        """The complete status, for publishing."""
        observed_ns = self._admission.observed_ns
        return ExecutorStatus(
            state=self._arming.state,
            reason=self.reason,
            task=self._task,
            queue_length=self._queue.length(now_ns),
            queue_duration_s=self._queue.remaining_ns(now_ns) / NANOSECONDS,
            chunk_ids=self._queue.chunk_ids(now_ns),
            chunk_duration_s=self._trigger.chunk_duration_s,
            threshold=self._trigger.threshold,
            trigger=self._config.trigger,
            fusion=self._config.fusion,
            joint_states_age_s=self._watchdog.joints_age_s(now_ns),
            chunk_age_s=math.nan if observed_ns is None else (now_ns - observed_ns) / NANOSECONDS,
            inference_latency_p50_s=self._inference.percentile(50.0),
            inference_latency_p95_s=self._inference.percentile(95.0),
            request_latency_p50_s=self._trigger.latencies.percentile(50.0),
            request_latency_p95_s=self._trigger.latencies.percentile(95.0),
            following_error_rad=self._watchdog.following_error_rad(self._sent_rad),
            commands=self._commands,
            requests=self._trigger.requests,
            timeouts=self._trigger.timeouts,
            chunks_accepted=self._admission.accepted,
            rejected=dict(self._admission.rejected),
            starved_periods=self._starved_periods,
            clamps=tuple(self._shaper.clamps.tolist()),
        )

    @property
    def _sent_rad(self) -> FloatArray | None:
        """The newest command that is sent; None in shadow."""
        moves = self._arming.state in (ArmingState.ARMED, ArmingState.HOLDING)
        return self._shaper.last_rad if moves else None

    def _follow(self, target: FloatArray, now_ns: int) -> None:
        assert self._watchdog.joints is not None  # else `step` holds
        self._shaper.start_at(self._watchdog.joints.positions_rad)
        try:
            self._shaper.move_towards(target, now_ns)
        except SafetyError as error:
            self._apply(ArmingEvent.FAULT, str(error))
            return
        self._held_since_ns = None
        self._waiting = ""
        if self._arming.state is ArmingState.HOLDING:
            self._arming.apply(ArmingEvent.RESUME)

    def _hold(self, problem: str, now_ns: int) -> None:
        if self._held_since_ns is None:
            self._held_since_ns = now_ns
        self._shaper.brake()
        self._queue.hold(now_ns)
        held_s = max(now_ns - self._held_since_ns, 0) / NANOSECONDS
        self._waiting = f"{problem}; holding for {held_s:.1f} s"
        if self._arming.state is not ArmingState.SHADOW:
            self._arming.apply(ArmingEvent.HOLD, self._waiting)

    def _starvation_reason(self) -> str:
        if self._trigger.waits_for_first_chunk:
            return f"no chunk yet for '{self._task}'"
        self._starved_periods += 1
        return "the last chunk is used up and no other has come"

    def _clock_problem(self, now_ns: int) -> str:
        problem, jumped = self._watchdog.clock_problem(now_ns)
        if jumped:
            self._forget_plan()
            self._admission.begin(now_ns, self._trigger.requests)
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
            self._admission.begin(now_ns, self._trigger.requests)
        return outcome

    def _apply(self, event: ArmingEvent, reason: str = "") -> Outcome:
        """Apply an event; a new state starts without a plan."""
        self._arm_when_possible = False
        before = self._arming.state
        outcome = self._arming.apply(event, reason)
        if self._arming.state is not before:
            self._start_over()
        return outcome

    def _start_over(self) -> None:
        self._forget_plan()
        self._watchdog.start_over()
        self._shaper.start_over()
        self._held_since_ns = None
        self._waiting = ""

    def _forget_plan(self) -> None:
        self._queue = ActionQueue(FUSIONS[self._config.fusion], self._config)
        self._trigger.start_over()
        self._admission.start_over()
