# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time from the start of Python to the first chunk of a full-size policy, stage by stage.

Every row is the median of fresh processes, after one that is not counted: files are in the page cache then. In each
round all number formats take their turn. CPU time is that of all threads; on a busy machine it says more than the time
that has passed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

STAGES = ("python and torch", "checkpoint", "first chunk", "total", "CPU")
TASK = "Pick up the red cube and place it in the box."


def measure(checkpoint: str, dtype: str, cameras: int, started_s: float) -> dict[str, float]:
    """The seconds of each stage in this process, which was started at `started_s` and has done nothing else yet."""
    seconds, before = {}, started_s

    def stage(name: str) -> None:
        nonlocal before
        now = time.time()
        seconds[name], before = now - before, now

    from smolvla_ros.policy import SmolVLA

    stage("python and torch")
    policy = SmolVLA.from_pretrained(checkpoint, "cpu", dtype)
    stage("checkpoint")
    import numpy as np

    image = np.zeros((480, 640, 3), np.uint8)
    policy.predict_chunk(dict.fromkeys(policy.image_keys[:cameras], image), np.zeros(policy.state_dim), TASK)
    stage("first chunk")
    total = sum(seconds.values())
    return seconds | {"total": total, "CPU": time.process_time()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", help="default: a full-size one with random weights")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "int8"])
    parser.add_argument(
        "--measure", nargs=2, metavar=("DTYPE", "STARTED_S"), help="in this process; prints JSON"
    )
    options = parser.parse_args()
    if options.measure:
        dtype, started_s = options.measure
        print(json.dumps(measure(options.checkpoint, dtype, options.cameras, float(started_s))))
        return 0
    checkpoint = options.checkpoint or str(full_size_checkpoint())
    found: dict[str, list[dict[str, float]]] = {dtype: [] for dtype in options.dtypes}
    for _ in range(1 + options.runs):
        for dtype, rounds in found.items():
            command = [
                sys.executable,
                __file__,
                "--checkpoint",
                checkpoint,
                "--cameras",
                str(options.cameras),
            ]
            command += ["--measure", dtype, str(time.time())]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"seconds, {options.cameras} cameras, medians of {options.runs} processes\n")
    print(f"|  | {' | '.join(STAGES)} |\n|---|{'--:|' * len(STAGES)}")
    for dtype, rounds in found.items():
        cells = (f"{statistics.median(each[stage] for each in rounds[1:]):.2f}" for stage in STAGES)
        print(f"| {dtype} | {' | '.join(cells)} |")
    return 0


def full_size_checkpoint() -> Path:
    from contenders import full_size

    return full_size.make(Path(__file__).parents[2] / "build" / "full_size")


if __name__ == "__main__":
    sys.exit(main())
