# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the executor: task time, smoothness, tracking error and CPU cost.

Everything runs in simulated time: the real ChunkExecutor, the servos of the emulated arm, and a policy with errors like
a trained one's (simulated/task.py). LeRobot's asynchronous client is reimplemented (simulated/controllers.py).

    whole loop   pick-and-place cycles, synchronous and asynchronous, with each fusion, for each latency
    same chunks  one trace of chunks for all executors, so that only the executor differs
    cost         CPU time of one fusion and of one control period
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import sys
import timeit
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from simulated.controllers import Controller, LeRobotClient, OurExecutor
from simulated.runs import Inference, Run, follow_trace, make_trace, smoothness, tracking, whole_loop
from simulated.task import STEPS, Demonstration, PickAndPlacePolicy

from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.fusion import FUSIONS, FusionInput
from smolvla_ros.execution.trajectory import Trajectory
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.units import load_calibration

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

ROOT = Path(__file__).parents[2]
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
CALIBRATION = load_calibration(ROOT / "config" / "emulated_calibration.json")
CONFIG = ExecutorConfig(mode="armed")
DEFAULT = CONFIG.fusion
CHUNK_S = (STEPS - 1) / ROBOT.rate_hz
LEROBOT = "LeRobot"
SYNC = {"sync": STEPS, "sync, half chunks": STEPS // 2}  # number of executed actions of a chunk
LIMIT_S = 400.0  # maximum duration of a run
SETTLED_S = 3.0  # start of a trace that is left out, until all executors move

Numbers = dict[str, float]


def controller(row: str, rate_hz: float, threshold: float) -> Controller:
    if row == LEROBOT:
        return LeRobotClient(ROBOT, threshold)
    if row in SYNC:
        return OurExecutor(ROBOT, dataclasses.replace(CONFIG, trigger="sync", rate_hz=rate_hz))
    config = dataclasses.replace(CONFIG, fusion=row, rate_hz=rate_hz, threshold=threshold, similar_rad=0.0)
    return OurExecutor(ROBOT, config)


def run_loop(latency_s: float, row: str, seed: int, cycles: float, limit_s: float = LIMIT_S) -> Numbers:
    """The figures of one run of the whole loop."""
    run = whole_loop(
        ROBOT,
        CALIBRATION,
        controller(row, ROBOT.rate_hz, CONFIG.threshold),
        ROBOT.rate_hz,
        latency_s,
        seed,
        row == "rtc",
        cycles,
        limit_s,
        SYNC.get(row, STEPS),
    )
    return {
        "seconds": run.seconds / run.cycles * cycles,
        "cycles_per_minute": 60.0 * run.cycles / run.seconds,
        "misses": run.misses,
        "starved_s_per_minute": 60.0 * run.starved_s / run.seconds,
        **smoothness(run),
    }


def run_trace(row: str, rate_hz: float, latency_s: float, seed: int, seconds: float) -> tuple[Numbers, Run]:
    """The figures of one executor on the trace of this latency and seed, and the run."""
    trace = make_trace(ROBOT, seconds, latency_s, seed)
    run = follow_trace(
        ROBOT, CALIBRATION, controller(row, rate_hz, 1.0), rate_hz, latency_s, trace, row == "rtc"
    )
    return {**smoothness(run, SETTLED_S), **tracking(ROBOT, run, SETTLED_S)}, run


def traced_numbers(row: str, rate_hz: float, latency_s: float, seed: int, seconds: float) -> Numbers:
    return run_trace(row, rate_hz, latency_s, seed, seconds)[0]


def mean(runs: Sequence[Numbers]) -> Numbers:
    """The mean over several seeds; for maxima their maximum."""
    return {
        name: (max if name.endswith("_max") else statistics.fmean)(run[name] for run in runs)
        for name in runs[0]
    }


def whole_loops(options: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[float, dict[str, Numbers]]:
    """Latency -> row -> figures."""
    seeds = range(1, options.seeds + 1)
    rows = (*SYNC, LEROBOT, *options.fusions)
    cases = list(itertools.product(options.latencies, rows, seeds))
    runs = pool.map(run_loop, *zip(*cases), itertools.repeat(options.cycles))
    found = dict(zip(cases, runs))
    return {
        latency_s: {row: mean([found[latency_s, row, seed] for seed in seeds]) for row in rows}
        for latency_s in options.latencies
    }


def print_loops(results: dict[float, dict[str, Numbers]], cycles: int) -> None:
    for latency_s, rows in results.items():
        print(f"\nLatency {latency_s:g} s, chunks of {CHUNK_S:.2f} s, threshold {CONFIG.threshold:g}\n")
        print(
            f"| | {cycles} cycles (s) | cycles/min | misses | starved (s/min) | acceleration RMS, max (rad/s^2) "
            "| jerk RMS, max (rad/s^3) | at seams RMS, max | arm acceleration RMS |"
        )
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        for row, numbers in rows.items():
            print(
                f"| {row} | {numbers['seconds']:.1f} | {numbers['cycles_per_minute']:.2f} | {numbers['misses']:.1f} "
                f"| {numbers['starved_s_per_minute']:.1f} "
                f"| {numbers['command_acceleration_rms']:.2f}, {numbers['command_acceleration_max']:.1f} "
                f"| {numbers['command_jerk_rms']:.0f}, {numbers['command_jerk_max']:.0f} "
                f"| {numbers['command_seam_jerk_rms']:.0f}, {numbers['command_seam_jerk_max']:.0f} "
                f"| {numbers['arm_acceleration_rms']:.2f} |"
            )
    print(f"\nAsynchronous with {DEFAULT} against synchronous: time saved, and times the cycles\n")
    print("| latency (s) | " + " | ".join(f"{row}: time, cycles" for row in SYNC) + " | starved (s/min) |")
    print("|--:|" + "--:|" * (len(SYNC) + 1))
    for latency_s, rows in results.items():
        ours = rows[DEFAULT]
        ratios = (
            f"{100 * (1 - ours['seconds'] / rows[row]['seconds']):.0f} %, "
            f"{ours['cycles_per_minute'] / rows[row]['cycles_per_minute']:.2f} x"
            for row in SYNC
        )
        print(f"| {latency_s:g} | {' | '.join(ratios)} | {ours['starved_s_per_minute']:.1f} |")


def traces(options: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[float, dict[str, Numbers]]:
    """Latency -> row -> figures, with an additional row for the default fusion at 100 Hz."""
    seeds = range(1, options.seeds + 1)
    rows = [(row, ROBOT.rate_hz) for row in (LEROBOT, *options.fusions)] + [(DEFAULT, 100.0)]
    cases = list(itertools.product(rows, options.trace_latencies, seeds))
    arguments = [(row, rate_hz, latency_s, seed) for (row, rate_hz), latency_s, seed in cases]
    found = dict(zip(cases, pool.map(traced_numbers, *zip(*arguments), itertools.repeat(options.seconds))))
    return {
        latency_s: {
            row if rate_hz == ROBOT.rate_hz else f"{row}, {rate_hz:.0f} Hz": mean(
                [found[(row, rate_hz), latency_s, seed] for seed in seeds]
            )
            for row, rate_hz in rows
        }
        for latency_s in options.trace_latencies
    }


def print_traces(results: dict[float, dict[str, Numbers]], seconds: float) -> None:
    for latency_s, rows in results.items():
        lerobot = rows[LEROBOT]
        print(f"\nThe same chunks for all, {seconds:g} s, latency {latency_s:g} s\n")
        print(
            "| | seam jerk of commands RMS, max (rad/s^3) | LeRobot's / this, RMS, max | seam acceleration RMS, max "
            "(rad/s^2) | arm jerk RMS | arm acceleration RMS | tracking error RMS, max (mrad) |"
        )
        print("|---|--:|--:|--:|--:|--:|--:|")
        for row, numbers in rows.items():
            commands = (
                f"{numbers['command_seam_jerk_rms']:.0f}, {numbers['command_seam_jerk_max']:.0f} "
                f"| {lerobot['command_seam_jerk_rms'] / numbers['command_seam_jerk_rms']:.1f}, "
                f"{lerobot['command_seam_jerk_max'] / numbers['command_seam_jerk_max']:.1f} "
                f"| {numbers['command_seam_acceleration_rms']:.2f}, {numbers['command_seam_acceleration_max']:.1f}"
            )
            if row.endswith("Hz"):  # differences of commands depend on how often they are sent
                commands = "| |"
            print(
                f"| {row} | {commands} | {numbers['arm_jerk_rms']:.0f} | {numbers['arm_acceleration_rms']:.2f} "
                f"| {1e3 * numbers['tracking_rms']:.1f}, {1e3 * numbers['tracking_max']:.0f} |"
            )


def costs(fusions: Sequence[str]) -> Numbers:
    """Microseconds of these fusions and of a control period: the fastest of five, with least disturbance."""
    step_ns = round(1e9 / ROBOT.rate_hz)
    policy = PickAndPlacePolicy(ROBOT, 1)
    old, new = (
        Trajectory.through(start_ns + np.arange(STEPS) * step_ns, policy.chunk(start_ns / 1e9))
        for start_ns in (0, 500_000_001)
    )
    executor = OurExecutor(ROBOT, CONFIG)
    joints = Joints(0, Demonstration(ROBOT).at(np.zeros(1))[0], np.zeros(len(ROBOT.joints)))
    now_ns = 0

    def tick() -> None:
        nonlocal now_ns
        now_ns += 1_000_000
        executor.step(now_ns, dataclasses.replace(joints, stamp_ns=now_ns))
        executor.request(now_ns)

    def microseconds(what: Any, times: int = 200) -> float:
        return 1e6 * min(timeit.repeat(what, number=times, repeat=5)) / times

    inputs = FusionInput(old, (old, new), 800_000_000, CONFIG)
    found = {f"fusion {name}": microseconds(partial(FUSIONS[name], inputs)) for name in fusions}
    found["control period, holding"] = microseconds(tick)
    executor.accept(Inference(ROBOT, 0.0, 1, rtc=False).chunk(1, policy.chunk(0.0), now_ns), now_ns)
    found["control period, moving"] = microseconds(tick)
    return found


def save_plot(
    loops: dict[float, dict[str, Numbers]], results: dict[float, dict[str, Numbers]], path: Path
) -> None:
    """Plot the time by latency, the seam jerk by fusion, and one joint's commands around some seams."""
    figure, ((times, jerks), (below, zoom)) = pyplot.subplots(2, 2, figsize=(13, 9), layout="constrained")
    for row in (*SYNC, LEROBOT, DEFAULT):
        minutes = [rows[row]["cycles_per_minute"] for rows in loops.values()]
        times.plot(list(loops), minutes, marker="o", label=row)
    times.set(xlabel="inference latency (s)", ylabel="cycles per minute", ylim=(0.0, None))
    times.legend(fontsize=8)
    latency_s = next(iter(results))
    names = [row for row in results[latency_s] if not row.endswith("Hz")]
    jerks.barh(names, [results[latency_s][row]["command_seam_jerk_rms"] for row in names])
    jerks.invert_yaxis()
    jerks.set(xlabel=f"RMS jerk of commands at seams (rad/s^3), latency {latency_s:g} s")
    joint = 0
    demonstration = Demonstration(ROBOT)
    for row, color in ((LEROBOT, "C3"), (DEFAULT, "C0")):
        _, run = run_trace(row, ROBOT.rate_hz, latency_s, 1, 14.0)
        at_s = (np.arange(len(run.commands)) + 1) / ROBOT.rate_hz
        for axes in (below, zoom):
            axes.step(at_s, run.commands[:, joint], color=color, where="post", linewidth=1.0, label=row)
    for axes, (start_s, end_s) in ((below, (4.0, 12.0)), (zoom, (7.5, 10.0))):
        shown_s = np.arange(start_s, end_s, 0.01)
        shown = demonstration.at(shown_s)[:, joint]
        axes.plot(shown_s, shown, color="0.7", linewidth=1.0, label="demonstration", zorder=0)
        for arrival_ns in run.arrivals_ns:
            axes.axvline(arrival_ns / 1e9, color="0.9", linewidth=0.8, zorder=-1)
        axes.set(xlim=(start_s, end_s), xlabel="time (s); lines: a new chunk")
        axes.set_ylabel(f"{ROBOT.joint_names[joint]} (rad)")
        axes.set_ylim(shown.min() - 0.15, shown.max() + 0.15)
    below.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--latencies", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.7, 1.0], help="seconds"
    )
    parser.add_argument(
        "--measured",
        type=float,
        nargs="*",
        default=[],
        help="additional latencies, as measured by `make bench-policy`",
    )
    parser.add_argument(
        "--fusions", nargs="+", choices=FUSIONS, default=list(FUSIONS), help="fusions besides the default"
    )
    parser.add_argument("--cycles", type=int, default=5, help="pick-and-place cycles of each run")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of a trace")
    parser.add_argument("--trace-latencies", type=float, nargs="+", default=[0.2, 0.4], help="seconds")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="duration of the run that must not starve; 0: no such run"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="repetitions of each run, with other random numbers"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder for JSON and PNG")
    options = parser.parse_args(argv)
    options.fusions = [name for name in FUSIONS if name in (DEFAULT, *options.fusions)]
    options.latencies = sorted({*options.latencies, *options.measured})
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    with ProcessPoolExecutor(options.jobs) as pool:
        latency_s = 0.9 * (1.0 - CONFIG.threshold) * CHUNK_S
        long = (
            pool.submit(run_loop, latency_s, DEFAULT, 1, 1e9, 60.0 * options.minutes)
            if options.minutes
            else None
        )
        loops = whole_loops(options, pool)
        followed = traces(options, pool)
        starved = long.result()["starved_s_per_minute"] * options.minutes if long else None
    print_loops(loops, options.cycles)
    if starved is not None:
        print(
            f"\n{options.minutes:g} minutes with latencies around {latency_s:.2f} s, under chunk x (1 - threshold) = "
            f"{(1.0 - CONFIG.threshold) * CHUNK_S:.2f} s: {DEFAULT} starved for {starved:.2f} s"
        )
    print_traces(followed, options.seconds)
    cost = costs(options.fusions)
    print("\n| cost | us |\n|---|--:|")
    for what, microseconds in cost.items():
        print(f"| {what} | {microseconds:.0f} |")
    options.out.mkdir(parents=True, exist_ok=True)
    everything = {
        "whole_loop": loops,
        "same_chunks": followed,
        "starved_s": starved,
        "cost_us": cost,
        "options": {**vars(options), "out": str(options.out)},
    }
    (options.out / "executor.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    save_plot(loops, followed, options.out / "executor.png")
    print(f"\n{options.out / 'executor.json'}, {options.out / 'executor.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
