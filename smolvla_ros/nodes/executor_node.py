# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor on ROS: action chunks in, joint commands out at a steady rate, its state beside them.

What to command is decided in `execution/chunk_executor.py`. Here one thread wakes at every control deadline, sends the
command, then handles what has arrived meanwhile, and sleeps. Messages wait for at most one period; a command never
waits for a message, nor for the interpreter lock of a second thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.executors import Executor
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ChunkError
from smolvla_ros.execution.arming import ArmingState, Outcome
from smolvla_ros.execution.chunk_executor import ChunkExecutor
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import chunk_request_msg, executor_state_msg, joint_command_msg
from smolvla_ros.nodes.running import run
from smolvla_ros.nodes.suite_node import (
    ERROR,
    OK,
    WARN,
    Health,
    SuiteNode,
    load_robot,
    next_deadline_s,
)
from smolvla_ros.settings import setting
from smolvla_ros.wire import WireError, chunk_from_msg, joints_from_msg

STATE_PERIOD_S = 0.1
REFUSAL_LOG_PERIOD_S = 2.0


@dataclass(frozen=True)
class ExecutorNodeConfig(ExecutorConfig):
    """Parameters of the executor node: those of the executor, the robot and the first task."""

    robot: str = setting("", "robot file (config/so100.yaml): joints and their limits")
    task: str = setting("", "instruction to start with; later ones come on the topic `task`")


class ExecutorNode(SuiteNode[ExecutorNodeConfig]):
    """Publishes `joint_commands`, `chunk_request`, `active_task` and `executor/state`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("executor", ExecutorNodeConfig, **options)
        self._deadline_s: float | None = None  # of the next control step (monotonic); None while not active
        self._state_due_s = 0.0
        self._endpoints: list[tuple[Any, Any]] = []  # (how to destroy it, what)

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        self.chunk_executor = ChunkExecutor(self.config, self._robot)
        self._commands = self._publisher(topics.JOINT_COMMANDS)
        self._requests = self._publisher(topics.CHUNK_REQUEST)
        self._active_task = self._publisher(topics.ACTIVE_TASK)
        self._states = self._publisher(topics.EXECUTOR_STATE)
        for topic, callback in (
            (topics.TASK, self._on_task),
            (topics.JOINT_STATES, self._on_joint_states),
            (topics.ACTION_CHUNK, self._on_chunk),
        ):
            subscription = self.create_subscription(topic.type, topic.name, callback, topic.subscribe)
            self._endpoints.append((self.destroy_subscription, subscription))
        services: tuple[tuple[str, Any, Callable[..., Any]], ...] = (
            ("arm", SetBool, self._on_arm),
            ("shadow", SetBool, self._on_shadow),
            ("stop", Trigger, self._on_stop),
            ("reset", Trigger, self._on_reset),
        )
        for name, kind, answer in services:
            self._endpoints.append(
                (self.destroy_service, self.create_service(kind, f"executor/{name}", answer))
            )

    def _publisher(self, topic: topics.Topic) -> Any:
        publisher = self.create_lifecycle_publisher(topic.type, topic.name, topic.publish)
        self._endpoints.append((self.destroy_lifecycle_publisher, publisher))
        return publisher

    def activate(self) -> None:
        if self.config.task:
            self._set_task(self.config.task)
        self._deadline_s = self._state_due_s = time.monotonic()

    def deactivate(self) -> None:
        self._deadline_s = None
        self.chunk_executor.disarm()
        self._publish_state()

    def cleanup(self) -> None:
        for destroy, endpoint in self._endpoints:
            destroy(endpoint)
        self._endpoints = []

    def reconfigure(self) -> None:
        self.chunk_executor.reconfigure(self.config)

    def diagnose(self) -> Health:
        status = self.chunk_executor.status(self.now_ns())
        values = {
            "task": status.task,
            "queue (s)": f"{status.queue_duration_s:.2f}",
            "commands": str(status.commands),
            "starved periods": str(status.starved_periods),
            "chunks accepted": str(status.chunks_accepted),
            **{f"chunks rejected: {reason}": str(count) for reason, count in status.rejected.items()},
        }
        level = {
            ArmingState.ARMED: OK,
            ArmingState.FAULT: ERROR,
            ArmingState.STOPPED: ERROR,
        }.get(status.state, WARN)
        return Health(level, f"{status.state.name.lower()}: {status.reason}".rstrip(": "), values)

    # The control loop.

    def turn(self, executor: Executor) -> None:
        """One control period, on a grid of absolute deadlines."""
        if self._deadline_s is None:
            super().turn(executor)
            return
        time.sleep(max(0.0, self._deadline_s - time.monotonic()))
        self._step()
        if self._deadline_s >= self._state_due_s:
            self._publish_state()
            self._state_due_s = self._deadline_s + STATE_PERIOD_S
        self._deadline_s = next_deadline_s(self._deadline_s, 1.0 / self.config.rate_hz)
        self.handle_arrived(executor, self._deadline_s)

    def _step(self) -> None:
        now_ns = self.now_ns()
        command = self.chunk_executor.step(now_ns)
        if command is not None:
            self._commands.publish(
                joint_command_msg(self._robot.joint_names, command.stamp_ns, command.positions_rad)
            )
        request = self.chunk_executor.request(now_ns)
        if request is not None:
            self._requests.publish(chunk_request_msg(request))

    def _publish_state(self) -> None:
        now_ns = self.now_ns()
        status = self.chunk_executor.status(now_ns)
        self._states.publish(executor_state_msg(status, self._robot.joint_names, now_ns))

    # Callbacks.

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
            self.chunk_executor.reject(error.reason, message.request_id)
            raise
        self.chunk_executor.accept(chunk, self.now_ns())

    def _on_task(self, message: String) -> None:
        self._set_task(message.data)

    def _set_task(self, task: str) -> None:
        self.chunk_executor.set_task(task, self.now_ns())
        self._active_task.publish(String(data=task))
        self.get_logger().info(f"task: '{task}'")

    def _refuse(self, reason: str) -> None:
        self.get_logger().warning(reason, throttle_duration_sec=REFUSAL_LOG_PERIOD_S)

    # Services.

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            return self._operate(response, lambda: self.chunk_executor.arm(self.now_ns()))
        return self._operate(response, self.chunk_executor.disarm)

    def _on_shadow(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        return self._operate(response, lambda: self.chunk_executor.shadow(request.data))

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._operate(response, lambda: self.chunk_executor.stop("stopped by service"))

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._operate(response, self.chunk_executor.reset)

    def _operate(self, response: Any, action: Callable[[], Outcome]) -> Any:
        """Do what a person asks for and answer the service with its outcome."""
        outcome = action()
        self.get_logger().info(outcome.message)
        response.success, response.message = outcome.ok, outcome.message
        return response


def main() -> int:
    return run(ExecutorNode)


if __name__ == "__main__":
    sys.exit(main())
