# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the policy node, and the policy that they name: loaded, and matched with the robot."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from smolvla_ros.policy.policy import Policy, PolicyError
from smolvla_ros.policy.preflight.pose import DEFAULT_MAX_SIGMA
from smolvla_ros.policy.preflight.preflight import Expectations, RobotSetup, preflight
from smolvla_ros.policy.preflight.unit_evidence import CONFIRMABLE, with_units
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import check_settings, setting
from smolvla_ros.units import load_calibration


@dataclass(frozen=True)
class PolicyConfig:
    """Parameters of the policy node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, cameras, rate and units")
    policy: str = setting("smolvla", "which policy answers", choices=("smolvla", "scripted"), reloads=True)
    checkpoint: str = setting(
        "",
        "SmolVLA checkpoint: a LeRobot folder (pretrained_model) or a hub id; set while the node runs, it is loaded "
        "and takes over",
        reloads=True,
    )
    revision: str = setting("", "revision of a hub id; empty takes its newest", reloads=True)
    backbone: str = setting(
        "", "folder with the VLM's config and tokenizer; empty takes what the checkpoint names", reloads=True
    )
    dataset: str = setting(
        "", "whose statistics to take, of a checkpoint that has those of several datasets", reloads=True
    )
    stats: str = setting(
        "", "meta/stats.json of the training dataset, for statistics that the checkpoint lacks", reloads=True
    )
    normalization: str = setting(
        "checkpoint",
        "identity if the policy was trained on values that were not normalised",
        choices=("checkpoint", "identity"),
        reloads=True,
    )
    device: str = setting("auto", "torch device: auto, cpu, cuda, cuda:1, mps ...", reloads=True)
    dtype: str = setting(
        "auto",
        "number format of the model",
        choices=("auto", "float32", "bfloat16", "int8", "native"),
        reloads=True,
    )
    compile: str = setting(
        "auto",
        "whether torch.compile prepares the model, which takes minutes; auto: on CUDA",
        choices=("auto", "on", "off"),
        reloads=True,
    )
    threads: int = setting(0, "CPU threads of the model; 0 leaves it to torch", minimum=0, maximum=256)
    niceness: int = setting(
        10, "how far inference steps back for the other nodes when cores are short", minimum=0, maximum=19
    )
    calibration: str = setting(
        "",
        "LeRobot calibration JSON of the arm, for the gripper's 0..100 and joints in -100..100",
        reloads=True,
    )
    cameras: tuple[str, ...] = setting(
        (), "robot cameras to use; empty: one for each image of the checkpoint", reloads=True
    )
    units: str = setting(
        "",
        "what the checkpoint's arm joints are in, confirmed by you; empty: as the robot file says, unless the "
        "checkpoint's statistics contradict",
        choices=("", *CONFIRMABLE),
        reloads=True,
    )
    max_pose_sigma: float = setting(
        DEFAULT_MAX_SIGMA,
        "no chunk is begun from a pose further than this from those the policy was trained on, in standard deviations; "
        "0: from any",
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    image_transport: str = setting("compressed", "which image topic to read", choices=("compressed", "raw"))
    sync_slop_s: float = setting(
        0.05, "largest distance of images and joint states taken together (s)", minimum=0.001, maximum=1.0
    )
    max_observation_age_s: float = setting(
        0.5, "older images or joint states are not acted on (s)", minimum=0.01, maximum=60.0, live=True
    )
    chunk_rate_hz: float = setting(
        0.0,
        "chunks published without a request, for the task heard last (Hz); 0: only on request",
        minimum=0.0,
        maximum=100.0,
    )
    rtc: bool = setting(
        False,
        "real-time chunking: a new chunk goes on from what is executed while it is inferred; the executor's `fusion` "
        "is best set to replace then",
        live=True,
    )
    rtc_execution_horizon: int = setting(
        10, "actions of a chunk that are drawn to the present plan", minimum=1, maximum=1000, live=True
    )
    rtc_schedule: str = setting(
        "exp", "how that wears off after the delay", choices=("zeros", "ones", "linear", "exp"), live=True
    )
    rtc_max_guidance_weight: float = setting(
        10.0, "bound of the force that draws them", minimum=0.0, maximum=100.0, live=True
    )
    latency_s: float = setting(
        0.0, "scripted policy only: pretended inference time (s)", minimum=0.0, maximum=10.0
    )

    def __post_init__(self) -> None:
        check_settings(self)


def load_policy(config: PolicyConfig, robot: RobotSpec, logger: Any) -> Policy:
    """The policy that `config` names, for `robot`; raises PolicyError (or what the files raise) if it must not run."""
    if config.policy == "scripted":
        return ScriptedPolicy(robot, config.cameras or tuple(c.name for c in robot.cameras))
    if not config.checkpoint:
        raise PolicyError("parameter `checkpoint` is empty; give a LeRobot checkpoint folder or a hub id")
    if config.threads:  # read by torch when it is first imported, which is below
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
    from smolvla_ros.policy import SmolVLA  # here: a scripted policy runs where torch is not installed
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

    started = time.monotonic()
    logger.info(f"loading checkpoint '{config.checkpoint}'")
    choices: dict[str, Any] = {
        "backbone": config.backbone or None,
        "revision": config.revision or None,
        "dataset": config.dataset or None,
        "stats": config.stats or None,
        "normalization": None if config.normalization == "checkpoint" else config.normalization,
    }
    calibration = load_calibration(config.calibration) if config.calibration else None
    expected = Expectations.of(CheckpointSpec.load(config.checkpoint, **choices))
    _check(expected, RobotSetup(robot, calibration, config.cameras, config.units), logger)
    model = SmolVLA.from_pretrained(
        config.checkpoint,
        config.device,
        config.dtype,
        compiles=None if config.compile == "auto" else config.compile == "on",
        **choices,
    )
    robot = with_units(robot, config.units)
    policy = RobotPolicy(model, robot, calibration, config.cameras, expected.state.values)
    logger.info(f"'{policy.name}' is loaded and computes its first chunk, which may take a while")
    model.warm_up(policy.image_keys)
    cameras = ", ".join(policy.cameras)
    logger.info(f"'{policy.name}' ready after {time.monotonic() - started:.1f} s, cameras: {cameras}")
    left_out = len(model.image_keys) - len(policy.cameras)
    if left_out:
        logger.warning(f"{left_out} of the checkpoint's {len(model.image_keys)} cameras are not used")
    return policy


def _check(expected: Expectations, setup: RobotSetup, logger: Any) -> None:
    """Log what preflight warns of; raises PolicyError with what it finds if the policy must not run."""
    report = preflight(expected, setup)
    for finding in report.findings:
        if finding.severity == "warning":
            logger.warning(f"{finding.check}: {finding}")
    if report.errors:
        found = "; ".join(f"{finding.check}: {finding}" for finding in report.errors)
        raise PolicyError(f"checkpoint '{expected.name}' does not fit this robot: {found}")
