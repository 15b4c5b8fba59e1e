# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`play_dataset` publishes an episode of a LeRobot dataset, and the arm repeats its actions."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes import topics
from smolvla_ros.wire import frame_from_msg, header_stamp_ns, joints_from_msg

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROBOT
from ..sample_bags import conversion, record, run
from .conftest import EVERY_ONE, measured_rad

TASK = "Pick up the red cube"


@pytest.fixture
def dataset(tmp_path: Path) -> LeRobotDataset:
    """One episode of 2 s at 30 fps."""
    bag = record(tmp_path / "bag", seconds=2.0, task=TASK)
    return run(conversion([bag], tmp_path / "dataset"))


def play(start: Any, dataset: LeRobotDataset, *arguments: str) -> Any:
    return start("tools.play_dataset", str(dataset.root), "--calibration", CALIBRATION_FILE, *arguments)


def in_rad(values: np.ndarray) -> np.ndarray:
    units = ROBOT.units(CALIBRATION)
    return np.stack([unit.lerobot_to_rad(values[:, i]) for i, unit in enumerate(units)], axis=1)


def test_observations_are_published_at_their_own_pace(
    observer: Any, start: Any, dataset: LeRobotDataset
) -> None:
    states = observer.collect(topics.JOINT_STATES, qos=EVERY_ONE)
    tasks = observer.collect(topics.TASK)
    images = {
        name: observer.collect(topics.IMAGE_COMPRESSED, f"{name}/image_raw/compressed", EVERY_ONE)
        for name in ("top", "wrist")
    }
    player = play(start, dataset)
    frames = dataset.frames(0)
    observer.until(
        lambda: min(map(len, (states, *images.values()))) == len(frames.state), "all messages of the episode"
    )
    assert player.wait() == 0 and f"{len(frames.state)} frames at 30 fps" in player.output
    joints = [joints_from_msg(state, ROBOT.joint_names) for state in states]
    assert np.array([j.positions_rad for j in joints]) == pytest.approx(in_rad(frames.state), abs=1e-6)
    stamps = np.array([j.stamp_ns for j in joints])
    assert np.abs(stamps - stamps[0] - np.arange(len(stamps)) * 10**9 // 30).max() <= 1
    assert [task.data for task in tasks] == [TASK]
    for name, key in (("top", "camera1"), ("wrist", "camera2")):
        assert len(images[name]) == len(stamps)
        sent = {stamp: image for stamp, image in zip(stamps, dataset.images(0, key), strict=True)}
        for message in images[name][::10]:
            image = frame_from_msg(message, name).image
            assert np.abs(image.astype(int) - sent[header_stamp_ns(message)]).max() <= 4


def test_the_arm_repeats_the_actions(
    observer: Any, start: Any, emulated_arm: Any, dataset: LeRobotDataset
) -> None:
    states, measured = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.JOINT_STATES)
    start("nodes.arm_node", port=emulated_arm[0])
    start("nodes.executor_node")
    observer.until(lambda: states and measured, "arm and executor")
    refused = play(start, dataset, "--actions")
    assert refused.wait() == 1
    assert "the executor follows nothing" in refused.output and "/executor/arm" in refused.output
    assert observer.switch("executor/arm", True).success
    actions = in_rad(dataset.frames(0).action)
    for _ in range(3):  # on a busy computer the executor may hold the arm, and it is played again
        player = play(start, dataset, "--actions")
        observer.until(lambda: not player.running, "the end of the episode", 30.0)  # noqa: B023
        if player.wait() == 0:
            break
        assert "the arm has left out a part of the episode" in player.output
    assert "actions at 30 fps" in player.output
    observer.until(lambda: states[-1].state == msg.ExecutorState.HOLDING, "the arm to hold again")
    observer.spin(0.5)
    assert states[-1].chunks_accepted >= 3 and states[-1].task == TASK
    arrived = measured_rad(measured)
    assert arrived == pytest.approx(actions[-1], abs=0.03)


def test_it_refuses_to_play_while_an_arm_node_runs(
    observer: Any, start: Any, emulated_arm: Any, dataset: LeRobotDataset
) -> None:
    measured = observer.collect(topics.JOINT_STATES)
    start("nodes.arm_node", port=emulated_arm[0])
    observer.until(lambda: measured, "the arm")
    player = play(start, dataset)
    assert player.wait() == 1
    assert "another node publishes on /joint_states" in player.output and "--actions" in player.output


def test_it_says_when_the_executor_left_out_a_part_of_the_episode(
    observer: Any, start: Any, emulated_arm: Any, dataset: LeRobotDataset
) -> None:
    states, measured = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.JOINT_STATES)
    start("nodes.arm_node", port=emulated_arm[0])
    executor = start("nodes.executor_node")
    observer.until(lambda: states and measured, "arm and executor")
    assert observer.switch("executor/arm", True).success
    player = play(start, dataset, "--actions")
    observer.until(lambda: states[-1].state == msg.ExecutorState.ARMED, "the arm to follow")
    os.kill(executor.pid, signal.SIGSTOP)
    time.sleep(0.7)
    os.kill(executor.pid, signal.SIGCONT)
    observer.until(lambda: not player.running, "the end of the episode", 30.0)
    assert player.wait() == 1
    assert "the arm has left out a part of the episode: " in player.output
