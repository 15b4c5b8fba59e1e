# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy on ROS: synchronized images, joint states and a task in, an ActionChunk out.

A chunk answers a chunk request, which contains the task. With `chunk_rate_hz`, chunks are also published without a
request, with request_id 0, for the newest task: that on the executor's `active_task`, or on `task` where there is no
executor. None is published for an empty task.

With `looks_ahead` the images for a request that is expected are encoded before it comes (`request_forecast.py`), and
the request is answered from them; if it comes much later than expected, from the newest ones.

Callbacks only keep the newest messages; one thread infers, so no callback waits for the model. The newest request is
answered: one that arrives during inference is answered next, and those before it are dropped. A request waits for a
valid observation, and the log says what is wrong with the current one.

The checkpoint can be replaced while the node runs, by setting the parameters that name it (several of them in one
call). While the other one loads, requests are not answered, so the arm holds when its plan ends; the call returns after
loading. A checkpoint that is refused changes nothing. Both are in memory until the new one is in use.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import message_filters
from std_msgs.msg import String

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ActionChunk, ChunkRequest, RequestError, RequestReason
from smolvla_ros.image import ImageError
from smolvla_ros.nodes import parameters, topics
from smolvla_ros.nodes.chunk_inference import ChunkInference
from smolvla_ros.nodes.chunk_schedule import ChunkSchedule
from smolvla_ros.nodes.messages import action_chunk_msg
from smolvla_ros.nodes.observation_sync import StampFilter, observed_topics, synchronize
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.nodes.request_forecast import RequestForecast
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import OK, WARN, Health, NotReadyError, SuiteNode, load_robot
from smolvla_ros.nodes.task_listener import TaskListener
from smolvla_ros.observation import MAX_AHEAD_S, NANOSECONDS, ObservationError, ObservedTooEarlyError
from smolvla_ros.policy.policy import ObservesWorld, Policy, PolicyError, PolicyUnavailableError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.wire import WireError, header_stamp_ns, request_from_msg

PROBLEM_PERIOD_S = 2.0  # a problem is logged once in this time, and is on /diagnostics for this time
UPDATE_PERIOD_S = 0.5  # of the search for an executor
# after loading; messages that arrived meanwhile are old, which is not reported during this time
CATCH_UP_S = 1.0
RETRY_S = (
    0.1  # an observation from the future may become valid without new messages; a server may answer again
)


class PolicyNode(SuiteNode[PolicyConfig]):
    """Answers `chunk_request` with `action_chunk`, and publishes it at `chunk_rate_hz`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", PolicyConfig, **options)
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._next_policy: Policy | None = None  # loaded, not yet in use
        self._loading = False
        self._loaded_s = -math.inf
        self._inputs: list[Any] = []
        self._close_task_listener: list[Callable[[], object]] = []

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        try:
            self._policy = load_policy(self.config, self._robot, self.get_logger())
        except PolicyUnavailableError as error:
            raise NotReadyError(str(error)) from error
        self._chunks = self.add_publisher(topics.ACTION_CHUNK)
        self._inference = ChunkInference(self._robot, self.get_logger())
        self._problem = ""
        self._problem_s = 0.0

    def activate(self) -> None:
        self._policy.reset()
        self._inference.check_pose_again()
        self._request: ChunkRequest | None = None
        self._schedule = ChunkSchedule(self.config.chunk_rate_hz)
        self._forecast = RequestForecast()
        self._stopping = False
        self._subscribe()
        if self.config.chunk_rate_hz:
            listener = TaskListener(self, self._on_task)
            timer = self.create_timer(UPDATE_PERIOD_S, listener.update)
            self._close_task_listener = [listener.close, partial(self.destroy_timer, timer)]
        self._worker = threading.Thread(target=self._infer_until_stopped, name="inference")
        self._worker.start()

    def cleanup(self) -> None:
        self._next_policy = None
        for name in ("_policy", "_inference"):  # which may take gigabytes, or a connection of the server
            self.__dict__.pop(name, None)

    def prepare_parameters(self, config: PolicyConfig, names: set[str]) -> None:
        self._next_policy = None
        reloading = names & parameters.reload_names(PolicyConfig)
        changed = any(getattr(config, name) != getattr(self.config, name) for name in reloading)
        if not changed and "checkpoint" not in names:  # the same checkpoint may have new content
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
        self.get_logger().info(f"'{self._next_policy.name}' replaces '{self._policy.name}'")
        cameras = self._policy.cameras
        with self._changed:  # so that the policy gets no messages of the cameras before
            self._policy, self._next_policy = self._next_policy, None
            listens_to_others = self._policy.cameras != cameras or isinstance(self._policy, ObservesWorld)
            if self._worker is not None and listens_to_others:
                self._unsubscribe()
                self._subscribe()
        self._inference.policy_replaced()

    def _subscribe(self) -> None:
        """Subscribe to the images and joint states of the policy, and to requests."""
        with self._changed:
            self._synchronized: tuple[Any, ...] | None = None
            self._newest_ns: dict[str, int | None] = dict.fromkeys((*self._policy.cameras, "joint_states"))
        filters = [
            message_filters.Subscriber(self, topic.type, name, qos_profile=topic.subscribe)
            for topic, name in observed_topics(self._policy.cameras, self.config.image_transport)
        ]
        for name, entry in zip(self._newest_ns, filters, strict=True):
            entry.registerCallback(self._keep_stamp, name)
        plausible = [
            StampFilter(entry, lambda: self.now_ns() + round(MAX_AHEAD_S * NANOSECONDS)) for entry in filters
        ]
        synchronize(plausible, self.config.sync_slop_s, self._on_synchronized)
        topic = topics.CHUNK_REQUEST
        requests = self.create_subscription(topic.type, topic.name, self._on_request, topic.subscribe)
        self._inputs = [*(entry.sub for entry in filters), requests]
        if isinstance(self._policy, ObservesWorld):
            state = topics.WORLD_STATE
            self._inputs.append(
                self.create_subscription(state.type, state.name, self._policy.observe_world, state.subscribe)
            )

    def _unsubscribe(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []

    def deactivate(self) -> None:
        self._unsubscribe()
        for close in self._close_task_listener:
            close()
        self._close_task_listener = []
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def diagnose(self) -> Health:
        if self._problem and time.monotonic() - self._problem_s < PROBLEM_PERIOD_S:
            return Health(WARN, self._problem)
        values = {"policy": self._policy.name, "chunks": str(self._inference.chunk_id)}
        rate_hz = self.config.chunk_rate_hz
        message = "answering requests" + (f", and {rate_hz:.4g} chunks a second" if rate_hz else "")
        if self.config.looks_ahead:
            values["chunks of images encoded before the request"] = str(self._inference.chunks_ahead)
        return Health(OK, message, values | self._inference.latencies())

    # Callbacks.

    def _keep_stamp(self, message: Any, stream: str) -> None:
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
            self._forecast.requested(self.now_ns(), request.reason is RequestReason.START)
            self._changed.notify()

    def _on_task(self, _topic: topics.Topic, message: String) -> None:
        with self._changed:
            self._schedule.task = message.data
            self._changed.notify()

    # The thread that infers.

    def _infer_until_stopped(self) -> None:
        os.nice(self.config.niceness)  # on Linux: of this thread, and of those that torch starts from it
        while not self._stopping:
            self._infer_next()

    def _infer_next(self) -> None:
        """Wait until a chunk is requested or due, and publish it if it can be inferred now; or look ahead."""
        with self._changed:
            request = self._wait_for_request()
            synchronized, policy = self._synchronized, self._policy
        if request is None:
            self._look(policy, synchronized)
            return
        started_s = time.monotonic()
        chunk: ActionChunk | None = None
        try:
            chunk = self._inference.infer(
                policy, self.config, request, synchronized, dict(self._newest_ns), self.now_ns()
            )
        except (ObservationError, ImageError, WireError) as error:
            is_expected = isinstance(error, ObservedTooEarlyError)
            if not is_expected and time.monotonic() > self._loaded_s + CATCH_UP_S:
                self._report(str(error))
            self._wait_for_messages(synchronized)
            return
        except PolicyUnavailableError as error:
            self._report(str(error))
            self._pause()
            return
        except (PolicyError, RequestError) as error:
            self._report(str(error))
        except Exception:  # the model failed: this request cannot be answered, the next one may be
            self.get_logger().error(f"inference failed:\n{traceback.format_exc()}")
            self._report("inference failed, see the log")
        with self._changed:
            if self._stopping or self._loading or policy is not self._policy:
                return  # the next policy answers this request
            if self._request is request:
                self._request = None
            elif not request.request_id:
                self._schedule.chunk_started(started_s, synchronized)
            if chunk is not None and request.request_id:
                self._forecast.answered(chunk.observation_stamp_ns)
        if chunk is not None:
            self._chunks.publish(action_chunk_msg(chunk, self.now_ns()))

    def _look(self, policy: Policy, synchronized: tuple[Any, ...] | None) -> None:
        """Encode the images of these messages before the request that will need them, unless the node stops."""
        if self._stopping:
            return
        try:
            self._inference.look(policy, self.config, synchronized, self.now_ns())
        except (ObservationError, ImageError, WireError, PolicyError) as error:
            self.get_logger().debug(f"not looked ahead: {error}")  # the request reports it if it lasts
        except Exception:
            self.get_logger().error(f"looking ahead failed:\n{traceback.format_exc()}")

    def _wait_for_request(self) -> ChunkRequest | None:
        """The newest request, or one with request_id 0 when a chunk is due without one.

        None: the node stops, or it is time to look ahead.
        """
        while not self._stopping:
            wait_s = None
            if not self._loading:
                if self._request is not None:
                    return self._request
                max_age_s = self.config.max_observation_age_s
                wait_s = self._schedule.wait_s(time.monotonic(), self._synchronized, max_age_s)
                if wait_s is not None and wait_s <= 0.0:
                    return ChunkRequest(self.now_ns(), 0, self._schedule.task, RequestReason.THRESHOLD)
                look_s = self._look_wait_s()
                if look_s is not None and look_s <= 0.0:
                    self._forecast.looked()
                    return None
                wait_s = min((wait for wait in (wait_s, look_s) if wait is not None), default=None)
            self._changed.wait(wait_s)
        return None

    def _look_wait_s(self) -> float | None:
        """Time until images should be encoded for the next request; None: no request is expected, or it is late."""
        expected_ns = self._forecast.expected_ns() if self.config.looks_ahead else None
        if expected_ns is None or expected_ns < self.now_ns():
            return None
        return (expected_ns - self.now_ns()) / NANOSECONDS - self._inference.look_s

    def _wait_for_messages(self, synchronized: tuple[Any, ...] | None) -> None:
        """Until there are others than these, at most for RETRY_S."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._synchronized is not synchronized, timeout=RETRY_S
            )

    def _pause(self) -> None:
        """For RETRY_S, unless the node stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=RETRY_S)

    def _report(self, problem: str) -> None:
        self.get_logger().warning(
            f"cannot infer a chunk yet: {problem}", throttle_duration_sec=PROBLEM_PERIOD_S
        )
        self._problem, self._problem_s = problem, time.monotonic()


def main() -> int:
    return run_node(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
