# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how many instructed tasks the expert does in the simulated world: real nodes, DDS and the servo bus.

For each task the world puts the objects of the next seed on the table and names an instruction. The instruction is
published as a person would publish it, and what the world says of its progress is counted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.live_trials import run_live_trials
from smolvla_ros.evaluation.results import TrialResult
from smolvla_ros.evaluation.summary import report_lines
from smolvla_ros.evaluation.trial import EPISODE_SEEDS
from smolvla_ros.suite.options import SuiteOptions


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--task", default="pick_place", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the layouts (default: %(default)s)")
    parser.add_argument("--output", default="", help="record each task as an episode in this folder")
    parser.add_argument("--cameras", default="", help="such as top=rendered (default: top and wrist)")
    parser.add_argument(
        "--loads", type=int, default=0, help="busy processes beside it (default: %(default)s)"
    )
    options = parser.parse_args()
    suite = SuiteOptions(
        sim=True,
        policy="expert",
        cameras=options.cameras,
        record=bool(options.output),
        output=options.output,
    )
    seeds = range(options.seed * EPISODE_SEEDS, options.seed * EPISODE_SEEDS + options.tasks)
    results: list[TrialResult] = []
    started_s, cpu_before_s = time.monotonic(), {}
    with busy_processes(options.loads):
        for result in run_live_trials(suite, Conditions(task=options.task), seeds, {}):
            how = f"{result.time_s:.1f} s" if result.time_s is not None else f"score {result.score:.2f}"
            print(
                f"{len(results) + 1:3} {result.instruction:60} {how} {result.wrong_object or ''}", flush=True
            )
            if not results:  # without what it costs to start
                started_s, cpu_before_s = time.monotonic(), cpu_s()
            results.append(result)
            duration_s, cpu_after_s = time.monotonic() - started_s, cpu_s()
    print(*report_lines(results), sep="\n")
    if len(results) > 1:
        shares = {
            name: (used_s - cpu_before_s.get(name, 0.0)) / duration_s for name, used_s in cpu_after_s.items()
        }
        print("% of a core: " + ", ".join(f"{name} {100 * s:.0f}" for name, s in sorted(shares.items())))
    return 0


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Processes that do nothing but use a core each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def cpu_s() -> dict[str, float]:
    """CPU time of each program that this process and its children have started, by module; Linux only."""
    parents, programs = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(stat[1])
        if "-m" in words:
            module = words[words.index("-m") + 1].rpartition(".")[2]
            seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            programs.append((int(folder.name), module, seconds))
    used: dict[str, float] = {}
    for pid, module, seconds in programs:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        if pid == os.getpid():
            used[module] = used.get(module, 0.0) + seconds
    return used


if __name__ == "__main__":
    start_s = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start_s:.0f} s in all")
    sys.exit(code)
