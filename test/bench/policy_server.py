# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure a policy server with 1, 4 and 8 robots that ask all the time: together, and one after the other.

Server and robots are processes of this computer, so that their work is counted too. Bandwidth is that of the messages
of one chunk with two 640x480 cameras, beside what the same cameras send through DDS all the time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from smolvla_ros.image import encode_jpeg
from smolvla_ros.remote.client import RemoteModel
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT, find_robot_file
from smolvla_ros.simulation.layout import random_layout
from smolvla_ros.simulation.tabletop import Tabletop

CAMERAS = ("top", "wrist")
CAMERA_RATE_HZ = 30.0
TASK = "pick up the red cube"
TIMEOUT_S = 60.0


class Server:
    """A policy server in a process of its own."""

    def __init__(self, options: argparse.Namespace, together: int, address: str = "127.0.0.1:0") -> None:
        command = [sys.executable, "-m", "smolvla_ros.tools.policy_server", options.checkpoint]
        command += ["--address", address, "--max-together", str(together), "--device", options.device]
        command += ["--backbone", options.backbone] if options.backbone else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split("' at ")[-1].split(";")[0]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def ask(address: str, images: dict[str, bytes], until_s: float, answers: list[Any]) -> None:
    """Ask for chunks until a time; keeps each answer with how long it took."""
    remote = RemoteModel([address], timeout_s=TIMEOUT_S)
    state = np.zeros(remote.state_dim, np.float32)
    while (started_s := time.monotonic()) < until_s:
        remote.predict_chunk(images, state, TASK)
        answers.append((time.monotonic() - started_s, remote.last_answer))


def measure(address: str, images: dict[str, bytes], robots: int, seconds: float) -> list[str]:
    """Cells of the table: chunks a second, time of a chunk, and how unequal the robots were served."""
    until_s = time.monotonic() + seconds
    answers: list[list[Any]] = [[] for _ in range(robots)]
    threads = [threading.Thread(target=ask, args=(address, images, until_s, of_one)) for of_one in answers]
    started_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - started_s
    durations_s = [duration_s for of_one in answers for duration_s, _ in of_one]
    together = np.mean([answer.together for of_one in answers for _, answer in of_one])
    means_s = [np.mean([duration_s for duration_s, _ in of_one]) for of_one in answers]
    p50_s, p99_s = np.percentile(durations_s, (50, 99))
    cells = f"{len(durations_s) / took_s:.1f}", f"{together:.1f}", f"{p50_s * 1e3:.0f}", f"{p99_s * 1e3:.0f}"
    return [*cells, f"{max(means_s) / min(means_s):.2f}"]


def bandwidth(address: str, images: dict[str, bytes]) -> list[str]:
    """Lines about the bytes of one chunk."""
    remote = RemoteModel([address], timeout_s=TIMEOUT_S)
    remote.predict_chunk(images, np.zeros(remote.state_dim, np.float32), TASK)
    sent = sum(map(len, images.values()))
    back = remote.last_answer.ByteSize()
    stream = sent * CAMERA_RATE_HZ * 8e-6
    return [
        f"one chunk: {sent / 1e3:.0f} kB of JPEG there, {back / 1e3:.1f} kB back; at 2 chunks a second "
        f"{(sent + back) * 2 * 8e-6:.2f} Mbit/s",
        f"the same cameras through DDS, {CAMERA_RATE_HZ:.0f} images a second: {stream:.1f} Mbit/s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--backbone", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--robots", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument(
        "--together", type=int, nargs="+", default=[1, 8], help="most requests computed together"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row")
    options = parser.parse_args()
    table = Tabletop(RobotSpec.load(find_robot_file("")), random_layout(0))
    jpeg = [encode_jpeg(table.render(camera)) for camera in CAMERAS]
    images = {f"camera{number}": content for number, content in enumerate(jpeg, 1)}
    print(
        "| robots | computed | chunks a second | together | p50 (ms) | p99 (ms) | slowest / fastest robot |"
    )
    print("|--:|---|--:|--:|--:|--:|--:|")
    for together in options.together:
        server = Server(options, together)
        how = "one after the other" if together == 1 else f"up to {together} together"
        for robots in options.robots:
            cells = measure(server.address, images, robots, options.seconds)
            print(f"| {robots} | {how} | {' | '.join(cells)} |", flush=True)
        lines = bandwidth(server.address, images)
        server.close()
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
