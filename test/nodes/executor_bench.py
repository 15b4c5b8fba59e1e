# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real executor node, with the test in place of arm and policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import smolvla_ros.msg as msg
from lifecycle_msgs.msg import Transition
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from smolvla_ros.chunk import ActionChunk
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import action_chunk_msg, joint_state_msg, time_msg
from smolvla_ros.robot import Joints

from ..package_files import ROBOT
from .conftest import EVERY_ONE, Observer, Program

FEED_S = 0.01
COUNTS = ("commands", "requests", "timeouts", "chunks_accepted", "starved_periods")  # of ExecutorState


class ExecutorBench:
    """The executor node, with the test in place of the policy and of an arm that reaches each command at once."""

    TASK = "pick up the red cube"
    STEP_NS = 33_333_333

    def __init__(self, observer: Observer, program: Program, **started_with: Any) -> None:
        self.observer = observer
        self.program = program
        self.started_with = started_with
        self.robot = ROBOT
        self.middle = np.array([joint.middle_rad for joint in self.robot.joints])
        self.pose = self.middle  # until there is a command
        self.fed_ns = 0  # stamp of the newest joint states
        self.counted = msg.ExecutorState()  # the counts of the node when the test began
        self._output_start = 0
        self._reset_arm()
        self.sim_ns = 1_000_000_000_000 if started_with.get("use_sim_time") else None
        self.commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
        self.requests = observer.collect(topics.CHUNK_REQUEST)
        self.states: list[Any] = []
        observer.listen(topics.EXECUTOR_STATE, self._on_state)
        self._clock = observer.node.create_publisher(Clock, "/clock", 10)
        self._joint_states = observer.publisher(topics.JOINT_STATES)
        self._chunks = observer.publisher(topics.ACTION_CHUNK)
        self._tasks = observer.publisher(topics.TASK)
        observer.node.create_timer(FEED_S, self._feed)

    def _reset_arm(self) -> None:
        self.follows = True  # whether the arm follows its commands
        self.silent = False  # whether the arm publishes no joint states
        self.lag_s = 0.0  # of the joint states' stamps

    def _on_state(self, state: Any) -> None:
        """Keep a state, without the counts of the tests before."""
        if any(getattr(state, name) < getattr(self.counted, name) for name in COUNTS):
            self.counted = msg.ExecutorState()  # the node was configured again
        counted = dict(zip(self.counted.rejected_reasons, self.counted.rejected_counts, strict=True))
        reasons = zip(state.rejected_reasons, state.rejected_counts, strict=True)
        left = {reason: count - counted.get(reason, 0) for reason, count in reasons}
        state.rejected_reasons = [reason for reason, count in left.items() if count]
        state.rejected_counts = [count for count in left.values() if count]
        if self.counted.clamps:
            state.clamps = [
                int(now) - int(old) for now, old in zip(state.clamps, self.counted.clamps, strict=True)
            ]
        for name in COUNTS:
            setattr(state, name, getattr(state, name) - getattr(self.counted, name))
        self.states.append(state)

    def reset(self, armed: bool = True, **parameters: Any) -> None:
        """Bring the node to the state after a start with these live parameters, without messages or counts."""
        self._reset_arm()
        live = {
            field.name: getattr(ExecutorConfig(), field.name)
            for field in dataclasses.fields(ExecutorConfig)
            if field.metadata.get("live")
        }
        started = {name: value for name, value in self.started_with.items() if name in live}
        self.set_parameters(**(live | started | parameters))
        for verb in ("stop", "reset"):
            assert self.observer.trigger(f"executor/{verb}").success
        self.set_task("")
        self.counted = msg.ExecutorState()
        self.states.clear()
        self.observer.until(lambda: self.states, "the executor's counts")
        self.counted = self.states[-1]
        for heard in (self.commands, self.requests, self.states):
            heard.clear()
        self.pose = self.middle
        self._output_start = len(self.program.output)
        self.observer.until(lambda: self.states, "a state")
        if armed:
            fed_ns = self.now_ns()
            self.observer.until(lambda: self.fed_ns > fed_ns, "joint states of this pose")
            assert self.arm().success

    @property
    def output(self) -> str:
        """The output of the node since the test began."""
        return self.program.output[self._output_start :]

    def set_parameters(self, **parameters: Any) -> None:
        result = self.observer.set_parameters("executor", **parameters)
        assert result.successful, result.reason

    def connect(self) -> None:
        ends = (self._joint_states, self._chunks, self._tasks)
        self.observer.until(
            lambda: all(end.get_subscription_count() for end in ends), "the executor to listen"
        )
        self.observer.until(lambda: self.states, "the executor's state")

    def now_ns(self) -> int:
        return self.observer.now_ns() if self.sim_ns is None else self.sim_ns

    def _feed(self) -> None:
        if self.sim_ns is not None:
            self.sim_ns += round(FEED_S * 1e9)
            self._clock.publish(Clock(clock=time_msg(self.sim_ns)))
        if self.silent:
            return
        if self.follows and self.commands:
            self.pose = np.array(self.commands[-1].position)
        self.fed_ns = self.now_ns() - round(self.lag_s * 1e9)
        joints = Joints(self.fed_ns, self.pose, np.zeros(6), np.zeros(6))
        self._joint_states.publish(joint_state_msg(self.robot.joint_names, joints))

    def set_task(self, task: str = TASK) -> None:
        self._tasks.publish(String(data=task))
        self.observer.until(lambda: self.states[-1].task == task, "the task to be taken")

    def chunk(self, positions: Any = None, *, task: str = TASK, age_s: float = 0.0, **fields: Any) -> Any:
        """A message with two seconds of motion; by default shoulder_pan moves by 0.4 rad."""
        if positions is None:
            positions = self.pose + np.linspace(0.0, 0.4, 60)[:, None] * np.eye(6)[0]
        values = {
            "positions": np.asarray(positions, np.float64),
            "joint_names": self.robot.joint_names,
            "observation_stamp_ns": self.now_ns() - round(age_s * 1e9),
            "step_duration_ns": self.STEP_NS,
            "chunk_id": 1,
            "request_id": 0,
            "task": task,
        }
        return action_chunk_msg(ActionChunk(**{**values, **fields}), self.now_ns())

    def send(self, *arguments: Any, **fields: Any) -> None:
        self._chunks.publish(self.chunk(*arguments, **fields))

    def publish(self, chunk: Any) -> None:
        self._chunks.publish(chunk)

    def start_motion(self) -> None:
        """Send the task and a chunk, and wait until the arm moves."""
        self.set_task()
        self.observer.until(lambda: self.requests, "a chunk request")
        self.send(request_id=self.requests[-1].request_id)
        start = self.pose[0]
        self.observer.until(lambda: self.pan() and self.pan()[-1] > start + 0.1, "the arm to move")

    def state_is(self, state: int) -> Callable[[], bool]:
        return lambda: bool(self.states) and self.states[-1].state == state

    def pan(self) -> list[float]:
        return [command.position[0] for command in self.commands]

    def rejected(self) -> dict[str, int]:
        state = self.states[-1]
        return dict(zip(state.rejected_reasons, state.rejected_counts, strict=True))

    def arm(self, on: bool = True) -> Any:
        return self.observer.switch("executor/arm", on)

    def change_state(self, transition: int) -> None:
        assert self.observer.change_state("executor", transition)

    def bring_to(self, state: str) -> None:
        """From disarmed to another state of the executor, or to an inactive node."""
        if state in ("holding", "armed", "fault"):
            assert self.arm().success
        if state in ("armed", "fault"):
            self.start_motion()
        if state == "fault":
            self.follows = False
            self.pose = self.pose - 0.5
        elif state == "shadow":
            assert self.observer.switch("executor/shadow", True).success
        elif state == "stopped":
            assert self.observer.trigger("executor/stop").success
        if state == "inactive":
            self.change_state(Transition.TRANSITION_DEACTIVATE)
        else:
            self.observer.until(self.state_is(getattr(msg.ExecutorState, state.upper())), state)
