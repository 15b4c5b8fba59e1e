# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole data loop: instructed tasks recorded in the simulated world, converted, checked, and opened in LeRobot.

LeRobot comes from `make lerobot`, or from the Python named by LEROBOT_PYTHON; without it that step is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from convert import ROOT
from lerobot_opens import CONTENDER, ffmpeg_environment

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

CALIBRATION = str(ROOT / "config" / "emulated_calibration.json")
DECODED = 40
TASKS = ROOT / "test" / "bench" / "instructed_tasks.py"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--cameras", default="", help="such as top=rendered (default: top and wrist)")
    parser.add_argument("--output", type=Path, help="keep episodes and dataset in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.output or Path(temporary)).resolve()
        episodes, data = str(folder / "episodes"), str(folder / "dataset")
        step(
            "record",
            str(TASKS),
            "--tasks",
            str(options.tasks),
            "--output",
            episodes,
            "--cameras",
            options.cameras,
        )
        tool = ["-m", "smolvla_ros.tools.bag_to_lerobot", episodes, "--output", data]
        step("convert", *tool, "--outcome", "success", "--calibration", CALIBRATION)
        step("check", "-m", "smolvla_ros.tools.check_dataset", data, "--calibration", CALIBRATION)
        python = Path(os.environ.get("LEROBOT_PYTHON", ROOT / "build" / "lerobot" / "bin" / "python"))
        if not python.exists():
            print(f"no LeRobot at {python}: make lerobot, or LEROBOT_PYTHON=...")
            return 0
        return open_in_lerobot(python, folder / "dataset", Path(temporary))


def step(name: str, *arguments: str) -> None:
    """Run a Python program of the loop; raises CalledProcessError when it fails."""
    started_s = time.monotonic()
    print(f"--- {name}", flush=True)
    subprocess.run([sys.executable, *arguments], check=True)
    print(f"{name}: {time.monotonic() - started_s:.0f} s", flush=True)


def open_in_lerobot(python: Path, data: Path, folder: Path) -> int:
    """Read every frame with LeRobot, and some images; prints which parts are equal and returns 0 if all are."""
    (folder / "ffmpeg").mkdir()
    environment = ffmpeg_environment(python, folder / "ffmpeg")
    environment.pop("PYTHONPATH", None)
    command = [python, CONTENDER, data, folder / "seen.npz", str(DECODED)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr)
        return 1
    report, seen = json.loads(done.stdout.splitlines()[-1]), dict(np.load(folder / "seen.npz"))
    dataset = LeRobotDataset.load(data)
    episodes = [dataset.frames(index) for index in range(len(dataset.episodes))]
    equal = {
        "tasks": report["tasks"] == [task for episode in episodes for task in episode.tasks],
        "state": np.array_equal(seen["observation.state"], np.concatenate([e.state for e in episodes])),
        "action": np.array_equal(seen["action"], np.concatenate([e.action for e in episodes])),
    }
    images = (
        f"and decodes {DECODED} of its images" if report["images"] else "without images (no torchcodec there)"
    )
    print(f"LeRobot reads {len(episodes)} episodes, {report['frames']} frames, {images}")
    for name, is_equal in equal.items():
        print(f"{name}: {'equal' if is_equal else 'DIFFERENT'}")
    return 0 if all(equal.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
