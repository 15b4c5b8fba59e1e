# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated world: how often the expert succeeds with disturbed commands, and what physics and pictures cost.

Speeds are per CPU time of one core, so that other programs do not count; demonstrations per minute are by the clock.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from smolvla_ros.dataset.parallel_steps import run_all
from smolvla_ros.image import JPEG_QUALITY
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.demonstration import demonstrate
from smolvla_ros.simulation.demonstration_dataset import DemonstrationRun
from smolvla_ros.simulation.disturbance import DisturbanceSettings
from smolvla_ros.simulation.tabletop import Tabletop
from smolvla_ros.simulation.tasks.instruction import TASKS, random_task
from smolvla_ros.simulation.world import World
from smolvla_ros.units import load_calibration
from smolvla_ros.worker_pool import worker_pool

ROOT = Path(__file__).parents[2]
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
SEED = 5_000_000  # no run of make_demonstrations uses these layouts
SIZES = ((128, 128), (640, 480))


def attempt(name: str, seed: int, time_step_s: float) -> tuple[bool, float, float]:
    """Whether one demonstration succeeds, its time, and the CPU time that it took, s."""
    begin_s = time.process_time()
    made = demonstrate(ROBOT, *random_task(name, seed), seed, DisturbanceSettings(), time_step_s)
    return not made.failure, made.progress.time_s, time.process_time() - begin_s


def measure_success(layouts: int, time_steps_s: list[float], jobs: int) -> None:
    print("| task | time step (ms) | succeeded | median time (s) | times real time, expert included |")
    print("|---|--:|--:|--:|--:|")
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for time_step_s in time_steps_s:
            for name in TASKS:
                seeds = range(SEED, SEED + layouts)
                results = pool.map(attempt, [name] * layouts, seeds, [time_step_s] * layouts, chunksize=4)
                success, times_s, cpu_s = map(np.array, zip(*results))
                row = (
                    *(name, f"{time_step_s * 1e3:g}", f"{success.sum()} of {layouts}"),
                    *(f"{np.median(times_s):.1f}", f"{times_s.sum() / cpu_s.sum():.0f}"),
                )
                print("|", " | ".join(row), "|", flush=True)


def measure_physics(time_steps_s: list[float]) -> None:
    print("\n| physics alone, time step (ms) | times real time | of one core in real time (%) |")
    print("|---|--:|--:|")
    for time_step_s in time_steps_s:
        world = World(ROBOT.urdf_path, random_task("pick_place", SEED)[0], time_step_s)
        speed = 2.0 / seconds(partial(world.step, 2.0), 5)
        print(f"| {time_step_s * 1e3:g} | {speed:.0f} | {100 / speed:.1f} |", flush=True)


def measure_pictures() -> None:
    print("\n| pictures | camera | a second | as JPEG and back |")
    print("|---|---|--:|--:|")
    layout = random_task("pick_place", SEED)[0]
    for width, height in SIZES:
        robot = sized(width, height)
        for camera in ("top", "wrist", "side"):
            rates = []
            for quality in (None, JPEG_QUALITY):
                tabletop = Tabletop(robot, layout, (camera,), random_appearance(1), jpeg_quality=quality)
                rates.append(1.0 / seconds(partial(tabletop.render, camera), 50))
            print(f"| {width}x{height} | {camera} | {rates[0]:.0f} | {rates[1]:.0f} |", flush=True)
    seeds = iter(range(1000))

    def appear() -> None:
        Tabletop(ROBOT, layout, ("top",), random_appearance(next(seeds)))

    for _ in range(30):
        appear()  # all textures and levels of noise are drawn once
    print(f"\nanother layout's world, scene and appearance: {1e3 * seconds(appear, 30):.1f} ms")


def measure_demonstrations(episodes: int, jobs: int) -> None:
    print(f"\n| pick_place, {jobs} processes | demonstrations a minute | frames a second |")
    print("|---|--:|--:|")
    calibration = load_calibration(ROOT / "config" / "emulated_calibration.json", ROBOT.joint_names)
    for width, height in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "data"
            run = DemonstrationRun(output, sized(width, height), calibration, ("pick_place",), episodes, 1)
            run.prepare()
            begin_s = time.monotonic()
            with worker_pool(jobs) as pool:
                run_all("demonstrate", pool, run.make_episode, [(index,) for index in range(episodes)])
            dataset = run.write_dataset()
            taken_s = time.monotonic() - begin_s
        frames = dataset.info["total_frames"]
        row = f"two cameras of {width}x{height}", f"{60 * episodes / taken_s:.0f}", f"{frames / taken_s:.0f}"
        print("|", " | ".join(row), "|", flush=True)


def sized(width: int, height: int) -> RobotSpec:
    return ROBOT.with_cameras(width=width, height=height)


def seconds(call: Callable[[], object], times: int) -> float:
    """CPU time of one call, s, after a first one."""
    call()
    begin_s = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin_s) / times


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--layouts", type=int, default=20, help="for each task; 0: none (default: %(default)s)")
    add(
        "--episodes", type=int, default=8, help="demonstrations with pictures; 0: none (default: %(default)s)"
    )
    add("--time-steps", type=float, nargs="+", default=[0.005, 0.002], help="s (default: %(default)s)")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.layouts:
        measure_success(options.layouts, options.time_steps, options.jobs)
    measure_physics(options.time_steps)
    measure_pictures()
    if options.episodes:
        measure_demonstrations(options.episodes, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
