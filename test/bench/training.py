# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time an update of the full-size model (expert only), beside LeRobot's own if it is installed, and the cached mode.

    make bench-training ARGS="--batch 4 --cameras 2 --steps 2"

Each contender is a process of its own, one after the other, on the same batch. CPU time is that of all threads: on a
busy machine it says more than the time that has passed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import full_size

from smolvla_ros.dataset.video import VideoReader, encode_video

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "bench"
LEROBOT = Path(os.environ.get("LEROBOT_PYTHON", ROOT / "build" / "lerobot" / "bin" / "python"))
STAGES = ("forward", "backward", "optimizer")


def run(
    python: str, program: str, precision: str, options: argparse.Namespace, cached: bool
) -> dict[str, Any]:
    """What a contender measured."""
    command = [python, str(Path(__file__).parent / "contenders" / program), "--precision", precision]
    command += ["--checkpoint", str(options.checkpoint), "--device", options.device]
    for name in ("batch", "cameras", "steps"):
        command += [f"--{name}", str(getattr(options, name))]
    environment = dict(os.environ)
    if python == sys.executable:
        environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    else:
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command + (["--cached"] if cached else []),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def decoded_per_s(frames: int = 120) -> float:
    """Frames of 640x480 that one core decodes in random order from our converter's h264."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (frames, 24, 32, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        encode_video(path, (image.repeat(20, 0).repeat(20, 1) for image in coarse), 30, "h264")
        reader, start = VideoReader(path, 30), time.process_time()
        for index in random.permutation(frames).tolist():
            reader.frame(index)
        return frames / (time.process_time() - start)


def print_row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="measured updates; one more comes first")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--precisions", nargs="+", default=["float32"], choices=("float32", "bfloat16", "native")
    )
    parser.add_argument("--no-lerobot", dest="lerobot", action="store_false")
    parser.add_argument("--checkpoint", type=Path, help="default: a full-size one with random weights")
    options = parser.parse_args()
    options.checkpoint = options.checkpoint or full_size.make(BUILD / "full_size")
    print(f"batch {options.batch}, {options.cameras} cameras, {options.device}; seconds an update, medians\n")
    print_row("", *STAGES, "total", "CPU time", "samples/s", "peak (MB)", "first loss")
    print_row("---", *["--:"] * 8)
    for precision in options.precisions:
        contenders = [("ours", sys.executable, "our_training.py", False)]
        contenders += [("ours, cached", sys.executable, "our_training.py", True)]
        if options.lerobot and LEROBOT.exists() and precision != "bfloat16":
            contenders.insert(0, ("LeRobot", str(LEROBOT), "lerobot_training.py", False))
        for name, python, program, cached in contenders:
            found = run(python, program, precision, options, cached)
            updates = found["updates"]
            total = statistics.median(sum(update[stage] for stage in STAGES) for update in updates)
            stages = (statistics.median(update[stage] for update in updates) for stage in (*STAGES,))
            cpu = statistics.median(update["cpu"] for update in updates)
            print_row(
                f"{name} {precision}",
                *(f"{seconds:.3f}" for seconds in (*stages, total, cpu)),
                f"{options.batch / total:.2f}",
                f"{found['peak_bytes'] / 1e6:.0f}",
                f"{found['losses'][0]:.5f}",
            )
    print(f"\nDecoding in random order, 640x480 h264, one core: {decoded_per_s():.0f} frames/s of CPU time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
