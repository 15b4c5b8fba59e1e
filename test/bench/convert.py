# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure bag_to_lerobot: cameras of 640x480 at 30 Hz as JPEG, joints and commands at 100 Hz, one bag.

Prints the speed of the command relative to the recording, the most memory of all its processes together (shared pages
counted once), and the time of LeRobot's own writer for the same frames of two cameras if it is installed (`make
lerobot`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.image import encode_jpeg

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "test"))
from sample_bags import CONFIG, ROBOT, START_NS, joint_state, jpeg_image  # noqa: E402

FPS, JOINTS_HZ, SIZE = 30, 100, (480, 640)
NOISE = 4.0  # grey levels, as of a webcam's sensor
CAMERAS = ("top", "wrist", "side")
LOOK_S = 0.1  # between two looks at the memory
DIFFERENT = 60  # images before they repeat, so that the bag is written quickly


def pictures(seed: int, noise: float = NOISE) -> list[bytes]:
    """JPEGs of a blurred scene with a moving object and sensor noise."""
    random = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(random.integers(0, 256, (*SIZE, 3), dtype=np.uint8), (0, 0), 9)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
    made = []
    for k in range(DIFFERENT):
        image = scene.astype(np.float32) + random.normal(0, noise, scene.shape)
        image = np.clip(image, 0, 255).astype(np.uint8)
        cv2.circle(image, (60 + 8 * k, 240), 50, (200, 30, 30), -1)
        made.append(encode_jpeg(image))
    return made


def record(path: Path, seconds: float, noise: float = NOISE, count: int = 2) -> None:
    """Write a bag of `seconds` with `count` cameras."""
    cameras = {camera: pictures(seed, noise) for seed, camera in enumerate(CAMERAS[:count])}
    middle = np.array([joint.middle_rad for joint in ROBOT.joints])
    with BagWriter(path) as bag:
        bag.write("/active_task", bag.message("std_msgs/msg/String", data="Pick up the cube"), START_NS)
        for k in range(int(seconds * FPS)):
            for camera, jpegs in cameras.items():
                stamp = START_NS + k * 10**9 // FPS
                bag.write(
                    f"/{camera}/image_raw/compressed", jpeg_image(bag, stamp, jpegs[k % DIFFERENT]), stamp
                )
        for k in range(int(seconds * JOINTS_HZ)):
            stamp = START_NS + k * 10**9 // JOINTS_HZ
            joints = joint_state(bag, stamp, middle + 0.1 * np.sin(k / JOINTS_HZ))
            for topic in ("/joint_states", "/joint_commands"):
                bag.write(topic, joints, stamp)


def run_measured(command: list[str]) -> tuple[float, float]:
    """The seconds that a command takes, and the most memory of it and its processes together in MB."""
    most = 0
    began = time.monotonic()
    process = subprocess.Popen(command)
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(LOOK_S)
    took_s = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}")
    return took_s, most / 1e6


def memory(pid: int) -> int:
    """Bytes of a process and those that it started; what they share is counted once."""
    total = 0
    try:
        for process in (parent := psutil.Process(pid), *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        pass  # one of them has ended
    return total


def write_with_lerobot(python: Path, folder: Path, seconds: float) -> float:
    """The seconds that LeRobot takes for the same frames."""
    for seed, camera in enumerate(("top", "wrist")):
        (folder / "pictures" / camera).mkdir(parents=True)
        for k, picture in enumerate(pictures(seed)):
            (folder / "pictures" / camera / f"{k:03d}.jpg").write_bytes(picture)
    arguments = [folder / "pictures", folder / "lerobot", str(int(seconds * FPS)), str(FPS)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, ROOT / "test" / "bench" / "contenders" / "lerobot_writer.py", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of the recording; %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; %(default)s")
    parser.add_argument("--cameras", type=int, choices=range(1, len(CAMERAS) + 1), default=2)
    parser.add_argument(
        "--folder", type=Path, help="where the bag and the dataset are written; default: /tmp"
    )
    parser.add_argument("--codec", choices=("h264", "av1"), default="h264")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bag, output = Path(folder) / "bag", Path(folder) / "dataset"
        record(bag, options.seconds, count=options.cameras)
        size_mb = sum(path.stat().st_size for path in bag.iterdir()) / 1e6
        words = [
            str(bag),
            "--output",
            str(output),
            "--calibration",
            str(CONFIG / "emulated_calibration.json"),
        ]
        words += ["--codec", options.codec, "--jobs", str(options.jobs), "--fps", str(FPS)]
        took, memory_mb = run_measured([sys.executable, "-m", "smolvla_ros.tools.bag_to_lerobot", *words])
        video_mb = sum(path.stat().st_size for path in output.rglob("*.mp4")) / 1e6
        print(
            f"{options.seconds:.0f} s of {options.cameras} x 640x480 at 30 Hz ({size_mb:.0f} MB) in {took:.1f} s with "
            f"{options.jobs} processes: {options.seconds / took:.1f} times real time; "
            f"video {video_mb:.0f} MB, memory of all processes {memory_mb:.0f} MB"
        )
        python = ROOT / "build" / "lerobot" / "bin" / "python"
        if python.exists():
            lerobot_s = write_with_lerobot(python, Path(folder), options.seconds)
            print(
                f"LeRobot's writer, h264: {lerobot_s:.1f} s, {options.seconds / lerobot_s:.1f} times real time"
            )
        else:
            print("LeRobot is not installed, so there is no comparison: make lerobot")


if __name__ == "__main__":
    main()
