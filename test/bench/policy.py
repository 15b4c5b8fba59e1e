# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the stages of full-size inference, and compare with LeRobot's own SmolVLA on the same computer.

Every contender is a process that keeps running; in each round they get the same input one after the other, so that
other load affects all of them. Ratios compare answers of one round. The actions are compared with those of LeRobot in
float32, to show what speed costs in accuracy.

LeRobot has its own environment (`make lerobot`) and is timed without changing it; the total of both is from camera
images to normalised actions. Without LeRobot, actions are compared with our own in float32.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pickle
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from contenders.worker import STAGES, Question

ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1"}  # before smolvla_ros.policy sets variables of its own

from contenders import full_size  # noqa: E402

from smolvla_ros.policy.smolvla.smolvla_policy import DTYPES  # noqa: E402

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
CONTENDERS = Path(__file__).parent / "contenders"
LEROBOT = BUILD / "lerobot" / "bin" / "python"
LEROBOT_DTYPES = ("float32", "native")  # native: bfloat16 and float32 as LeRobot loads them
HEIGHT, WIDTH = 480, 640
TASK = "Pick up the red cube and place it in the box."
MEGABYTE = 1e6


class Contender:
    """A policy in its own process, which `exits` ends."""

    def __init__(
        self, name: str, python: str, program: str, dtype: str, options: argparse.Namespace, exits: ExitStack
    ) -> None:
        self.name = name
        self.answers: list[dict[str, Any]] = []
        environment = dict(ENVIRONMENT)
        if python == str(LEROBOT):
            environment.pop("PYTHONPATH", None)  # a sourced ROS has its own NumPy there
        self._log = BUILD / "bench" / f"{name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, str(CONTENDERS / program)]
                + ["--checkpoint", str(options.checkpoint), "--backbone", str(options.backbone)]
                + ["--dtype", dtype, "--device", options.device],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        exits.callback(self._close)
        self.loaded = self._reply()

    def ask(self, question: Question, times: int) -> None:
        """Ask several times and keep the last answer: on a robot, too, caches are warm from the inference before."""
        for _ in range(times):
            pickle.dump(tuple(question), self._process.stdin)
            self._process.stdin.flush()
            answer = self._reply()
        self.answers.append(answer)

    def _reply(self) -> dict[str, Any]:
        try:
            return pickle.load(self._process.stdout)
        except EOFError:
            output = self._log.read_text(errors="replace").strip()
            raise SystemExit(f"{self.name} ended with {self._process.wait()}:\n{output[-3000:]}") from None

    def _close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def milliseconds(self, stage: str) -> list[float]:
        """The duration of a stage in each round."""
        return [1e3 * answer["seconds"].get(stage, 0.0) for answer in self.answers]

    def speed_relative_to(self, other: Contender) -> float:
        """The speed relative to another contender, median over the rounds."""
        pairs = zip(self.answers, other.answers, strict=True)
        return statistics.median(its["seconds"]["total"] / mine["seconds"]["total"] for mine, its in pairs)

    def difference(self, other: Contender) -> tuple[float, float]:
        """Largest and mean difference of the normalised actions over all rounds."""
        pairs = zip(self.answers, other.answers, strict=True)
        differences = np.abs([mine["actions"] - its["actions"] for mine, its in pairs])
        return float(differences.max()), float(differences.mean())


def questions(config: dict[str, Any], cameras: int, count: int) -> list[Question]:
    """Random observations: smooth images, poses within some degrees of zero."""
    names = [key for key, feature in config["input_features"].items() if feature["type"] == "VISUAL"]
    short = [name.removeprefix("observation.images.") for name in names]
    joints = config["input_features"]["observation.state"]["shape"][0]
    random = np.random.default_rng(cameras)

    def image() -> np.ndarray[Any, np.dtype[np.uint8]]:
        coarse = random.integers(0, 255, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
        return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)

    return [
        Question(
            {name: image() for name in short[:cameras]},
            random.normal(0.0, 10.0, joints).astype(np.float32),
            TASK,
            random.standard_normal((1, config["chunk_size"], config["max_action_dim"])).astype(np.float32),
        )
        for _ in range(count)
    ]


def start(options: argparse.Namespace, exits: ExitStack) -> tuple[list[Contender], list[Contender]]:
    """Start LeRobot's contenders and ours, one after the other."""
    installed = LEROBOT_DTYPES if options.lerobot and LEROBOT.exists() else ()
    theirs = [
        Contender(f"LeRobot {dtype}", str(LEROBOT), "lerobot_policy.py", dtype, options, exits)
        for dtype in installed
    ]
    ours = [
        Contender(f"ours {dtype}", sys.executable, "our_policy.py", dtype, options, exits)
        for dtype in options.dtypes
    ]
    return theirs, ours


def measure(
    contenders: Sequence[Contender], config: dict[str, Any], cameras: int, options: argparse.Namespace
) -> None:
    for index, question in enumerate(questions(config, cameras, options.warmup + options.runs)):
        for contender in contenders:
            if index == options.warmup:
                contender.answers.clear()
            contender.ask(question, options.times)


def print_times(
    cameras: int, contenders: Sequence[Contender], theirs: Sequence[Contender], reference: Contender
) -> None:
    print(f"\n{cameras} camera{'s' if cameras > 1 else ''}: milliseconds, medians and the fastest round\n")
    ratios = [f"x {other.name}" for other in theirs]
    print_row("", *STAGES, "total", "fastest", *ratios, "largest difference", "mean")
    print_row("---", *["--:"] * (len(STAGES) + 4 + len(ratios)))
    for contender in contenders:
        stages = (statistics.median(contender.milliseconds(stage)) for stage in (*STAGES, "total"))
        fastest = min(contender.milliseconds("total"))
        differences = contender.difference(reference)
        print_row(
            contender.name,
            *(f"{duration:.1f}" for duration in (*stages, fastest)),
            *(f"{contender.speed_relative_to(other):.2f}" for other in theirs),
            *(f"{difference:.1e}" for difference in differences),
        )


def print_memory(contenders: Sequence[Contender]) -> None:
    print("\nMemory: the peak of each process, including mapped files\n")
    print_row("", "load (s)", "weights (MB)", "imports (MB)", "after load (MB)", "at the end (MB)")
    print_row("---", *["--:"] * 5)
    for contender in contenders:
        loaded = contender.loaded
        sizes = [loaded[key] for key in ("weights_bytes", "imported_bytes", "load_peak_bytes")]
        sizes.append(contender.answers[-1]["peak_bytes"])
        print_row(contender.name, f"{loaded['load_s']:.1f}", *(f"{size / MEGABYTE:.0f}" for size in sizes))


def print_row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def arguments() -> argparse.Namespace:
    dtypes = [dtype for dtype in DTYPES if dtype != "auto"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 3], metavar="N")
    parser.add_argument("--runs", type=int, default=7, help="measured rounds")
    parser.add_argument(
        "--warmup", type=int, default=2, help="rounds before them, for each number of cameras"
    )
    parser.add_argument(
        "--times",
        type=int,
        default=2,
        help="how often each contender gets a question in a row; the last answer counts",
    )
    parser.add_argument("--dtypes", nargs="+", default=dtypes, choices=dtypes)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-lerobot", dest="lerobot", action="store_false")
    parser.add_argument(
        "--checkpoint", type=Path, help="checkpoint; default: a full-size one with random weights"
    )
    parser.add_argument(
        "--backbone", type=Path, help="folder with the config and tokenizer of its vision-language model"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    options.checkpoint = options.checkpoint or full_size.make(BUILD / "full_size")
    options.backbone = options.backbone or options.checkpoint / "vlm"
    config = json.loads((options.checkpoint / "config.json").read_text(encoding="utf-8"))
    with ExitStack() as exits:
        theirs, ours = start(options, exits)
        if not theirs:
            reason = "is not installed (make lerobot)" if options.lerobot else "is left out"
            print(f"LeRobot {reason}: its rows and all ratios are missing.")
        in_turn = itertools.zip_longest(theirs, ours)  # theirs, ours, theirs, ours
        contenders = [each for pair in in_turn for each in pair if each is not None]
        reference = next((each for each in contenders if each.name.endswith("float32")), contenders[0])
        torch_versions, threads = (
            " and ".join(sorted({str(each.loaded[key]) for each in contenders}))
            for key in ("torch", "threads")
        )
        print(
            f"{options.checkpoint.name} on {options.device}, torch {torch_versions}, {threads} threads a process,",
            end=" ",
        )
        print(
            f"{options.runs} rounds. x: times as fast; differences are from {reference.name}, in standard deviations."
        )
        for cameras in options.cameras:
            measure(contenders, config, cameras, options)
            print_times(cameras, contenders, theirs, reference)
        print_memory(contenders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
