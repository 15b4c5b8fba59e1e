# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check that LeRobot 0.4.4 reads the datasets of bag_to_lerobot: all rows and, with torchcodec, all images.

LeRobot comes from `make lerobot`, or from the Python named by LEROBOT_PYTHON. Images need torchcodec there (0.13 with
torch 2.13), which uses the FFmpeg of that environment's PyAV.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from convert import DIFFERENT, FPS, ROBOT, ROOT, pictures, record
from sample_bags import CALIBRATION

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.parallel_conversion import convert

CONTENDER = ROOT / "test" / "bench" / "contenders" / "lerobot_dataset.py"
FFMPEG = ("avutil", "avcodec", "avformat", "avdevice", "avfilter", "swscale", "swresample")
SECONDS = (2.0, 3.0, 1.0)  # durations of the episodes; the last one is appended
MAX_IMAGE_ERROR = 3.0  # mean grey levels; the images have no noise here


def ffmpeg_environment(python: Path, folder: Path) -> dict[str, str]:
    """Environment variables with which torchcodec finds PyAV's FFmpeg, by links with the usual names in `folder`."""
    paths = [str(folder)]
    show = "import av, pathlib; print(pathlib.Path(av.__file__).parents[1] / 'av.libs')"
    libraries = Path(
        subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.strip()
    )
    for name in FFMPEG:
        for library in libraries.glob(f"lib{name}-*.so.*"):
            major = library.name.partition(".so.")[2].partition(".")[0]
            (folder / f"lib{name}.so.{major}").symlink_to(library)
    paths.append(str(libraries))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(paths), "HF_HUB_OFFLINE": "1"}


def main() -> int:
    python = Path(os.environ.get("LEROBOT_PYTHON", ROOT / "build" / "lerobot" / "bin" / "python"))
    if not python.exists():
        print(f"no LeRobot at {python}: make lerobot, or LEROBOT_PYTHON=...")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bags = [folder / f"bag{i}" for i in range(len(SECONDS))]
        for bag, seconds in zip(bags, SECONDS, strict=True):
            record(bag, seconds, noise=0.0)
        for part, append in ((bags[:-1], False), (bags[-1:], True)):
            work = Conversion(tuple(part), folder / "data", ROBOT, AlignmentSettings(FPS), CALIBRATION)
            convert(work, append, jobs=2)
        (folder / "ffmpeg").mkdir()
        environment = ffmpeg_environment(python, folder / "ffmpeg")
        environment.pop("PYTHONPATH", None)
        command = [python, CONTENDER, folder / "data", folder / "seen.npz"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr)
            return 1
        report = json.loads(done.stdout.splitlines()[-1])
        seen = dict(np.load(folder / "seen.npz"))
        dataset = LeRobotDataset.load(folder / "data")
        return compare(dataset, report, seen)


def compare(dataset: LeRobotDataset, report: dict, seen: dict) -> int:
    """Print which parts are equal; returns 0 if all are."""
    episodes = [dataset.frames(i) for i in range(len(dataset.episodes))]
    checks = {
        "frames": report["frames"] == sum(len(e.state) for e in episodes) == dataset.info["total_frames"],
        "tasks": report["tasks"] == [task for e in episodes for task in e.tasks],
        "timestamps": np.abs(seen["timestamp"] - np.concatenate([e.timestamp for e in episodes])).max()
        <= 1e-4,
    }
    for name, key in (("state", "observation.state"), ("action", "action"), ("index", "index")):
        checks[name] = np.array_equal(seen[key], np.concatenate([getattr(e, name) for e in episodes]))
    if report["images"]:
        for camera, key in enumerate(dataset.image_keys):
            made = [
                cv2.cvtColor(cv2.imdecode(np.frombuffer(p, np.uint8), 1), cv2.COLOR_BGR2RGB)
                for p in pictures(camera, noise=0.0)
            ]
            source = [made[k % DIFFERENT] for e in episodes for k in e.frame_index]
            images = seen[f"observation.images.{key}"].transpose(0, 2, 3, 1) * 255.0
            errors, of_others = np.empty(len(images)), np.empty(len(images))
            for k, image in enumerate(images):
                errors[k] = np.abs(image - source[k]).mean()
                near = [source[i] for i in (k - 1, k + 1) if 0 <= i < len(source)]
                of_others[k] = min(np.abs(image - other).mean() for other in near)
            checks[f"images {key}"] = bool((errors < np.minimum(of_others, MAX_IMAGE_ERROR)).all())
            print(
                f"images {key}: at most {errors.max():.2f} grey levels from the recording, and each is at least "
                f"{(of_others - errors).min():.2f} closer to its own image than to the neighbouring ones"
            )
    else:
        print("LeRobot has no torchcodec: images are not compared")
    for name, is_equal in checks.items():
        print(f"{name}: {'equal' if is_equal else 'DIFFERENT'}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
