# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One chunk of one policy: from a request and a set of synchronized messages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestReason, steps_until
from smolvla_ros.nodes.observation_sync import observation_from
from smolvla_ros.nodes.request_forecast import TOLERANCE_NS
from smolvla_ros.observation import (
    NANOSECONDS,
    Observation,
    ObservationError,
    ObservedTooEarlyError,
    synchronization_problem,
)
from smolvla_ros.policy.policy import Continuation, LooksAhead, Policy, PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import header_stamp_ns

HINT_PERIOD_S = 30.0
LATENCY_WINDOW = 50


@dataclass(frozen=True, eq=False)
class SeenAhead:
    """An observation whose images the policy has encoded before a request."""

    policy: Policy
    observation: Observation
    duration_ns: int  # of encoding


class ChunkInference:
    """Infers chunks for `robot`; counts them and measures how long inference takes."""

    def __init__(self, robot: RobotSpec, logger: Any) -> None:
        self.chunk_id = 0  # of the newest chunk; the first one has 1
        self._robot, self._logger = robot, logger
        self._latencies_s: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self._pose_checked_for: Policy | None = None
        self._ahead: SeenAhead | None = None
        self._look_s: float | None = None
        self.chunks_ahead = 0  # of images that were encoded before the request

    def check_pose_again(self) -> None:
        """Check the pose before the next chunk, as before the first chunk of a policy."""
        self._pose_checked_for = None

    def policy_replaced(self) -> None:
        """Nothing of the policy before is kept, which frees its memory."""
        self._latencies_s.clear()
        self._look_s = self._ahead = self._pose_checked_for = None

    def latencies(self) -> dict[str, str]:
        """Median and 95th percentile of the recent inference times, for /diagnostics; empty before the first chunk."""
        if not self._latencies_s:
            return {}
        p50_s, p95_s = np.percentile(self._latencies_s, (50, 95))
        return {"inference p50 (s)": f"{p50_s:.3f}", "inference p95 (s)": f"{p95_s:.3f}"}

    @property
    def look_s(self) -> float:
        """How long `look` takes: as the last time; before the first, half of a chunk."""
        half = 0.5 * float(np.median(self._latencies_s)) if self._latencies_s else 0.0
        return half if self._look_s is None else self._look_s

    def look(
        self, policy: Policy, config: PolicyConfig, synchronized: Sequence[Any] | None, now_ns: int
    ) -> None:
        """Encode the images of these messages for the next request, if the policy can.

        Raises ObservationError, ImageError, WireError and PolicyError where they cannot be used.
        """
        if synchronized is None or not isinstance(policy, LooksAhead):
            return
        observation = self._observation(policy, config, "", synchronized, now_ns)
        started_s = time.monotonic()
        if policy.look(observation):
            self._look_s = time.monotonic() - started_s
            self._ahead = SeenAhead(policy, observation, round(self._look_s * NANOSECONDS))

    def infer(
        self,
        policy: Policy,
        config: PolicyConfig,
        request: ChunkRequest,
        synchronized: Sequence[Any] | None,
        newest_ns: Mapping[str, int | None],
        now_ns: int,
    ) -> ActionChunk:
        """The chunk that answers `request`; `newest_ns`: stamp of the newest message of each stream.

        Raises ObservationError, ImageError and WireError where newer messages may help, PolicyError and RequestError
        where this request cannot be answered.
        """
        max_age_s, slop_s = config.max_observation_age_s, config.sync_slop_s
        oldest_ns = min(map(header_stamp_ns, synchronized)) if synchronized else None
        if synchronized is None or oldest_ns is None or now_ns - oldest_ns > max_age_s * NANOSECONDS:
            raise ObservationError(synchronization_problem(newest_ns, now_ns, max_age_s, slop_s))
        joint_names = self._robot.joint_names
        ahead = self._seen_ahead(policy, request, now_ns)
        observation = ahead or self._observation(policy, config, request.task, synchronized, now_ns)
        if request.reason is RequestReason.START and observation.stamp_ns < request.stamp_ns:
            raise ObservedTooEarlyError  # the executor would refuse the chunk
        self._check_pose(policy, config, observation)
        step_duration_ns = round(NANOSECONDS / policy.rate_hz)
        continuation = self._continuation(config, request, now_ns, observation.stamp_ns, step_duration_ns)
        started_s = time.monotonic()
        if config.policy == "scripted" and config.latency_s:
            time.sleep(config.latency_s)
        positions = policy.infer(observation, continuation)
        duration_s = time.monotonic() - started_s
        self._latencies_s.append(duration_s)
        self.chunk_id += 1
        self.chunks_ahead += ahead is not None
        return ActionChunk(
            positions=positions,
            joint_names=joint_names,
            observation_stamp_ns=observation.stamp_ns,
            step_duration_ns=step_duration_ns,
            chunk_id=self.chunk_id,
            request_id=request.request_id,
            task=request.task,
            policy=policy.name,
            inference_duration_s=duration_s,
        )

    def _observation(
        self, policy: Policy, config: PolicyConfig, task: str, synchronized: Sequence[Any], now_ns: int
    ) -> Observation:
        observation = observation_from(synchronized, policy.cameras, self._robot.joint_names, task)
        observation.check_times(now_ns, config.max_observation_age_s, max_skew_s=config.sync_slop_s)
        return observation

    def _seen_ahead(self, policy: Policy, request: ChunkRequest, now_ns: int) -> Observation | None:
        """The observation that was looked at, if a chunk of it is no older than one of the newest images would be.

        Both when they arrive: the newest images would still have to be encoded.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.policy is not policy or request.reason is RequestReason.START:
            return None
        if now_ns - ahead.observation.stamp_ns > ahead.duration_ns + TOLERANCE_NS:
            return None
        return replace(ahead.observation, task=request.task)

    def _continuation(
        self, config: PolicyConfig, request: ChunkRequest, now_ns: int, start_ns: int, step_duration_ns: int
    ) -> Continuation | None:
        """The request's plan on the time grid of the chunk that starts at `start_ns`; None without real-time chunking.

        The delay is counted from now, not from the request, which may have waited for the previous inference.
        """
        if not config.rtc or not len(request.prefix):
            return None
        if request.joint_names != self._robot.joint_names:
            raise PolicyError(
                f"request {request.request_id} has a plan of {', '.join(request.joint_names)}, this robot has "
                f"{', '.join(self._robot.joint_names)}; give the executor and the policy the same robot file"
            )
        effect_ns = now_ns + round(request.expected_delay_s * NANOSECONDS)
        delay = steps_until(effect_ns, start_ns, step_duration_ns)
        if delay >= config.rtc_execution_horizon:
            self._logger.warning(
                f"{delay} actions of a chunk are past when it arrives, so "
                f"rtc_execution_horizon={config.rtc_execution_horizon} guides none of the actions that are executed; "
                "raise it",
                throttle_duration_sec=HINT_PERIOD_S,
            )
        rows = request.prefix_on_grid(start_ns, step_duration_ns)
        return Continuation(
            rows, delay, config.rtc_execution_horizon, config.rtc_schedule, config.rtc_max_guidance_weight
        )

    def _check_pose(self, policy: Policy, config: PolicyConfig, observation: Observation) -> None:
        """Before the first chunk of a policy: raise ObservationError if the pose is too far from its training data."""
        if self._pose_checked_for is policy:
            return
        finding = policy.check_pose(observation.joints.positions_rad, config.max_pose_sigma)
        if finding and finding.severity == "error":
            raise ObservationError(str(finding))
        if finding:
            self._logger.warning(str(finding))
        self._pose_checked_for = policy
