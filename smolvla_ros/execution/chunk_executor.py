# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks and joint states in, one safe command a control period out.

Everything that decides how the arm moves meets here: the queue says what is due, the limiter how far that may
go, the trigger when to ask for more, arming whether to send anything. In any doubt the last command is
repeated and the reason said. No clock, thread or message lives here: the caller passes `now_ns` and lets one
call in at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smolvla_ros.chunk import ActionChunk, ChunkError, ChunkRequest
from smolvla_ros.execution.action_queue import ActionQueue
from smolvla_ros.execution.arming import Arming, ArmingEvent, ArmingState, Outcome
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.execution.safety import SafetyError, SafetyLimiter
from smolvla_ros.execution.trajectory import FloatArray
from smolvla_ros.execution.trigger import ChunkTrigger, LatencyWindow
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import Joints, RobotSpec

SOFT_START_SCALE = 0.1  # share of the step limit that the first command after a rest may use
MAX_MOVED_RAD = 0.2  # further from its last command, the arm was moved or has sunk while nobody saw it


@dataclass(frozen=True, eq=False)
class Command:
    """Where every joint shall go now: (joints,) rad in the robot's order."""

    stamp_ns: int
    positions_rad: FloatArray


@dataclass(frozen=True)
class ExecutorStatus:
    """What the executor does and why, as ExecutorState.msg. Ages and latencies: NaN while there is none."""

    state: ArmingState
    reason: str
    task: str
    queue_length: int
    queue_duration_s: float
    chunk_ids: tuple[int, ...]
    joint_states_age_s: float
    chunk_age_s: float
    inference_latency_p50_s: float
    inference_latency_p95_s: float
    request_latency_p50_s: float
    request_latency_p95_s: float
    commands: int
    chunks_accepted: int
    rejected: Mapping[str, int]  # reason -> chunks
    starved_periods: int
    clamps: tuple[int, ...]  # per joint


class ChunkExecutor:
    """Follows chunks for one robot. Each control period: `step`, then `request`."""

    # Since the last change of state; `_start_over` sets them.
    _queue: ActionQueue
    _observed_ns: int | None  # stamp of the newest accepted chunk's observation
    _last_rad: FloatArray | None  # the last command, in shadow the last that would have been
    _stepped_ns: int | None  # when the last step was
    _moving_since_ns: int | None  # set while it follows the plan
    _held_since_ns: int | None  # set while it does not
    _waiting: str  # what for
    _unseen: bool  # joint states were missing at the last step

    def __init__(self, config: ExecutorConfig, robot: RobotSpec) -> None:
        self._robot = robot
        self._config = config
        self._arming = Arming()
        self._task = ""
        self._joints: Joints | None = None
        self._trigger = ChunkTrigger(config.threshold, config.request_timeout_s)
        self._inference = LatencyWindow()
        self._commands = self._accepted = self._starved_periods = 0
        self._rejected: Counter[str] = Counter()
        self._clamps = np.zeros(len(robot.joints), np.int64)
        self._start_over()
        self.reconfigure(config)
        self._arm_when_possible = config.mode == "armed"
        if config.mode == "shadow":
            self._arming.apply(ArmingEvent.SHADOW_ON)

    def reconfigure(self, config: ExecutorConfig) -> None:
        """Go on with other settings; `mode` counts only at the start."""
        self._config = config
        self._max_ahead_ns = round(config.max_ahead_s * NANOSECONDS)
        self._limiter = SafetyLimiter(self._robot, config.max_step_rad, 1.0 / config.rate_hz)
        self._queue.fusion = FUSIONS[config.fusion]
        self._trigger.threshold = config.threshold
        self._trigger.timeout_s = config.request_timeout_s

    # What comes in.

    def set_task(self, task: str, now_ns: int) -> None:
        """Follow another instruction and drop the plan of the last one; an empty one means to hold."""
        if task == self._task:
            return
        self._task = task
        self._queue.clear()
        self._trigger.change_task()
        self._observed_ns = None
        if self._held_since_ns is not None:
            self._held_since_ns = now_ns  # from here on it is the new task that is waited for

    def update_joints(self, joints: Joints) -> None:
        """Where the joints are now."""
        self._joints = joints

    def accept(self, chunk: ActionChunk, now_ns: int) -> None:
        """Take a chunk into the plan, or refuse it whole: raises ChunkError, counted by its reason."""
        try:
            self._check(chunk, now_ns)
            self._queue.merge(chunk, now_ns)
        except ChunkError as error:
            self.reject(error.reason, chunk.request_id)
            raise
        self._accepted += 1
        self._observed_ns = chunk.observation_stamp_ns
        self._inference.add(chunk.inference_duration_s)
        self._trigger.accept(chunk, now_ns)

    def reject(self, reason: str, request_id: int) -> None:
        """Count a chunk refused here or when it was read; if its request is in flight, ask again."""
        self._rejected[reason] += 1
        self._trigger.reject(request_id)

    # What people ask for.

    def arm(self, now_ns: int) -> Outcome:
        """Move the arm from where it is now."""
        doubt = self._joints_doubt(now_ns)
        if self._joints is not None and not doubt:
            doubt = self._limiter.start_doubt(self._joints.positions_rad)
        if doubt and self._arming.state in (ArmingState.DISARMED, ArmingState.SHADOW):
            return Outcome(False, f"cannot arm: {doubt}")
        outcome = self._apply(ArmingEvent.ARM)
        if self._last_rad is None and self._joints is not None:
            self._last_rad = self._joints.positions_rad.copy()
        return outcome

    def disarm(self) -> Outcome:
        """Send nothing any more and forget the plan."""
        return self._apply(ArmingEvent.DISARM)

    def shadow(self, on: bool) -> Outcome:
        """Plan as if armed, from the measured pose, and send nothing."""
        return self._apply(ArmingEvent.SHADOW_ON if on else ArmingEvent.SHADOW_OFF)

    def stop(self, reason: str) -> Outcome:
        """Send nothing until `reset`, whatever the state."""
        return self._apply(ArmingEvent.STOP, reason)

    def reset(self) -> Outcome:
        """From stopped or fault back to disarmed."""
        return self._apply(ArmingEvent.RESET)

    # What goes out, once a control period.

    def step(self, now_ns: int) -> Command | None:
        """The command for now: the plan's, or in any doubt the last one again; None when none may be sent."""
        if self._arm_when_possible:
            self._arm_at_start(now_ns)
        if not self._arming.state.plans:
            return None
        unseen = self._joints_doubt(now_ns)
        doubt = self._clock_doubt(now_ns) or unseen
        if self._unseen and not unseen and (moved := self._moved_unseen()):
            self._apply(ArmingEvent.FAULT, moved)
            return None
        self._unseen = bool(unseen)
        if not doubt and not self._task:
            doubt = "no task"
        target = None if doubt else self._queue.take(now_ns)
        if target is None:
            self._hold(doubt or self._starve(), now_ns)
        else:
            self._follow(target, now_ns)
        if self._last_rad is None or self._arming.state not in (ArmingState.ARMED, ArmingState.HOLDING):
            return None
        self._commands += 1
        return Command(now_ns, self._last_rad)

    def request(self, now_ns: int) -> ChunkRequest | None:
        """The chunk request that is due now, if any; it counts as sent."""
        if not self._arming.state.plans or not self._task or self._joints_doubt(now_ns):
            return None
        remaining_ns = self._queue.remaining_ns(now_ns)
        reason = self._trigger.due(now_ns, remaining_ns)
        if reason is None:
            return None
        rest = self._queue.remaining(now_ns)
        return ChunkRequest(
            stamp_ns=now_ns,
            request_id=self._trigger.ask(now_ns, reason),
            task=self._task,
            reason=reason,
            queue_duration_s=remaining_ns / NANOSECONDS,
            joint_names=self._robot.joint_names,
            prefix=np.zeros((0, len(self._robot.joints))) if rest is None else rest.positions,
            prefix_stamp_ns=0 if rest is None else rest.start_ns,
            expected_delay_s=self._trigger.expected_delay_s,
        )

    @property
    def planned(self) -> FloatArray | None:
        """The newest command, sent or (in shadow) only thought: (joints,) rad; None before the first."""
        return self._last_rad

    def status(self, now_ns: int) -> ExecutorStatus:
        """All of it, to be published."""
        joints_ns = None if self._joints is None else self._joints.stamp_ns
        return ExecutorStatus(
            state=self._arming.state,
            reason=self._arming.reason or self._waiting,
            task=self._task,
            queue_length=self._queue.length(now_ns),
            queue_duration_s=self._queue.remaining_ns(now_ns) / NANOSECONDS,
            chunk_ids=self._queue.chunk_ids(now_ns),
            joint_states_age_s=_age_s(joints_ns, now_ns),
            chunk_age_s=_age_s(self._observed_ns, now_ns),
            inference_latency_p50_s=self._inference.percentile(50.0),
            inference_latency_p95_s=self._inference.percentile(95.0),
            request_latency_p50_s=self._trigger.latencies.percentile(50.0),
            request_latency_p95_s=self._trigger.latencies.percentile(95.0),
            commands=self._commands,
            chunks_accepted=self._accepted,
            rejected=dict(self._rejected),
            starved_periods=self._starved_periods,
            clamps=tuple(self._clamps.tolist()),
        )

    # How it moves.

    def _follow(self, target: FloatArray, now_ns: int) -> None:
        assert self._joints is not None  # else there was a doubt
        last = self._joints.positions_rad if self._last_rad is None else self._last_rad
        if self._moving_since_ns is None:
            self._moving_since_ns = now_ns
        try:
            limited = self._limiter.limit(target, last, self._softness(now_ns - self._moving_since_ns))
        except SafetyError as error:
            self._apply(ArmingEvent.FAULT, str(error))
            return
        self._last_rad = limited.positions_rad
        self._clamps += limited.clamped
        self._held_since_ns = None
        self._waiting = ""
        if self._arming.state is ArmingState.HOLDING:
            self._arming.apply(ArmingEvent.RESUME)

    def _softness(self, moving_ns: int) -> float:
        """Share of the step limit: from SOFT_START_SCALE to 1 over soft_start_s of motion."""
        soft_start_ns = self._config.soft_start_s * NANOSECONDS
        done = min(moving_ns / soft_start_ns, 1.0) if soft_start_ns else 1.0
        return SOFT_START_SCALE + (1.0 - SOFT_START_SCALE) * done

    def _hold(self, doubt: str, now_ns: int) -> None:
        if self._held_since_ns is None:
            self._held_since_ns = now_ns
        self._moving_since_ns = None
        held_s = max(now_ns - self._held_since_ns, 0) / NANOSECONDS
        self._waiting = f"{doubt}; holding for {held_s:.1f} s"
        if self._arming.state is not ArmingState.SHADOW:
            self._arming.apply(ArmingEvent.HOLD, self._waiting)

    def _starve(self) -> str:
        if self._trigger.waits_for_first:
            return f"no chunk yet for '{self._task}'"
        self._starved_periods += 1
        return "the last chunk is used up and no other has come"

    # What may be wrong: a doubt in words, empty when there is none.

    def _clock_doubt(self, now_ns: int) -> str:
        before_ns = self._stepped_ns
        if before_ns is None or now_ns > before_ns:
            self._stepped_ns = now_ns
            return ""
        back_s = (before_ns - now_ns) / NANOSECONDS
        if before_ns - now_ns > self._max_ahead_ns:  # every stamp known so far is of another time
            self._forget_plan()
            self._held_since_ns = None
            self._stepped_ns = now_ns
        return f"the clock went back by {back_s:.3f} s" if back_s else "the clock stands still"

    def _joints_doubt(self, now_ns: int) -> str:
        if self._joints is None:
            return "no joint states yet; is the arm node running?"
        age_s = _age_s(self._joints.stamp_ns, now_ns)
        if age_s > self._config.stale_after_s:
            return f"joint states are {age_s:.2f} s old, more than stale_after_s={self._config.stale_after_s}"
        if age_s < -self._config.max_ahead_s:
            return f"joint states are stamped {-age_s:.2f} s in the future; do the clocks agree?"
        return ""

    def _moved_unseen(self) -> str:
        assert self._joints is not None  # else there was a doubt about them before
        if self._last_rad is None or self._arming.state is ArmingState.SHADOW:
            return ""
        moved_rad = np.abs(self._joints.positions_rad - self._last_rad)
        worst = int(moved_rad.argmax())
        if moved_rad[worst] <= MAX_MOVED_RAD:
            return ""
        return (
            f"{self._robot.joint_names[worst]} is {moved_rad[worst]:.2f} rad from its last command after joint "
            "states were missing; look at the arm, then reset and arm again"
        )

    def _check(self, chunk: ActionChunk, now_ns: int) -> None:
        name = f"chunk {chunk.chunk_id}"
        if not self._arming.state.plans:
            raise ChunkError("not_asked", f"{name}: the executor is {self._arming.state.name.lower()}")
        chunk.check(self._robot.joint_names, now_ns, self._max_ahead_ns)
        if not self._task or chunk.task != self._task:
            raise ChunkError(
                "wrong_task", f"{name} is for '{chunk.task}', the present task is '{self._task}'"
            )
        if self._observed_ns is None or chunk.observation_stamp_ns > self._observed_ns:
            return  # stamps, not ids: a policy that was restarted counts from one again
        if chunk.observation_stamp_ns == self._observed_ns:
            raise ChunkError("duplicate", f"{name} was inferred from the same observation as the last one")
        older_s = _age_s(chunk.observation_stamp_ns, self._observed_ns)
        raise ChunkError(
            "out_of_order", f"{name}: its observation is {older_s:.3f} s older than the last one's"
        )

    # Changes of state.

    def _arm_at_start(self, now_ns: int) -> None:
        """Start mode "armed": arm as soon as there are joint states, or not at all.

        It does not wait for a better pose: whoever moves the arm there by hand does not expect it to go on.
        """
        doubt = self._joints_doubt(now_ns)
        self._waiting = f"will arm: {doubt}" if doubt else ""
        if not doubt:
            self._arm_when_possible = False
            outcome = self.arm(now_ns)
            self._waiting = "" if outcome.ok else outcome.message

    def _apply(self, event: ArmingEvent, reason: str = "") -> Outcome:
        """Let an event happen; whatever the new state is, it starts without a plan."""
        self._arm_when_possible = False
        before = self._arming.state
        outcome = self._arming.apply(event, reason)
        if self._arming.state is not before:
            self._start_over()
        return outcome

    def _start_over(self) -> None:
        self._forget_plan()
        self._last_rad = None
        self._stepped_ns = None
        self._moving_since_ns = None
        self._held_since_ns = None
        self._waiting = ""
        self._unseen = False

    def _forget_plan(self) -> None:
        self._queue = ActionQueue(FUSIONS[self._config.fusion])
        self._trigger.start_over()
        self._observed_ns = None


def _age_s(stamp_ns: int | None, now_ns: int) -> float:
    return float("nan") if stamp_ns is None else (now_ns - stamp_ns) / NANOSECONDS
