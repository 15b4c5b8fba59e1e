# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo is asked to do, and what it needs before: a checkpoint and ROS settings of its own."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite import programs
from smolvla_ros.suite.command_line import ROBOT, add_options
from smolvla_ros.suite.options import SuiteError, SuiteOptions
from smolvla_ros.suite.ros_domain import reserve_domain_id

TASK = "pick up the red cube"


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class Plan:
    """What to show and where to leave the results."""

    options: SuiteOptions
    robot: RobotSpec
    cameras: tuple[str, ...]
    task: str
    seconds: float  # 0: until Ctrl-C
    folder: Path
    title: str
    has_consent: bool  # the real arm may move without asking


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo",
        description="The whole suite at work, on an emulated arm or yours. Without --port the arm is emulated and its "
        "cameras are rendered; without --checkpoint one is made on the spot, which is not trained.",
    )
    add_options(
        parser, *ROBOT, "port", "cameras", "checkpoint", "policy", "policy_cameras", "device", "params_file"
    )
    parser.add_argument("--task", default=TASK, help="what to tell the policy (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="how long; 0: until Ctrl-C (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the emulated sensors' noise")
    parser.add_argument("--yes", action="store_true", help="a real arm: move it without asking")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for results (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if not 0.0 <= arguments.seconds < float("inf"):
        parser.error(f"--seconds {arguments.seconds}: must be 0 or more")
    return arguments


def make_plan(arguments: argparse.Namespace) -> Plan:
    """What the command line means; raises SuiteError. The checkpoint is made if none is given."""
    given = {name: getattr(arguments, name) for name in ("port", "calibration", "cameras", "checkpoint")}
    is_real = bool(arguments.port)
    missing = [name for name, value in given.items() if not value]
    if arguments.policy == "scripted" and "checkpoint" in missing:
        missing.remove("checkpoint")
    if is_real and missing:
        raise SuiteError(
            f"a real arm needs {', '.join(name.upper() + '=' for name in missing)} too, beside PORT="
        )
    folder = arguments.out.resolve()
    options = SuiteOptions.from_text(
        {
            **given,
            "sim": str(not is_real),
            "port": arguments.port or str(folder / "arm"),
            "checkpoint": given["checkpoint"]
            or ("" if arguments.policy == "scripted" else str(folder / "checkpoint")),
            "robot": arguments.robot,
            "policy": arguments.policy,
            "policy_cameras": arguments.policy_cameras,
            # the made checkpoint is smoothest so, and small enough for any machine
            "dtype": "" if given["checkpoint"] else "float32",
            "units": arguments.units or ("" if given["checkpoint"] else "degrees"),
            "device": arguments.device,
            "mode": "shadow" if is_real else "",
            "params_file": arguments.params_file,
            "seed": str(arguments.seed),
        }
    )
    robot = programs.load_robot(options)
    policy = given["checkpoint"] or arguments.policy or "made on the spot, NOT A TRAINED POLICY"
    return Plan(
        options=options,
        robot=robot,
        cameras=tuple(camera.name for camera in programs.selected_cameras(options, robot)),
        task=arguments.task,
        seconds=arguments.seconds,
        folder=folder,
        title=f"smolvla_ros demo: {arguments.port or 'emulated arm'}, checkpoint {policy}",
        has_consent=arguments.yes,
    )


def make_checkpoint(folder: Path) -> None:
    """The demo's checkpoint, unless it is there, no older than what makes it. Raises DemoError."""
    programs = [Path(__file__).with_name(f"{part}.py") for part in ("checkpoint", "checkpoint_layout")]
    weights = folder / "model.safetensors"
    newest_s = max(program.stat().st_mtime for program in programs)
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
    """ROS for this demo: this machine, a domain of its own; what is set already stays."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_LOG_DIR", str(folder / "logs" / "ros"))
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
