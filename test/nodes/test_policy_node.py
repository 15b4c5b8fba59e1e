# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node answers requests from what the robot sees now, and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.chunk import ChunkRequest, RequestReason
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import chunk_request_msg, compressed_image_msg, joint_state_msg
from smolvla_ros.observation import Frame
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.wire import chunk_from_msg

ROBOT_FILE = "config/so100.yaml"
CAMERAS = ("top", "wrist")


class Robot:
    """Cameras, arm and executor in one: feeds the policy node and asks it for chunks."""

    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self.spec = RobotSpec.load(ROBOT_FILE)
        self.pose = np.array([joint.middle_rad for joint in self.spec.joints])
        self.chunks = observer.collect(topics.ACTION_CHUNK)
        self.lag_s = dict.fromkeys((*CAMERAS, "joints"), 0.0)  # how old each stream says it is
        self.silent: set[str] = set()
        self._images = {
            name: observer.publisher(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed")
            for name in CAMERAS
        }
        self._joint_states = observer.publisher(topics.JOINT_STATES)
        self._requests = observer.publisher(topics.CHUNK_REQUEST)
        self._picture = np.full((48, 64, 3), 90, np.uint8)
        observer.node.create_timer(0.033, self._feed)

    def connect(self) -> None:
        ends = (*self._images.values(), self._joint_states, self._requests)
        self.observer.until(
            lambda: all(end.get_subscription_count() for end in ends), "the policy to listen", 30.0
        )

    def _feed(self) -> None:
        now_ns = self.observer.now_ns()
        stamps = {name: now_ns - round(lag_s * 1e9) for name, lag_s in self.lag_s.items()}
        for name, publisher in self._images.items():
            if name not in self.silent:
                publisher.publish(compressed_image_msg(Frame(name, stamps[name], self._picture), "", 90))
        joints = Joints(stamps["joints"], self.pose, np.zeros(6), np.zeros(6))
        self._joint_states.publish(joint_state_msg(self.spec.joint_names, joints))

    def ask(self, request_id: int = 1, task: str = "pick up the red cube") -> int:
        """Publish a request and return when it was made."""
        now_ns = self.observer.now_ns()
        self._requests.publish(chunk_request_msg(ChunkRequest(now_ns, request_id, task, RequestReason.START)))
        return int(now_ns)


@pytest.fixture
def robot(observer: Any) -> Iterator[Robot]:
    yield Robot(observer)


def scripted(start: Any, **parameters: Any) -> Any:
    return start("nodes.policy_node", robot=ROBOT_FILE, policy="scripted", cameras=CAMERAS, **parameters)


def test_a_request_is_answered_from_the_newest_observation(robot: Robot, start: Any) -> None:
    scripted(start)
    robot.connect()
    robot.observer.spin(0.3)
    asked_ns = robot.ask(request_id=7)
    robot.observer.until(lambda: robot.chunks, "a chunk")
    chunk = chunk_from_msg(robot.chunks[0])
    assert chunk.request_id == 7 and chunk.task == "pick up the red cube"
    assert chunk.joint_names == robot.spec.joint_names and chunk.positions.shape == (50, 6)
    assert abs(chunk.observation_stamp_ns - asked_ns) < 200_000_000
    assert chunk.step_duration_ns == round(1e9 / 30)


def test_the_latest_request_wins_while_the_model_thinks(robot: Robot, start: Any) -> None:
    scripted(start, latency_s=0.5)
    robot.connect()
    robot.observer.spin(0.3)
    for request_id in (1, 2, 3, 4):
        robot.ask(request_id)
        robot.observer.spin(0.05)
    robot.observer.until(
        lambda: robot.chunks and robot.chunks[-1].request_id == 4, "the answer to the last request"
    )
    robot.observer.spin(0.7)
    assert [chunk.request_id for chunk in robot.chunks] == [1, 4]


def test_callbacks_never_wait_for_the_model(robot: Robot, start: Any) -> None:
    scripted(start, latency_s=1.0)
    robot.connect()
    robot.observer.spin(0.3)
    robot.ask(1)
    robot.observer.spin(0.2)
    asked_ns = robot.ask(2)  # answered only after the first, but from what was seen meanwhile
    robot.observer.until(lambda: len(robot.chunks) == 2, "both answers")
    assert chunk_from_msg(robot.chunks[1]).observation_stamp_ns > asked_ns + 500_000_000


@pytest.mark.parametrize(
    ("lags", "message"),
    [
        ({"wrist": 5.0}, "wrist: 5.0. s old, more than max_observation_age_s"),
        ({"top": -2.0, "wrist": -2.0, "joints": -2.0}, "in the future"),
        ({"top": 3.0, "wrist": 3.0, "joints": 3.0}, "3.0. s old, more than max_observation_age_s"),
    ],
)
def test_what_is_not_now_is_not_acted_on(
    robot: Robot, start: Any, lags: dict[str, float], message: str
) -> None:
    program = scripted(start)
    robot.lag_s.update(lags)
    robot.connect()
    robot.ask()
    robot.observer.until(lambda: re.search(message, program.output), f"the log to say '{message}'")
    robot.observer.spin(0.3)
    assert not robot.chunks
    robot.lag_s.update(dict.fromkeys(lags, 0.0))  # the same request is answered once the robot is in order
    robot.observer.until(lambda: robot.chunks, "a chunk after all")


def test_a_missing_camera_is_named(robot: Robot, start: Any) -> None:
    program = scripted(start)
    robot.silent.add("wrist")
    robot.connect()
    robot.ask()
    robot.observer.until(lambda: "nothing has arrived from wrist;" in program.output, "a complaint")
    assert not robot.chunks


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="SmolVLA needs torch")
    from smolvla_ros.tools.demo_checkpoint import main

    folder = tmp_path_factory.mktemp("checkpoint")
    main([str(folder)])
    return folder


def test_smolvla_answers_in_radians_near_the_present_pose(robot: Robot, start: Any, checkpoint: Path) -> None:
    start(
        "nodes.policy_node",
        robot=ROBOT_FILE,
        checkpoint=checkpoint,
        calibration="config/emulated_calibration.json",
        threads=1,
    )
    robot.connect()
    robot.observer.spin(0.3)
    robot.ask()
    robot.observer.until(lambda: robot.chunks, "a chunk", 30.0)
    chunk = chunk_from_msg(robot.chunks[0])
    assert chunk.positions.shape == (50, 6)
    assert np.abs(chunk.positions[0] - robot.pose).max() < 0.5
    assert (chunk.positions > robot.spec.lower_rad - 1).all() and (
        chunk.positions < robot.spec.upper_rad + 1
    ).all()


def test_a_checkpoint_that_does_not_fit_ends_the_start(start: Any, checkpoint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    cases = [
        ({"checkpoint": broken}, "config.json"),
        ({"checkpoint": ""}, "parameter `checkpoint` is empty"),
        ({"checkpoint": checkpoint}, "calibration"),
        ({"checkpoint": checkpoint, "cameras": ["side"]}, "camera3"),
    ]
    programs = [start("nodes.policy_node", robot=ROBOT_FILE, **parameters) for parameters, _ in cases]
    for program, (_, message) in zip(programs, cases, strict=True):
        assert program.wait(60.0) == 1
        assert message in program.output and "Traceback" not in program.output
