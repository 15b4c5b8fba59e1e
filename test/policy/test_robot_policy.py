# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint on a robot: conversion of names and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from smolvla_ros.observation import example_observation
from smolvla_ros.policy.policy import Continuation, PolicyError
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.robot import RobotSpecError

from ..package_files import CALIBRATION, ROBOT


class EchoModel:
    """Returns the given state as every action, and keeps its inputs."""

    name = "echo"

    def __init__(self, image_keys: tuple[str, ...] = ("camera1", "camera2"), width: int = 6) -> None:
        self.image_keys = image_keys
        self.state_dim = self.action_dim = width
        self.images: Mapping[str, Any] = {}
        self.state: Any = None
        self.guidance: Mapping[str, Any] = {}
        self.resets = 0

    def predict_chunk(self, images: Mapping[str, Any], state: Any, task: str, **guidance: Any) -> Any:
        self.images, self.state, self.guidance = images, state, guidance
        return np.tile(state, (50, 1))

    def reset(self) -> None:
        self.resets += 1


def test_the_middle_pose_is_zero_degrees_and_a_half_open_gripper() -> None:
    model = EchoModel()
    RobotPolicy(model, ROBOT, CALIBRATION).infer(example_observation(ROBOT))
    assert model.state == pytest.approx([0, 0, 0, 0, 0, 50], abs=1e-4)


def test_units_there_and_back_are_the_same_pose() -> None:
    observation = example_observation(ROBOT)
    observation.joints.positions_rad[:] += [0.3, -0.4, 0.5, -0.2, 0.7, 0.4]
    positions = RobotPolicy(EchoModel(), ROBOT, CALIBRATION).infer(observation)
    assert positions.shape == (50, 6)
    assert positions == pytest.approx(np.tile(observation.joints.positions_rad, (50, 1)), abs=1e-6)


def test_a_quarter_turn_of_the_pan_is_ninety_degrees_the_way_lerobot_counts() -> None:
    model = EchoModel()
    observation = example_observation(ROBOT)
    observation.joints.positions_rad[0] += np.pi / 2  # to the left; LeRobot counts to the right
    RobotPolicy(model, ROBOT, CALIBRATION).infer(observation)
    assert model.state[0] == pytest.approx(-90 * 4096 / 4095, abs=1e-4)


def test_a_policy_of_the_older_calibration_sees_and_moves_the_arm_in_its_degrees() -> None:
    model, observation = EchoModel(), example_observation(ROBOT)
    robot = with_units(ROBOT, "degrees_old_calibration")
    positions = RobotPolicy(model, robot, CALIBRATION).infer(observation)
    assert model.state == pytest.approx([0, 90, 90, 0, 0, 50], abs=1e-4)  # the same upright pose in its units
    assert positions == pytest.approx(np.tile(observation.joints.positions_rad, (50, 1)), abs=1e-6)


def test_what_a_chunk_continues_goes_in_in_the_checkpoints_units() -> None:
    model, observation = EchoModel(), example_observation(ROBOT)
    policy = RobotPolicy(model, ROBOT, CALIBRATION)
    policy.infer(observation)
    assert not model.guidance
    rows = np.tile(observation.joints.positions_rad, (3, 1))
    rows[1, 0] += np.pi / 2
    policy.infer(observation, Continuation(rows, 2, 8, "linear", 5.0))
    expected = np.tile([0, 0, 0, 0, 0, 50], (3, 1)).astype(float)
    expected[1, 0] = -90 * 4096 / 4095
    assert model.guidance["prefix"] == pytest.approx(expected, abs=1e-4)
    assert model.guidance["prefix"].dtype == np.float32
    assert list(model.guidance.values())[1:] == [2, 8, "linear", 5.0]
    policy.infer(observation, Continuation(np.zeros((0, 6)), 2))
    assert model.guidance["prefix"].shape == (0, 6)


def test_a_reset_reaches_the_checkpoint() -> None:
    model = EchoModel()
    RobotPolicy(model, ROBOT, CALIBRATION).reset()
    assert model.resets == 1


def test_images_go_in_under_the_checkpoints_names_and_in_its_order() -> None:
    model = EchoModel(("camera2", "camera1"))
    policy = RobotPolicy(model, ROBOT, CALIBRATION)
    observation = example_observation(ROBOT)
    policy.infer(observation)
    assert policy.cameras == ("wrist", "top")
    assert list(model.images) == ["camera2", "camera1"]
    assert model.images["camera1"] is observation.frames["top"].image


def test_fewer_cameras_than_the_checkpoint_has_must_be_asked_for() -> None:
    model = EchoModel(("camera1", "camera2", "camera3"))
    assert RobotPolicy(model, ROBOT, CALIBRATION, ["top"]).cameras == ("top",)
    with pytest.raises(PolicyError, match="Without a partner: laptop"):
        RobotPolicy(EchoModel(("camera1", "laptop")), ROBOT, CALIBRATION)


def test_a_camera_that_the_checkpoint_does_not_know_is_refused() -> None:
    with pytest.raises(PolicyError, match="Without a partner: camera3"):
        RobotPolicy(EchoModel(), ROBOT, CALIBRATION, ["top", "side"])
    with pytest.raises(RobotSpecError, match="no camera 'tpo'"):
        RobotPolicy(EchoModel(), ROBOT, CALIBRATION, ["tpo"])


def test_another_number_of_joints_is_refused() -> None:
    with pytest.raises(PolicyError, match="7 state and 7 action values, robot 'so100' has 6 joints"):
        RobotPolicy(EchoModel(width=7), ROBOT, CALIBRATION)


def test_a_gripper_in_percent_needs_the_calibration() -> None:
    with pytest.raises(PolicyError, match="gripper.*calibration"):
        RobotPolicy(EchoModel(), ROBOT)


def test_scripted_chunks_of_different_moments_agree_where_they_overlap() -> None:
    policy = ScriptedPolicy(ROBOT, amplitude_rad=0.2, period_s=4.0)
    step_ns = round(1e9 / ROBOT.rate_hz)
    early = policy.infer(example_observation(ROBOT, stamp_ns=10**18))
    late = policy.infer(example_observation(ROBOT, stamp_ns=10**18 + 20 * step_ns))
    assert late[:30] == pytest.approx(early[20:], abs=1e-6)
    assert np.ptp(early, axis=0).max() > 0.2
