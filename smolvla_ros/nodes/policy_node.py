# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy on ROS: synchronized images, joint states and a task in, an ActionChunk out.

A chunk answers a chunk request, which brings its task along. With `chunk_rate_hz` chunks are also published without
being asked for, with request_id 0, for the task heard last: on the executor's `active_task`, or on `task` where there
is no executor. For an empty task none is.

Callbacks only keep the newest messages; one thread infers, so nothing waits for the model. The latest request
wins: one that arrives while the model thinks is answered next, those between are forgotten. A request waits for an
observation that is fit to act on, and the log says what is wrong with the ones at hand.

The checkpoint may be swapped while the node runs, by setting the parameters that name it (in one call if they are
several). Until the other one is loaded no request is answered, so that the arm holds when its plan ends; whoever sets
the parameters waits. A checkpoint that is refused leaves everything as it was: so both are in memory for a while.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import message_filters
import numpy as np
from std_msgs.msg import String

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestError, RequestReason, steps_until
from smolvla_ros.image import ImageError
from smolvla_ros.nodes import parameters, topics
from smolvla_ros.nodes.chunk_schedule import ChunkSchedule
from smolvla_ros.nodes.messages import action_chunk_msg
from smolvla_ros.nodes.observation_sync import StampFilter, observation_from, observed_topics, synchronize
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import OK, WARN, Health, SuiteNode, load_robot
from smolvla_ros.nodes.task_listener import TaskListener
from smolvla_ros.observation import (
    MAX_AHEAD_S,
    NANOSECONDS,
    Observation,
    ObservationError,
    ObservedTooEarlyError,
    synchronization_problem,
)
from smolvla_ros.policy.policy import Continuation, Policy, PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.wire import WireError, header_stamp_ns, request_from_msg

COMPLAINT_PERIOD_S = 2.0
LOOK_PERIOD_S = 0.5  # how soon an executor is found to be there, or to be gone
HINT_PERIOD_S = 30.0
CATCH_UP_S = 1.0  # after loading, during which no message was taken in; until then old ones are no news
LATENCY_WINDOW = 50


class PolicyNode(SuiteNode[PolicyConfig]):
    """Answers `chunk_request` with `action_chunk`, and publishes it at `chunk_rate_hz`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", PolicyConfig, **options)
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._next_policy: Policy | None = None  # loaded, and not yet in use
        self._loading = False
        self._loaded_s = -math.inf
        self._endpoints: list[Any] = []
        self._task_ends: list[Callable[[], object]] = []  # how to listen to tasks no more
        self._chunk_publisher: Any = None

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        self._policy = load_policy(self.config, self._robot, self.get_logger())
        self._chunk_publisher = self.create_lifecycle_publisher(
            topics.ACTION_CHUNK.type, topics.ACTION_CHUNK.name, topics.ACTION_CHUNK.publish
        )
        self._chunk_id = 0
        self._latencies_s: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self._complaint = ""
        self._complained_s = 0.0

    def activate(self) -> None:
        self._policy.reset()
        self._starts_from_here: Policy | None = None  # the policy whose first pose has been checked
        self._request: ChunkRequest | None = None
        self._unasked = ChunkSchedule(self.config.chunk_rate_hz)
        self._stopping = False
        self._subscribe()
        if self.config.chunk_rate_hz:
            listener = TaskListener(self, self._on_task)
            timer = self.create_timer(LOOK_PERIOD_S, listener.update)
            self._task_ends = [listener.close, partial(self.destroy_timer, timer)]
        self._worker = threading.Thread(target=self._infer_forever, name="inference")
        self._worker.start()

    def prepare_parameters(self, config: PolicyConfig, names: set[str]) -> None:
        self._next_policy = None
        reloading = names & parameters.reload_names(PolicyConfig)
        changed = any(getattr(config, name) != getattr(self.config, name) for name in reloading)
        if not changed and "checkpoint" not in names:  # whoever names it again has written it anew
            return
        with self._changed:
            self._loading = True
        try:
            self._next_policy = load_policy(config, self._robot, self.get_logger())
        finally:
            with self._changed:
                self._loading = False
                self._loaded_s = time.monotonic()
                self._changed.notify()

    def apply_parameters(self) -> None:
        if self._next_policy is None:
            return
        self.get_logger().info(f"'{self._next_policy.name}' takes over from '{self._policy.name}'")
        cameras = self._policy.cameras
        with self._changed:
            self._policy, self._next_policy = self._next_policy, None
        self._latencies_s.clear()
        if self._worker is not None and self._policy.cameras != cameras:
            self._unsubscribe()
            self._subscribe()

    def _subscribe(self) -> None:
        """Listen to what the policy looks at, and to requests."""
        with self._changed:
            self._synchronized: tuple[Any, ...] | None = None
            self._newest_ns: dict[str, int | None] = dict.fromkeys((*self._policy.cameras, "joint_states"))
        filters = [
            message_filters.Subscriber(self, topic.type, name, qos_profile=topic.subscribe)
            for topic, name in observed_topics(self._policy.cameras, self.config.image_transport)
        ]
        for name, entry in zip(self._newest_ns, filters, strict=True):
            entry.registerCallback(self._note, name)
        timely = [
            StampFilter(entry, lambda: self.now_ns() + round(MAX_AHEAD_S * NANOSECONDS)) for entry in filters
        ]
        synchronize(timely, self.config.sync_slop_s, self._on_synchronized)
        request = topics.CHUNK_REQUEST
        self._endpoints = [entry.sub for entry in filters]
        self._endpoints.append(
            self.create_subscription(request.type, request.name, self._on_request, request.subscribe)
        )

    def _unsubscribe(self) -> None:
        for endpoint in self._endpoints:
            self.destroy_subscription(endpoint)
        self._endpoints = []

    def deactivate(self) -> None:
        self._unsubscribe()
        for end in self._task_ends:
            end()
        self._task_ends = []
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def cleanup(self) -> None:
        if self._chunk_publisher is not None:
            self.destroy_lifecycle_publisher(self._chunk_publisher)
            self._chunk_publisher = None

    def diagnose(self) -> Health:
        if self._complaint and time.monotonic() - self._complained_s < COMPLAINT_PERIOD_S:
            return Health(WARN, self._complaint)
        values = {"policy": self._policy.name, "chunks": str(self._chunk_id)}
        if self._latencies_s:
            values["inference p50 (s)"] = f"{np.percentile(self._latencies_s, 50):.3f}"
            values["inference p95 (s)"] = f"{np.percentile(self._latencies_s, 95):.3f}"
        rate_hz = self.config.chunk_rate_hz
        return Health(
            OK, "answering requests" + (f", and {rate_hz:.4g} chunks a second" if rate_hz else ""), values
        )

    # Callbacks keep, the thread works.

    def _note(self, message: Any, stream: str) -> None:
        self._newest_ns[stream] = header_stamp_ns(message)

    def _on_synchronized(self, *messages: Any) -> None:
        with self._changed:
            self._synchronized = messages
            self._changed.notify()

    def _on_request(self, message: msg.ChunkRequest) -> None:
        try:
            request = request_from_msg(message)
        except ValueError as error:
            self.get_logger().warning(f"chunk request refused: {error}")
            return
        with self._changed:
            self._request = request
            self._changed.notify()

    def _on_task(self, _topic: topics.Topic, message: String) -> None:
        with self._changed:
            self._unasked.task = message.data
            self._changed.notify()

    def _infer_forever(self) -> None:
        os.nice(self.config.niceness)  # on Linux of this thread alone, and of those that torch starts from it
        while not self._stopping:
            self._infer_next()

    def _infer_next(self) -> None:
        """Wait for a request, or until a chunk is due without one, and answer it if that is possible now."""
        with self._changed:
            request = self._wait_for_request()
            if request is None:
                return
            synchronized, policy = self._synchronized, self._policy
        begun_s = time.monotonic()
        try:
            chunk = self._answer(policy, request, synchronized)
        except (ObservationError, ImageError, WireError) as error:
            if (
                not isinstance(error, ObservedTooEarlyError)
                and time.monotonic() > self._loaded_s + CATCH_UP_S
            ):
                self._complain(str(error))
            self._wait_for_better(synchronized)
            return
        except (PolicyError, RequestError) as error:
            self._complain(str(error))
            chunk = None
        except Exception:  # the model failed: this request cannot be answered, the next one may
            self.get_logger().error(f"inference failed:\n{traceback.format_exc()}")
            self._complain("inference failed, see the log")
            chunk = None
        with self._changed:
            if self._stopping or self._loading or policy is not self._policy:
                return  # the next policy answers this request
            if self._request is request:
                self._request = None
            elif not request.request_id:
                self._unasked.chunk_started(begun_s, synchronized)
        if chunk is not None:
            self._chunk_publisher.publish(action_chunk_msg(chunk, self.now_ns()))

    def _wait_for_request(self) -> ChunkRequest | None:
        """The newest request, or one with request_id 0 when a chunk is due without any; None: the node stops."""
        while not self._stopping:
            wait_s = None
            if not self._loading:
                if self._request is not None:
                    return self._request
                patience_s = self.config.max_observation_age_s  # until what was seen is refused as too old
                wait_s = self._unasked.wait_s(time.monotonic(), self._synchronized, patience_s)
                if wait_s is not None and wait_s <= 0.0:
                    return ChunkRequest(self.now_ns(), 0, self._unasked.task, RequestReason.THRESHOLD)
            self._changed.wait(wait_s)
        return None

    def _wait_for_better(self, synchronized: tuple[Any, ...] | None) -> None:
        """Until other messages are there, or for a while: what is too new may only need time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._synchronized is not synchronized, timeout=0.1
            )

    def _answer(
        self, policy: Policy, request: ChunkRequest, synchronized: tuple[Any, ...] | None
    ) -> ActionChunk:
        now_ns = self.now_ns()
        max_age_s, slop_s = self.config.max_observation_age_s, self.config.sync_slop_s
        if synchronized is None or now_ns - _stamp_ns(synchronized) > max_age_s * NANOSECONDS:
            raise ObservationError(synchronization_problem(dict(self._newest_ns), now_ns, max_age_s, slop_s))
        observation = observation_from(synchronized, policy.cameras, self._robot.joint_names, request.task)
        observation.check_times(now_ns, max_age_s, max_skew_s=slop_s)
        if request.reason is RequestReason.START and observation.stamp_ns < request.stamp_ns:
            raise ObservedTooEarlyError  # the executor would refuse the chunk
        self._check_pose(policy, observation)
        step_duration_ns = round(NANOSECONDS / self._robot.rate_hz)
        continuation = self._continuation(request, now_ns, observation.stamp_ns, step_duration_ns)
        started = time.monotonic()
        if self.config.policy == "scripted" and self.config.latency_s:
            time.sleep(self.config.latency_s)
        positions = policy.infer(observation, continuation)
        duration_s = time.monotonic() - started
        self._latencies_s.append(duration_s)
        self._chunk_id += 1
        return ActionChunk(
            positions=positions,
            joint_names=self._robot.joint_names,
            observation_stamp_ns=observation.stamp_ns,
            step_duration_ns=step_duration_ns,
            chunk_id=self._chunk_id,
            request_id=request.request_id,
            task=request.task,
            policy=policy.name,
            inference_duration_s=duration_s,
        )

    def _continuation(
        self, request: ChunkRequest, now_ns: int, start_ns: int, step_duration_ns: int
    ) -> Continuation | None:
        """What is executed meanwhile, on the time grid of the chunk that starts at `start_ns`; None if nothing is.

        The delay is counted from now on, not from the request, which may have waited for the one before it.
        """
        config = self.config
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
            self.get_logger().warning(
                f"{delay} actions are past when a chunk comes, so rtc_execution_horizon={config.rtc_execution_horizon} "
                "does not tie it to the plan there; raise it",
                throttle_duration_sec=HINT_PERIOD_S,
            )
        rows = request.prefix_on_grid(start_ns, step_duration_ns)
        return Continuation(
            rows, delay, config.rtc_execution_horizon, config.rtc_schedule, config.rtc_max_guidance_weight
        )

    def _check_pose(self, policy: Policy, observation: Observation) -> None:
        """Before a policy's first chunk: whether it has seen anything like this pose; raises ObservationError."""
        if self._starts_from_here is policy:
            return
        finding = policy.check_pose(observation.joints.positions_rad, self.config.max_pose_sigma)
        if finding and finding.severity == "error":
            raise ObservationError(str(finding))
        if finding:
            self.get_logger().warning(str(finding))
        self._starts_from_here = policy

    def _complain(self, complaint: str) -> None:
        self.get_logger().warning(
            f"cannot infer a chunk yet: {complaint}", throttle_duration_sec=COMPLAINT_PERIOD_S
        )
        self._complaint, self._complained_s = complaint, time.monotonic()


def _stamp_ns(synchronized: tuple[Any, ...]) -> int:
    """Of the oldest message of a set."""
    return min(header_stamp_ns(message) for message in synchronized)


def main() -> int:
    return run_node(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
