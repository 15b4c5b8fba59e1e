# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every installed program, started as `ros2 run` does (the file in lib/smolvla_ros), each with a small real job."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix

from ..conftest import PROGRAMS, installed
from ..curation.answer_server import answer_server
from ..dataset.hub_server import TOKEN, hub_server
from ..package_files import CALIBRATION_FILE, CHECKPOINT, ROBOT_FILE
from ..tools.test_check_dataset import record
from .conftest import Program, Terminal

ELSEWHERE = (
    "demo",
    "so100_setup_motors",
)  # started in the same way by their own tests
AT_ONCE = 4  # jobs at a time; they wait most of the time
WITHIN_S = 100.0  # for each step of a job


class Bench:
    """Starts installed programs and keeps their names; used by several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = set(ELSEWHERE)
        self._left: list[Program | Terminal] = []

    def start(self, name: str, *arguments: object) -> Program:
        """A program in the background."""
        log = self.folder / f"{len(self._left)}-{name}-{threading.get_ident()}.log"
        self._left.append(
            program := Program.new_interpreter(self._command(name, *arguments), log, self.folder)
        )
        return program

    def finish(self, name: str, *arguments: object) -> str:
        """Run a program until it exits with code 0; returns its output."""
        program = self.start(name, *arguments)
        assert program.wait(WITHIN_S) == 0, program.output
        return program.output

    def terminal(self, name: str, *arguments: object) -> Terminal:
        """A program on a terminal."""
        self._left.append(terminal := Terminal(self._command(name, *arguments)))
        return terminal

    def node(self, name: str, **parameters: object) -> None:
        """Run a node until it is active, then stop it by SIGINT."""
        arguments = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
        program = self.start(
            f"{name}_node", "--ros-args", "-r", f"__ns:=/{name}", "-p", f"robot:={ROBOT_FILE}", *arguments
        )
        program.wait_for(": active", WITHIN_S)
        assert program.stop() == 0, program.output
        assert "Traceback" not in program.output

    def close(self) -> None:
        for program in self._left:
            program.close()

    def _command(self, name: str, *arguments: object) -> list[str]:
        self.started.add(name)
        return [installed(name), *map(str, arguments)]


def until(happened: Callable[[], Any], program: Program) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not happened():
        assert program.running and time.monotonic() < deadline_s, program.output
        time.sleep(0.02)


def arm(bench: Bench) -> None:
    """The emulated arm, the calibration read from its servos, and the arm node."""
    link, copy = bench.folder / "arm", bench.folder / "copy.json"
    emulated = bench.start("emulated_arm", "--calibration", CALIBRATION_FILE, "--link", link)
    until(link.exists, emulated)
    bench.finish("so100_calibrate", "--port", link, "--from-servos", "--file", copy)
    assert json.loads(copy.read_text()) == json.loads(Path(CALIBRATION_FILE).read_text())
    bench.node("arm", port=link, calibration=copy)
    bench.node("simulated_world", calibration=copy, port=bench.folder / "world")
    assert emulated.stop() == 0, emulated.output


def dataset(bench: Bench) -> None:
    """A bag is converted to a dataset and back, which is looked at, edited, sent to a hub and played to a policy."""
    bag, dataset, bags = record(bench.folder / "bag"), bench.folder / "dataset", bench.folder / "bags"
    calibration = ("--calibration", CALIBRATION_FILE)
    bench.finish("bag_to_lerobot", bag, "--output", dataset, *calibration, "--jobs", 2)
    assert "0 errors" in bench.finish("check_dataset", dataset, *calibration)
    assert "page: " in bench.finish(
        "view_dataset", dataset, *calibration, "--html", bench.folder / "page.html"
    )
    edited, copy = bench.folder / "edited", bench.folder / "copy"
    bench.finish("edit_dataset", dataset, "--output", edited, "--task", "0=Wave", "--jobs", 1)
    bench.finish("push_dataset", edited, "user/waves", *calibration)
    assert "1 tasks" in bench.finish("pull_dataset", "user/waves", "--output", copy)
    few = ("--min-episodes", 1, "--min-frames", 1, "--min-height", 1, "--no-check")
    assert "1 of 1 datasets" in bench.finish("curate", dataset, *calibration, *few)
    bench.finish(
        "standardize_views",
        dataset,
        "--output",
        bench.folder / "views",
        "--view",
        "camera1=top",
        "--jobs",
        1,
        "--yes",
    )
    with answer_server(lambda _: "Push the cube") as url:
        reworded = ("--output", bench.folder / "reworded", "--url", url, "--jobs", 1, "--all", "--yes")
        assert "Push the cube" in bench.finish("annotate_tasks", dataset, *calibration, *reworded)
    bench.finish("lerobot_to_bag", dataset, "--output", bags, *calibration)
    answers = bench.finish("replay_policy", bags / "episode_000000", "scripted", "--cameras", "top")
    assert "actions compared" in answers
    namespace = ("--ros-args", "-r", "__ns:=/played")
    assert "frames at 30 fps" in bench.finish("play_dataset", dataset, *calibration, *namespace)


def checkpoint(bench: Bench) -> None:
    assert "fits" in bench.finish("check_checkpoint", CHECKPOINT, "--calibration", CALIBRATION_FILE)


def server(bench: Bench) -> None:
    server = bench.start("policy_server", CHECKPOINT, "--address", "127.0.0.1:0")
    server.wait_for("Ctrl-C ends", WITHIN_S)
    assert server.stop() == 0, server.output


def cluster(bench: Bench) -> None:
    program = bench.start("policy_cluster", CHECKPOINT, "--insecure", "--ray", "127.0.0.1:9")
    assert program.wait(WITHIN_S) == 1, program.output
    assert "policy_cluster: " in program.output and "Traceback" not in program.output


def evaluation(bench: Bench) -> None:
    """A small network is made from nothing, trained on a demonstration, and evaluated for a moment."""
    steps = ("--vision-steps", 1, "--steps", 1, "--expert-steps", 1)
    sizes = ("--first-records", 4, "--records-per-file", 4, *steps, "--batch-size", 2)
    bench.finish("make_small_checkpoint", bench.folder / "small", *sizes)
    checkpoint, dataset, run = (bench.folder / name for name in ("small/checkpoint", "shown", "trained"))
    bench.finish("make_demonstrations", "--task", "touch", "--episodes", 1, "--output", dataset, "--jobs", 1)
    sizes = ("--steps", 1, "--batch-size", 2, "--validation", 0, "--workers", 0)
    start = ("--checkpoint", checkpoint, "--calibration", CALIBRATION_FILE, "--device", "cpu")
    bench.finish("train", dataset, "--output", run, *start, *sizes)
    moment = ("--episodes", 1, "--limit-s", 0.5, "--jobs", 1)
    trained = run / "checkpoints" / "last" / "pretrained_model"
    assert "of 1;" in bench.finish("evaluate", trained, *moment)


def keys(name: str, shown: str) -> Callable[[Bench], None]:
    """A program that shows a text, and exits on key q."""

    def job(bench: Bench) -> None:
        terminal = bench.terminal(name, "--ros-args", "-r", f"__ns:=/{name}")
        deadline_s = time.monotonic() + WITHIN_S
        while shown not in terminal.read():
            assert time.monotonic() < deadline_s and terminal.process.poll() is None, terminal.read()
            time.sleep(0.02)
        terminal.press("q")
        assert terminal.wait(WITHIN_S) == 0, terminal.read()
        assert "Traceback" not in terminal.read()

    return job


def node(name: str, **parameters: object) -> Callable[[Bench], None]:
    return lambda bench: bench.node(name, **parameters)


JOBS: dict[str, Callable[[Bench], None]] = {
    "dataset": dataset,  # the longest first
    "checkpoint": checkpoint,
    "evaluation": evaluation,
    "arm": arm,
    "policy_server": server,
    "policy_cluster": cluster,
    "security_policy": lambda bench: bench.finish("security_policy", "sim:=true"),
    "console": node("console", port=0),
    "camera": node("camera", camera="top", source="rendered"),
    "policy": node("policy", policy="scripted"),
    "executor": node("executor"),
    "recorder": node("recorder", output="episodes"),
    "teleop": node("teleop", calibration=CALIBRATION_FILE, leader_calibration=CALIBRATION_FILE),
    "watch": keys("watch", "waiting for executor/state"),
    "jog": keys("jog", "no joint states"),
    "record_keys": keys("record_keys", "space: begin"),
}


Jobs = tuple[Bench, dict[str, Future[None]]]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """All jobs, running in parallel."""
    with (
        pytest.MonkeyPatch.context() as patch,
        hub_server() as hub,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setenv("AMENT_PREFIX_PATH", get_package_prefix("smolvla_ros"))
        patch.delenv("PYTHONPATH", raising=False)
        bench = Bench(tmp_path_factory.mktemp("jobs"))
        try:
            yield bench, {name: pool.submit(job, bench) for name, job in JOBS.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            bench.close()


@pytest.mark.parametrize("name", list(reversed(JOBS)))  # the shortest first
def test_a_program_does_a_small_job(jobs: Jobs, name: str) -> None:
    jobs[1][name].result()


def test_every_program_was_started(jobs: Jobs) -> None:
    assert jobs[0].started == set(PROGRAMS)
