# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count images lost between processes: three cameras, 640x480 rgb8 at 30 Hz, raw and compressed.

Every image contains its number as a bar code, by which missing images are counted. The baseline uses Fast DDS's
defaults instead of the profiles of config/. CPU is that of the receiver and the cameras, in percent of one core.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smolvla_ros.nodes.fast_dds import PROFILE, fast_dds_settings
from smolvla_ros.suite.ros_domain import reserve_domain_id

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / "config" / "so100.yaml"
LOCALHOST = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
NO_SETTINGS = '<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"><profiles/></dds>'
CAMERAS = ("top", "wrist", "side")
RATE_HZ = 30.0
BITS = 8
BLOCK = 32  # pixels, side of a bit


def write_images(folder: Path) -> None:
    """Write an image for every number, with the texture of a scene so that JPEG has realistic sizes."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    for number in range(2**BITS):
        for bit in range(BITS):
            scene[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), scene)


def number_of(image: np.ndarray[Any, Any]) -> int:
    """Read the bar code."""
    centers = image[BLOCK // 2, BLOCK // 2 : BITS * BLOCK : BLOCK, 0]
    return int(sum(1 << bit for bit in range(BITS) if centers[bit] > 127))


def lost(numbers: list[int]) -> int:
    """How many numbers are missing between the first and the last one."""
    steps = np.diff(numbers) % 2**BITS
    assert (steps > 0).all(), "an image arrived twice or out of order"
    return int((steps - 1).sum())


def measure(transport: str, reliability: str, settings: dict[str, str], seconds: float) -> str:
    """Measure one row of the table in a new process, because Fast DDS reads its profile once."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(reserve_domain_id()), **settings}
    command = [sys.executable, __file__, "--seconds", str(seconds), "--receive", transport, reliability]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return result.stdout.splitlines()[-1]  # Fast DDS may print warnings first


def receive(transport: str, reliability: str, seconds: float) -> None:
    """Start the cameras, count their images, print `received lost bytes-per-second cpu-percent`."""
    import rclpy
    from rclpy.node import Node

    from smolvla_ros.nodes import topics
    from smolvla_ros.wire import frame_from_msg

    topic = topics.IMAGE_RAW if transport == "raw" else topics.IMAGE_COMPRESSED
    qos = topics.RELIABLE if reliability == "reliable" else topic.subscribe
    numbers: dict[str, list[int]] = {camera: [] for camera in CAMERAS}
    size = 0

    def keep(message: Any, camera: str) -> None:
        nonlocal size
        size += len(message.data)
        numbers[camera].append(number_of(frame_from_msg(message, camera).image))

    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        rclpy.init()
        node = Node("bench")
        for camera in CAMERAS:
            node.create_subscription(
                topic.type, f"/{camera}/{topic.name}", lambda message, name=camera: keep(message, name), qos
            )
        cameras = [start_camera(camera, folder) for camera in CAMERAS]
        while not all(len(seen) > RATE_HZ for seen in numbers.values()):  # all matched and running
            rclpy.spin_once(node, timeout_sec=0.1)
        for seen in numbers.values():
            seen.clear()
        size = 0
        used_s = time.process_time() + sum(map(cpu_s, cameras))
        started_s = time.monotonic()
        while time.monotonic() < started_s + seconds:
            rclpy.spin_once(node, timeout_sec=0.1)
        used_s = time.process_time() + sum(map(cpu_s, cameras)) - used_s
        for process in cameras:
            process.send_signal(signal.SIGINT)
        assert [process.wait(10.0) for process in cameras] == [0] * len(cameras)
        node.destroy_node()
        rclpy.try_shutdown()
    received = sum(map(len, numbers.values()))
    print(received, sum(map(lost, numbers.values())), size / seconds, 100 * used_s / seconds)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU time of a running process so far (s)."""
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def start_camera(camera: str, folder: str) -> subprocess.Popen[bytes]:
    parameters = {"robot": ROBOT, "camera": camera, "source": "folder", "device": folder, "rate_hz": RATE_HZ}
    arguments = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
    module = "smolvla_ros.nodes.camera_node"
    return subprocess.Popen(
        [sys.executable, "-m", module, "--ros-args", "-r", f"__ns:=/{camera}", *arguments]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--baseline", type=Path, help="a Fast DDS profile to compare with instead of the defaults"
    )
    parser.add_argument("--receive", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        receive(*options.receive, seconds=options.seconds)
        return 0
    print("| images | Fast DDS profile | subscribed | received | lost | MB/s | CPU (%) |")
    print("|---|---|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        defaults = Path(folder) / "defaults.xml"
        defaults.write_text(NO_SETTINGS)
        profiles = {
            "fastdds_localhost.xml": fast_dds_settings(LOCALHOST),
            "its defaults": LOCALHOST | {PROFILE: str(options.baseline or defaults)},
        }
        for transport, profile, reliability in product(
            ("raw", "compressed"), profiles, ("best effort", "reliable")
        ):
            values = measure(transport, reliability, profiles[profile], options.seconds).split()
            rate, cpu = float(values[2]) / 1e6, float(values[3])
            row = (transport, profile, reliability, *values[:2], f"{rate:.1f}", f"{cpu:.0f}")
            print("|", " | ".join(row), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
