# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo has to do, and the ROS environment variables that it needs."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from smolvla_ros.policy.policy_config import WITHOUT_CHECKPOINT
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT
from smolvla_ros.suite import programs
from smolvla_ros.suite.options import FEW_IMAGES_HZ, SuiteError, SuiteOptions
from smolvla_ros.suite.ros_domain import reserve_domain_id

TASK = "pick up the red cube"  # of a real arm
EXPERT = "expert"  # does tasks in the simulated world without a checkpoint


class DemoError(RuntimeError):
    """The demo cannot continue; the message says why."""


@dataclass(frozen=True)
class DemoPlan:
    """The suite to start, for how long, and the folder for results."""

    options: SuiteOptions
    robot: RobotSpec
    cameras: tuple[str, ...]
    task: str  # empty: the world names one after the other
    seconds: float  # 0: until Ctrl-C
    folder: Path
    title: str
    has_consent: bool  # move a real arm without asking


def make_plan(arguments: argparse.Namespace) -> DemoPlan:
    """The plan for command line arguments (tools/demo.py); raises SuiteError."""
    given = {name: getattr(arguments, name) for name in ("port", "calibration", "cameras", "checkpoint")}
    is_real = bool(arguments.port)
    missing = [name for name, value in given.items() if not value]
    if arguments.policy in WITHOUT_CHECKPOINT and "checkpoint" in missing:
        missing.remove("checkpoint")
    if is_real and missing:
        raise SuiteError(
            f"a real arm needs {', '.join(name.upper() + '=' for name in missing)} in addition to PORT="
        )
    folder = arguments.out.resolve()
    checkpoint = given["checkpoint"] or ("" if arguments.policy in WITHOUT_CHECKPOINT else CHECKPOINT)
    options = SuiteOptions.from_text(
        {
            **given,
            "sim": str(not is_real),
            "port": arguments.port or str(folder / "arm"),
            "checkpoint": checkpoint,
            "robot": arguments.robot,
            "policy": arguments.policy,
            "policy_cameras": arguments.policy_cameras,
            "units": arguments.units,
            "device": arguments.device,
            "mode": "shadow" if is_real else "",
            "console": "true",
            "params_file": arguments.params_file,
            "seed": str(arguments.seed),
            "camera_rate_hz": str(0.0 if is_real else FEW_IMAGES_HZ),
        }
    )
    robot = programs.load_robot(options)
    if options.camera_rate_hz:
        robot = robot.with_cameras(rate_hz=options.camera_rate_hz)
    title = f"smolvla_ros demo: {arguments.port or 'simulated world'}, "
    title += (
        "a scripted expert, no policy"
        if arguments.policy == EXPERT
        else f"policy {checkpoint or arguments.policy}"
    )
    return DemoPlan(
        options=options,
        robot=robot,
        cameras=tuple(camera.name for camera in programs.selected_cameras(options, robot)),
        task=arguments.task or (TASK if is_real else ""),
        seconds=arguments.seconds,
        folder=folder,
        title=title,
        has_consent=arguments.yes,
    )


def set_environment(folder: Path) -> None:
    """Set ROS environment variables that are not set: a folder for logs, and an unused domain."""
    os.environ.setdefault("ROS_LOG_DIR", str(folder / "logs" / "ros"))
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
