# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loads the policy that the parameters name, and checks that it fits the robot."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from smolvla_ros.policy.policy import Policy, PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations, RobotSetup, preflight
from smolvla_ros.policy.preflight.unit_evidence import with_units
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.policy.smolvla.flow_solver import FlowSolver
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import load_calibration

if TYPE_CHECKING:
    from smolvla_ros.policy import SmolVLA
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
    from smolvla_ros.remote.client import RemoteModel

# Settings of a checkpoint and its network, which have no effect with policy:=remote.
OF_SERVER = (
    "revision",
    "backbone",
    "dataset",
    "stats",
    "normalization",
    "device",
    "dtype",
    "compile",
    "solver",
    "num_steps",
    "time_spacing",
)


def load_policy(config: PolicyConfig, robot: RobotSpec, logger: Any) -> Policy:
    """The policy that `config` names, for `robot`; raises PolicyError, or an error of its files."""
    if config.policy == "scripted":
        return ScriptedPolicy(robot, config.cameras or tuple(c.name for c in robot.cameras))
    if config.policy == "expert":
        return _expert(robot)
    calibration = load_calibration(config.calibration) if config.calibration else None
    setup = RobotSetup(robot, calibration, config.cameras, config.units)
    load = _remote if config.policy == "remote" else _checkpoint
    return load(config, setup, logger)


def load_spec(config: PolicyConfig) -> CheckpointSpec:
    """The checkpoint that `config` names, without its weights; raises PolicyError and CheckpointError."""
    if not config.checkpoint:
        raise PolicyError("parameter `checkpoint` is empty; give a LeRobot checkpoint folder or a hub id")
    if config.threads:  # read by torch when it is first imported, which is below
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec  # a scripted policy needs no torch

    return CheckpointSpec.load(config.checkpoint, **config.checkpoint_options())


def load_model(spec: CheckpointSpec, config: PolicyConfig) -> SmolVLA:
    """The weights of a checkpoint of `load_spec`, as `config` says; raises CheckpointError."""
    from smolvla_ros.policy import SmolVLA

    compiles = None if config.compile == "auto" else config.compile == "on"
    model = SmolVLA.from_spec(spec, config.device, config.dtype, compiles)
    num_steps = config.num_steps or model.config.num_steps
    model.network.solver = FlowSolver(num_steps, config.solver, config.time_spacing)
    return model


def _checkpoint(config: PolicyConfig, setup: RobotSetup, logger: Any) -> Policy:
    started = time.monotonic()
    logger.info(f"loading checkpoint '{config.checkpoint}'")
    spec = load_spec(config)
    expected = Expectations.of(spec)
    _check(expected, setup, logger)
    model = load_model(spec, config)
    policy = _on_robot(model, expected, config, setup)
    logger.info(f"'{policy.name}' is loaded and infers its first chunk, which may take a while")
    model.warm_up(policy.image_keys)
    cameras = ", ".join(policy.cameras)
    logger.info(f"'{policy.name}' ready after {time.monotonic() - started:.1f} s, cameras: {cameras}")
    left_out = len(model.image_keys) - len(policy.cameras)
    if left_out:
        logger.warning(f"{left_out} of the checkpoint's {len(model.image_keys)} cameras are not used")
    return policy


def _remote(config: PolicyConfig, setup: RobotSetup, logger: Any) -> Policy:
    try:
        from smolvla_ros.remote.client import RemoteModel  # here: it needs grpcio
        from smolvla_ros.remote.protocol import sent_image
    except ModuleNotFoundError as error:
        raise PolicyError(f"policy remote: {error}; pip install './smolvla_ros[server]'") from error
    servers = [address for text in config.server.split(",") if (address := text.strip())]
    if not servers:
        raise PolicyError("parameter `server` is empty; give host:port of a policy server")
    unused = [name for name in OF_SERVER if getattr(config, name) != getattr(PolicyConfig, name)]
    if unused:
        logger.warning(f"not used here, because the policy server loads the checkpoint: {', '.join(unused)}")
    model = RemoteModel(servers, config.credentials, config.server_timeout_s)
    _check(model.expected, setup, logger)
    policy = _on_robot(model, model.expected, config, setup, image_of=sent_image)
    model.timeout_s = min(
        config.server_timeout_s, model.expected.chunk_size / policy.rate_hz
    )  # later: all past
    logger.info(f"'{policy.name}' on {config.server}, cameras: {', '.join(policy.cameras)}")
    return policy


def _on_robot(
    model: SmolVLA | RemoteModel,
    expected: Expectations,
    config: PolicyConfig,
    setup: RobotSetup,
    **options: Any,
) -> RobotPolicy:
    model.noise_scale = config.noise_scale
    robot = with_units(setup.robot, setup.units)
    statistics, rate_hz = expected.state.values, expected.action_rate_hz(robot)
    return RobotPolicy(model, robot, setup.calibration, setup.cameras, statistics, rate_hz, **options)


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
