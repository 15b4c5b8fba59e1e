# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loads the policy that the parameters name, and checks that it fits the robot."""

from __future__ import annotations

import os
import time
from typing import Any

from smolvla_ros.policy.policy import Policy, PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations, RobotSetup, preflight
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import load_calibration


def load_policy(config: PolicyConfig, robot: RobotSpec, logger: Any) -> Policy:
    """The policy that `config` names, for `robot`; raises PolicyError, or an error of its files."""
    if config.policy == "scripted":
        return ScriptedPolicy(robot, config.cameras or tuple(c.name for c in robot.cameras))
    if config.policy == "expert":
        return _expert(robot)
    if not config.checkpoint:
        raise PolicyError("parameter `checkpoint` is empty; give a LeRobot checkpoint folder or a hub id")
    if config.threads:  # read by torch when it is first imported, which is below
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
    from smolvla_ros.policy import SmolVLA  # imported here, because a scripted policy needs no torch
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

    started = time.monotonic()
    logger.info(f"loading checkpoint '{config.checkpoint}'")
    options = config.checkpoint_options()
    calibration = load_calibration(config.calibration) if config.calibration else None
    expected = Expectations.of(CheckpointSpec.load(config.checkpoint, **options))
    _check(expected, RobotSetup(robot, calibration, config.cameras, config.units), logger)
    model = SmolVLA.from_pretrained(
        config.checkpoint,
        config.device,
        config.dtype,
        compiles=None if config.compile == "auto" else config.compile == "on",
        **options,
    )
    model.noise_scale = config.noise_scale
    robot = with_units(robot, config.units)
    rate_hz = expected.action_rate_hz(robot)
    policy = RobotPolicy(model, robot, calibration, config.cameras, expected.state.values, rate_hz)
    logger.info(f"'{policy.name}' is loaded and infers its first chunk, which may take a while")
    model.warm_up(policy.image_keys)
    cameras = ", ".join(policy.cameras)
    logger.info(f"'{policy.name}' ready after {time.monotonic() - started:.1f} s, cameras: {cameras}")
    left_out = len(model.image_keys) - len(policy.cameras)
    if left_out:
        logger.warning(f"{left_out} of the checkpoint's {len(model.image_keys)} cameras are not used")
    return policy


def _expert(robot: RobotSpec) -> Policy:
    try:
        from smolvla_ros.simulation.expert_policy import ExpertPolicy  # here: it needs MuJoCo
    except ModuleNotFoundError as error:
        raise PolicyError(f"policy expert: {error}; install it: pip install mujoco") from error
    return ExpertPolicy(robot)


def _check(expected: Expectations, setup: RobotSetup, logger: Any) -> None:
    """Log the warnings of preflight; raises PolicyError with its errors."""
    report = preflight(expected, setup)
    for finding in report.findings:
        if finding.severity == "warning":
            logger.warning(f"{finding.check}: {finding}")
    if report.errors:
        found = "; ".join(f"{finding.check}: {finding}" for finding in report.errors)
        raise PolicyError(f"checkpoint '{expected.name}' does not fit this robot: {found}")
