# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor node moves the arm by chunks and stands still in every doubt."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.chunk import ActionChunk
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import action_chunk_msg, joint_state_msg
from smolvla_ros.robot import Joints, RobotSpec

ROBOT_FILE = "config/so100.yaml"
TASK = "pick up the red cube"
MAX_STEP_RAD = 0.05
STEP_NS = 33_333_333


class Bench:
    """The executor node with a test in place of arm and policy."""

    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self.robot = RobotSpec.load(ROBOT_FILE)
        self.pose = np.array([joint.middle_rad for joint in self.robot.joints])
        self.commands = observer.collect(topics.JOINT_COMMANDS)
        self.requests = observer.collect(topics.CHUNK_REQUEST)
        self.states = observer.collect(topics.EXECUTOR_STATE)
        self._joint_states = observer.publisher(topics.JOINT_STATES)
        self._chunks = observer.publisher(topics.ACTION_CHUNK)
        self._tasks = observer.publisher(topics.TASK)
        self._feeding = observer.node.create_timer(0.02, self._feed)

    def connect(self) -> None:
        ends = (self._joint_states, self._chunks, self._tasks)
        self.observer.until(
            lambda: all(end.get_subscription_count() for end in ends), "the executor to listen"
        )
        self.observer.until(lambda: self.states, "the executor's state")

    def _feed(self) -> None:
        joints = Joints(self.observer.now_ns(), self.pose, np.zeros(6), np.zeros(6))
        self._joint_states.publish(joint_state_msg(self.robot.joint_names, joints))

    def stop_joint_states(self) -> None:
        self._feeding.cancel()

    def say(self, task: str = TASK) -> None:
        self._tasks.publish(String(data=task))
        self.observer.until(lambda: self.states[-1].task == task, "the task to be taken")

    def send(self, positions: Any = None, *, task: str = TASK, age_s: float = 0.1, **fields: Any) -> None:
        """A chunk of two seconds; by default one that moves shoulder_pan by 0.4 rad."""
        if positions is None:
            positions = self.pose + np.linspace(0.0, 0.4, 60)[:, None] * np.eye(6)[0]
        values = {
            "positions": np.asarray(positions, np.float64),
            "joint_names": self.robot.joint_names,
            "observation_stamp_ns": self.observer.now_ns() - round(age_s * 1e9),
            "step_duration_ns": STEP_NS,
            "chunk_id": 1,
            "request_id": self.requests[-1].request_id if self.requests else 0,
            "task": task,
        }
        self._chunks.publish(action_chunk_msg(ActionChunk(**{**values, **fields}), self.observer.now_ns()))

    def state_is(self, state: int) -> Callable[[], bool]:
        return lambda: bool(self.states) and self.states[-1].state == state

    def pan(self) -> list[float]:
        return [command.position[0] for command in self.commands]

    def rejected(self) -> dict[str, int]:
        state = self.states[-1]
        return dict(zip(state.rejected_reasons, state.rejected_counts, strict=True))


@pytest.fixture
def bench(observer: Any, start: Any) -> Iterator[Bench]:
    start("nodes.executor_node", robot=ROBOT_FILE, mode="armed", max_step_rad=MAX_STEP_RAD, soft_start_s=0.1)
    bench = Bench(observer)
    bench.connect()
    yield bench


def moving(bench: Bench) -> None:
    bench.say()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send()
    bench.observer.until(lambda: bench.pan() and bench.pan()[-1] > 0.1, "the arm to move")


def test_a_task_is_asked_for_and_its_chunk_is_followed(bench: Bench) -> None:
    moving(bench)
    assert bench.requests[0].task == TASK
    assert bench.requests[0].reason == msg.ChunkRequest.START
    assert bench.states[-1].state == msg.ExecutorState.ARMED
    assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9
    assert sorted(bench.pan()) == bench.pan()


def test_the_next_chunk_is_asked_for_before_the_queue_is_empty(bench: Bench) -> None:
    moving(bench)
    bench.observer.until(lambda: len(bench.requests) > 1, "the second request")
    assert bench.requests[1].reason == msg.ChunkRequest.THRESHOLD
    assert bench.requests[1].queue_duration.sec + bench.requests[1].queue_duration.nanosec * 1e-9 > 0.5
    assert len(bench.requests[1].prefix) % 6 == 0 and len(bench.requests[1].prefix) > 0


def test_it_holds_within_one_period_when_joint_states_stop(bench: Bench) -> None:
    moving(bench)
    bench.stop_joint_states()
    bench.observer.until(bench.state_is(msg.ExecutorState.HOLDING), "holding", 2.0)
    held = len(bench.commands)
    bench.observer.spin(0.3)
    assert "joint states" in bench.states[-1].reason
    assert len(bench.commands) > held + 5
    assert len(set(bench.pan()[held:])) == 1


def test_it_holds_when_chunks_stop_and_goes_on_when_they_return(bench: Bench) -> None:
    moving(bench)
    bench.observer.until(bench.state_is(msg.ExecutorState.HOLDING), "holding after the last action", 4.0)
    assert bench.states[-1].starved_periods > 0
    held = len(bench.commands)
    bench.observer.spin(0.3)
    assert len(bench.commands) > held + 5 and len(set(bench.pan()[held:])) == 1
    bench.send(np.tile(bench.pose, (60, 1)))
    bench.observer.until(bench.state_is(msg.ExecutorState.ARMED), "armed again")
    bench.observer.until(lambda: abs(bench.pan()[-1]) < 1e-6, "the new chunk's pose")
    assert np.abs(np.diff(bench.pan())).max() <= MAX_STEP_RAD + 1e-9


def nan_chunk(bench: Bench) -> dict[str, Any]:
    positions = np.tile(bench.pose, (60, 1))
    positions[30, 2] = math.nan
    return {"positions": positions}


BAD_CHUNKS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "not_finite": nan_chunk,
    "wrong_joints": lambda b: {"positions": np.zeros((60, 5)), "joint_names": b.robot.joint_names[:5]},
    "wrong_width": lambda b: {"positions": np.zeros((59, 5))},
    "wrong_task": lambda b: {"task": "wave"},
    "expired": lambda b: {"age_s": 5.0},
    "from_the_future": lambda b: {"age_s": -1.0},
}


@pytest.mark.parametrize("reason", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_whole_with_its_reason(bench: Bench, reason: str) -> None:
    bench.say()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send(**BAD_CHUNKS[reason](bench))
    bench.observer.until(lambda: bench.rejected().get(reason) == 1, f"the refusal as {reason}")
    bench.observer.spin(0.2)
    assert np.abs(np.array([command.position for command in bench.commands]) - bench.pose).max() < 1e-9


def test_a_duplicate_chunk_is_refused_and_motion_goes_on(bench: Bench) -> None:
    moving(bench)
    stamp_ns = bench.observer.now_ns() - 100_000_000
    bench.send(observation_stamp_ns=stamp_ns)
    bench.send(observation_stamp_ns=stamp_ns)
    bench.observer.until(lambda: sum(bench.rejected().values()) == 1, "the duplicate's refusal")
    assert bench.states[-1].state == msg.ExecutorState.ARMED


def test_an_impossible_target_is_reached_in_steps_and_inside_the_limits(bench: Bench) -> None:
    bench.say()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send(np.tile(bench.pose + 100.0, (60, 1)))
    bench.observer.until(lambda: bench.pan() and bench.pan()[-1] > 0.5, "the arm to move")
    positions = np.array([command.position for command in bench.commands])
    assert np.abs(np.diff(positions, axis=0)).max() <= MAX_STEP_RAD + 1e-9
    assert (positions <= bench.robot.upper_rad + 1e-9).all()
    bench.observer.until(lambda: sum(bench.states[-1].clamps) > 0, "counted clamps")


def test_a_new_task_stops_the_old_motion_at_once(bench: Bench) -> None:
    moving(bench)
    latched = bench.observer.collect(topics.ACTIVE_TASK)
    bench.say("wave")
    commanded = bench.pan()[-1]
    bench.observer.until(lambda: bench.requests[-1].task == "wave", "a request for the new task")
    assert bench.requests[-1].reason == msg.ChunkRequest.TASK_CHANGE
    bench.observer.spin(0.2)
    assert abs(bench.pan()[-1] - commanded) <= MAX_STEP_RAD
    bench.observer.until(lambda: latched and latched[-1].data == "wave", "the latched active task")


def test_stop_latches_until_reset(bench: Bench) -> None:
    moving(bench)
    assert bench.observer.call(Trigger, "executor/stop", Trigger.Request()).success
    bench.observer.until(bench.state_is(msg.ExecutorState.STOPPED), "the stop")
    sent = len(bench.commands)
    bench.observer.spin(0.2)
    assert len(bench.commands) == sent
    refused = bench.observer.call(SetBool, "executor/arm", SetBool.Request(data=True))
    assert not refused.success and "reset" in refused.message
    assert bench.observer.call(Trigger, "executor/reset", Trigger.Request()).success
    assert bench.observer.call(SetBool, "executor/arm", SetBool.Request(data=True)).success


def test_fusion_changes_while_running_and_nonsense_is_refused(bench: Bench) -> None:
    def change(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return bench.observer.call(SetParameters, "executor/set_parameters", request).results[0]

    assert change("fusion", "replace").successful
    refused = change("fusion", "magic")
    assert not refused.successful and "magic" in refused.reason and "linear_blend" in refused.reason
    fixed = change("rate_hz", 50.0)
    assert not fixed.successful and "deactivate" in fixed.reason


def test_it_is_disarmed_unless_told_otherwise(observer: Any, start: Any) -> None:
    start("nodes.executor_node", robot=ROBOT_FILE)
    bench = Bench(observer)
    bench.connect()
    bench.say()
    bench.observer.spin(0.5)
    assert bench.states[-1].state == msg.ExecutorState.DISARMED
    assert not bench.commands and not bench.requests


def test_shadow_plans_and_sends_nothing(observer: Any, start: Any) -> None:
    start("nodes.executor_node", robot=ROBOT_FILE, mode="shadow")
    bench = Bench(observer)
    bench.connect()
    bench.say()
    bench.observer.until(lambda: bench.requests, "a chunk request")
    bench.send()
    bench.observer.until(lambda: bench.states[-1].queue_length > 0, "a plan")
    bench.observer.spin(0.3)
    assert bench.states[-1].state == msg.ExecutorState.SHADOW
    assert not bench.commands


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"robot": "absent.yaml"}, "absent.yaml"),
        ({"robot": ""}, "parameter `robot` is empty"),
        ({"robot": ROBOT_FILE, "fusion": "magic"}, "magic"),
        ({"robot": ROBOT_FILE, "rate_hz": 1e6}, "rate_hz"),
    ],
)
def test_a_bad_parameter_ends_the_start_with_one_message(
    start: Any, parameters: dict[str, Any], message: str
) -> None:
    program = start("nodes.executor_node", **parameters)
    assert program.wait() == 1
    assert message in program.output and "Traceback" not in program.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_motion_disarms_and_ends_it(observer: Any, start: Any, number: int) -> None:
    program = start("nodes.executor_node", robot=ROBOT_FILE, mode="armed")
    bench = Bench(observer)
    bench.connect()
    moving(bench)
    assert program.stop(number) == 0
    assert "Traceback" not in program.output
    bench.observer.until(bench.state_is(msg.ExecutorState.DISARMED), "the last state")
