# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo has to do, and its preparations: an untrained checkpoint and ROS environment variables."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from smolvla_ros.policy.policy_config import WITHOUT_CHECKPOINT
from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite import programs
from smolvla_ros.suite.options import SuiteError, SuiteOptions
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
    makes_checkpoint: bool  # an untrained one
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
    policy = arguments.policy or ("" if given["checkpoint"] else EXPERT)
    makes_checkpoint = not (given["checkpoint"] or policy in WITHOUT_CHECKPOINT)
    options = SuiteOptions.from_text(
        {
            **given,
            "sim": str(not is_real),
            "port": arguments.port or str(folder / "arm"),
            "checkpoint": str(folder / "checkpoint") if makes_checkpoint else given["checkpoint"],
            "robot": arguments.robot,
            "policy": policy,
            "policy_cameras": arguments.policy_cameras,
            # the demo's checkpoint is small, and moves most smoothly in float32
            "dtype": "" if given["checkpoint"] else "float32",
            "units": arguments.units or ("" if given["checkpoint"] else "degrees"),
            "device": arguments.device,
            "mode": "shadow" if is_real else "",
            "params_file": arguments.params_file,
            "seed": str(arguments.seed),
        }
    )
    robot = programs.load_robot(options)
    who = "made for the demo, NOT A TRAINED POLICY" if makes_checkpoint else given["checkpoint"] or policy
    title = f"smolvla_ros demo: {arguments.port or 'simulated world'}, "
    title += "a scripted expert, no policy" if policy == EXPERT else f"policy {who}"
    return DemoPlan(
        options=options,
        robot=robot,
        cameras=tuple(camera.name for camera in programs.selected_cameras(options, robot)),
        task=arguments.task or (TASK if is_real else ""),
        seconds=arguments.seconds,
        folder=folder,
        makes_checkpoint=makes_checkpoint,
        title=title,
        has_consent=arguments.yes,
    )


def ensure_demo_checkpoint(folder: Path) -> None:
    """Make the demo's checkpoint unless the folder has one, newer than the code. Raises DemoError."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("checkpoint", "checkpoint_files")]
    weights = folder / "model.safetensors"
    newest_s = max(source.stat().st_mtime for source in sources)
    if weights.is_file() and weights.stat().st_mtime >= newest_s:
        return
    print(f"making a checkpoint in {folder} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "smolvla_ros.tools.demo_checkpoint", str(folder)], check=False
    )
    if done.returncode:
        raise DemoError(f"the checkpoint could not be made (exit code {done.returncode})")


def set_environment(folder: Path) -> None:
    """Set ROS environment variables that are not set: discovery on this machine only, and an unused domain."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_LOG_DIR", str(folder / "logs" / "ros"))
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
