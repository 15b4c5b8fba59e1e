# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor on ROS: action chunks in, joint commands out at a fixed rate, and its state.

`execution/chunk_executor.py` decides what to command. Here one thread wakes at every control deadline, sends the
command, runs the callbacks of the messages that have arrived, and sleeps. Messages wait for at most one period;
commands never wait for messages, nor for the interpreter lock of another thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import KeyValue
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.executors import Executor
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

import smolvla_ros.msg as msg
from smolvla_ros.authority import Authority
from smolvla_ros.chunk import ChunkError
from smolvla_ros.execution.arming import ArmingState, Outcome
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.operator_source import SHOWN_CHARACTERS, OperatorError
from smolvla_ros.node_configs import ExecutorNodeConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.executor_outputs import CommandOutputs, PlanPreview
from smolvla_ros.nodes.messages import chunk_request_msg, executor_state_msg
from smolvla_ros.nodes.realtime_priority import request_realtime_priority
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import (
    ERROR,
    OK,
    WARN,
    Health,
    SuiteNode,
    load_robot,
    next_deadline_s,
)
from smolvla_ros.wire import WireError, chunk_from_msg, joints_from_msg

STATE_PERIOD_S = 0.1
REFUSAL_LOG_PERIOD_S = 2.0
STOPPED = "stopped by service"
UNNAMED = "a program without a name in header.frame_id"


class ExecutorNode(SuiteNode[ExecutorNodeConfig]):
    """Publishes the commands of policy or person, who has control, chunk requests, the active task and the state."""

    def __init__(self, **options: Any) -> None:
        super().__init__("executor", ExecutorNodeConfig, **options)
        self._deadline_s: float | None = None  # of the next control step (monotonic); None while not active
        self._state_due_s = 0.0
        self._missed_periods = 0  # skipped because the previous period took too long
        self._logged_state = ArmingState.DISARMED
        self._is_stopped = False  # kept through all transitions; only a reset clears it

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        self.chunk_executor = ChunkExecutor(self.config, self._robot)
        if self._is_stopped:
            self.chunk_executor.stop(STOPPED)
        self._logged_state = self.chunk_executor.state
        self._published_authority: Authority | None = None
        self._published_task = ""
        self._outputs = CommandOutputs(
            self.add_publisher,
            self.get_fully_qualified_name(),
            self._robot.joint_names,
            self.config.rate_hz,
            self.config.publish_joint_trajectory,
            self.config.publish_position_commands,
        )
        self._preview = PlanPreview(self.add_publisher, self._robot.joint_names)
        self._requests = self.add_publisher(
            topics.CHUNK_REQUEST,
            event_callbacks=PublisherEventCallbacks(matched=self._on_request_subscribers),
        )
        self._active_task = self.add_publisher(topics.ACTIVE_TASK)
        self._authorities = self.add_publisher(topics.CONTROL_AUTHORITY)
        self._refused_operators = self.add_publisher(topics.REFUSED_COMMANDER)
        self._states = self.add_publisher(topics.EXECUTOR_STATE)
        self.add_subscription(topics.TASK, self._on_task)
        self.add_subscription(topics.JOINT_STATES, self._on_joint_states)
        self._chunks = self.add_subscription(topics.ACTION_CHUNK, self._on_chunk)
        self.add_subscription(topics.OPERATOR_TARGETS, self._on_operator_target)
        self.add_subscription(topics.REFUSED_COMMANDER, self._on_refused_commander)
        self.add_service(SetBool, "executor/arm", self._on_arm)
        self.add_service(SetBool, "executor/shadow", self._on_shadow)
        self.add_service(SetBool, "executor/take_over", self._on_take_over)
        self.add_service(Trigger, "executor/stop", self._on_stop)
        self.add_service(Trigger, "executor/reset", self._on_reset)

    def activate(self) -> None:
        if self.config.realtime_priority:
            self.get_logger().info(request_realtime_priority(self.config.realtime_priority))
        self.chunk_executor.start(self.now_ns())
        self._deadline_s = self._state_due_s = time.monotonic()
        # What an inactive node publishes is lost: subscribers are told what has changed meanwhile.
        self._published_authority = None
        task = self.config.task or self.chunk_executor.status(self.now_ns()).task
        if task or self._published_task:
            self._set_task(task)

    def deactivate(self) -> None:
        self._deadline_s = None
        self.chunk_executor.disarm()
        self._report_state()
        self._publish_state()

    def apply_parameters(self) -> None:
        self.chunk_executor.reconfigure(self.config)

    def diagnose(self) -> Health:
        status = self.chunk_executor.status(self.now_ns())
        policies = self._chunks.get_publisher_count()
        values = {
            "control": self.chunk_executor.authority.value,
            "task": status.task,
            "queue (s)": f"{status.queue_duration_s:.2f}",
            "fusion": status.fusion,
            "trigger": f"{status.trigger}, at {status.threshold:.2f} of a chunk",
            "request latency p50 (s)": f"{status.request_latency_p50_s:.3f}",
            "request latency p95 (s)": f"{status.request_latency_p95_s:.3f}",
            "inference p50 (s)": f"{status.inference_latency_p50_s:.3f}",
            "inference p95 (s)": f"{status.inference_latency_p95_s:.3f}",
            "chunk age (s)": f"{status.chunk_age_s:.3f}",
            "joint states age (s)": f"{status.joint_states_age_s:.3f}",
            "following error (rad)": f"{status.following_error_rad:.3f}",
            "policy nodes": str(policies),
            "requests": str(status.requests),
            "requests timed out": str(status.timeouts),
            "commands": str(status.commands),
            "missed periods": str(self._missed_periods),
            "starved periods": str(status.starved_periods),
            "chunks accepted": str(status.chunks_accepted),
            **{f"chunks rejected: {reason}": str(count) for reason, count in status.rejected.items()},
            **{
                f"commands limited: {name}": str(count)
                for name, count in zip(self._robot.joint_names, status.clamps, strict=True)
            },
        }
        level = {
            ArmingState.ARMED: OK,
            ArmingState.FAULT: ERROR,
            ArmingState.STOPPED: ERROR,
        }.get(status.state, WARN)
        message = f"{status.state.name.lower()}: {status.reason}".rstrip(": ")
        if policies > 1:
            level, message = (
                max(level, WARN),
                f"{message}; {policies} policy nodes send chunks, stop all but one",
            )
        return Health(level, message, values)

    # The control loop.

    def spin_step(self, executor: Executor) -> None:
        """One control period; the deadlines are on a fixed grid."""
        if self._deadline_s is None:
            super().spin_step(executor)
            return
        time.sleep(max(0.0, self._deadline_s - time.monotonic()))
        self._step()
        if self._deadline_s >= self._state_due_s:
            self._publish_state()
            self._state_due_s = self._deadline_s + STATE_PERIOD_S
        due_s, period_s = self._deadline_s, 1.0 / self.config.rate_hz
        self._deadline_s = next_deadline_s(due_s, period_s)
        self._missed_periods += round((self._deadline_s - due_s) / period_s) - 1
        self.run_ready_callbacks(executor, self._deadline_s)

    def _step(self) -> None:
        now_ns = self.now_ns()
        command = self.chunk_executor.step(now_ns)
        if command is not None:
            self._outputs.publish(command)
        self._request(now_ns)
        self._report_state()

    def _request(self, now_ns: int) -> None:
        """Publish a request for the next chunk if it is due and there is a subscriber."""
        request = self.chunk_executor.request(now_ns) if self._requests.get_subscription_count() else None
        if request is not None:
            self._requests.publish(chunk_request_msg(request))

    def _publish_state(self) -> None:
        now_ns = self.now_ns()
        status = self.chunk_executor.status(now_ns)
        self._states.publish(executor_state_msg(status, self._robot.joint_names, now_ns))
        self._preview.publish(self.chunk_executor.plan(now_ns), now_ns)

    def _report_state(self) -> bool:
        """Publish who commands the arm, and log the state, if they have changed; returns whether the state has."""
        authority = self.chunk_executor.authority
        if authority is not self._published_authority:
            self._published_authority = authority
            self._authorities.publish(String(data=authority.value))
            self.get_logger().info(f"control: {authority.value}")
        before, state = self._logged_state, self.chunk_executor.state
        if state is before:
            return False
        self._logged_state = state
        reason = self.chunk_executor.reason
        text = f"{before.name.lower()} -> {state.name.lower()}{': ' if reason else ''}{reason}"
        if state is ArmingState.FAULT:  # three calls: rclpy allows only one severity for each line of code
            self.get_logger().error(text)
        elif state is ArmingState.STOPPED or (state, before) == (ArmingState.HOLDING, ArmingState.ARMED):
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)
        return True

    # Callbacks.

    def _on_request_subscribers(self, event: Any) -> None:
        """The number of subscribers of the requests, which are policies, has changed."""
        if event.total_count_change > 0:
            self.chunk_executor.policy_changed()

    def _on_joint_states(self, message: Any) -> None:
        try:
            joints = joints_from_msg(message, self._robot.joint_names)
        except WireError as error:
            self._refuse(f"joint states refused: {error}")
            return
        self.chunk_executor.update_joints(joints)

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        try:
            self._accept(message)
        except ChunkError as error:
            self._refuse(f"chunk refused ({error.reason}): {error}")

    def _accept(self, message: msg.ActionChunk) -> None:
        try:
            chunk = chunk_from_msg(message)
        except ChunkError as error:
            self.chunk_executor.reject(error.reason, message.request_id, self.now_ns())
            raise
        self.chunk_executor.accept(chunk, self.now_ns())

    def _on_operator_target(self, message: Any) -> None:
        operator = message.header.frame_id or UNNAMED
        try:
            goals = joints_from_msg(message, self._robot.joint_names)
            self.chunk_executor.accept_target(operator, goals, self.now_ns())
        except WireError as error:
            self._refuse(f"operator target refused: {error}")
        except OperatorError as error:
            self._refuse(f"{operator[:SHOWN_CHARACTERS]!r} does not lead: {error}")
            self._refused_operators.publish(KeyValue(key=operator, value=str(error)))
        self._report_state()

    def _on_refused_commander(self, message: KeyValue) -> None:
        if message.key == self.get_fully_qualified_name():
            self.chunk_executor.commands_refused(message.value)

    def _on_task(self, message: String) -> None:
        self._set_task(message.data)

    def _set_task(self, task: str) -> None:
        self.chunk_executor.set_task(task, self.now_ns())
        self._active_task.publish(String(data=task))
        if self._deadline_s is not None:  # the node is active
            self._published_task = task
        self.get_logger().info(f"task: '{task}'")

    def _refuse(self, reason: str) -> None:
        self.get_logger().warning(reason, throttle_duration_sec=REFUSAL_LOG_PERIOD_S)

    # Services.

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        def arm() -> Outcome:
            return self.chunk_executor.arm(self.now_ns()) if request.data else self.chunk_executor.disarm()

        return self._operate(response, arm, only_active=request.data)

    def _on_shadow(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        def shadow() -> Outcome:
            return self.chunk_executor.shadow(request.data, self.now_ns())

        return self._operate(response, shadow, only_active=request.data)

    def _on_take_over(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        def hand_over() -> Outcome:
            executor, now_ns = self.chunk_executor, self.now_ns()
            return executor.take_over(now_ns) if request.data else executor.give_back(now_ns)

        return self._operate(response, hand_over, only_active=True)

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._is_stopped = True
        return self._operate(response, lambda: self.chunk_executor.stop(STOPPED))

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._is_stopped = False
        return self._operate(response, self.chunk_executor.reset)

    def _operate(self, response: Any, action: Callable[[], Outcome], only_active: bool = False) -> Any:
        """Execute the action of a service call and fill in the response.

        only_active: refuse while the node is inactive, because activation resets the executor.
        """
        if only_active and self._deadline_s is None:
            outcome = Outcome(False, f"the executor node is {self.lifecycle_state}; activate it first")
        else:
            outcome = action()
        self._state_due_s = 0.0  # publish the state in the next period
        if not self._report_state():
            self.get_logger().info(outcome.message)
        response.success, response.message = outcome.ok, outcome.message
        return response


def main() -> int:
    return run_node(ExecutorNode)


if __name__ == "__main__":
    sys.exit(main())
