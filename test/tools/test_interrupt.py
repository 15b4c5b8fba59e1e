# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a program with its processes, which get the signal from the terminal too, without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..package_files import CALIBRATION_FILE, ROOT
from ..sample_bags import record

CONVERT = """
import os, sys, time
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.tools.bag_to_lerobot import main

def align_bag(self, index):
    os.write(1, f"began {index}\\n".encode())
    time.sleep(60)

Conversion.align_bag = align_bag
if __name__ == "__main__":
    sys.exit(main())
"""


def default_sigint() -> None:
    """Give the signal its default action: it is ignored in programs that a script starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def conversion_of_minutes(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A running conversion of three bags by two processes, in a process group of its own."""
    bags = [record(tmp_path / f"bag{i}", seconds=0.1) for i in range(3)]
    (tmp_path / "convert.py").write_text(CONVERT)
    options = ("--output", tmp_path / "data", "--calibration", CALIBRATION_FILE, "--jobs", "2")
    yield from started([sys.executable, tmp_path / "convert.py", *bags, *options], tmp_path)


def started(command: list[str | Path], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A running program in a process group of its own, as from a terminal."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        preexec_fn=default_sigint,
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def evaluation_of_minutes(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Many trials in two processes, each of which adds a line to a file."""
    options = ("expert", "--episodes", "10000", "--jobs", "2", "--results", tmp_path / "results.jsonl")
    yield from started([sys.executable, "-m", "smolvla_ros.tools.evaluate", *options], tmp_path)


def wait_for_workers(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert {process.stdout.readline() for _ in range(2)} == {"began 0\n", "began 1\n"}


def check_that_all_have_ended(process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + 5.0
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline_s:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


@pytest.mark.slow
def test_when_the_program_is_killed_its_processes_end(conversion_of_minutes: subprocess.Popen[str]) -> None:
    wait_for_workers(conversion_of_minutes)
    conversion_of_minutes.kill()
    conversion_of_minutes.communicate(timeout=20)
    check_that_all_have_ended(conversion_of_minutes)


@pytest.mark.slow
def test_one_ctrl_c_is_acknowledged_and_ends_all_processes(
    conversion_of_minutes: subprocess.Popen[str],
) -> None:
    wait_for_workers(conversion_of_minutes)
    os.killpg(conversion_of_minutes.pid, signal.SIGINT)
    began_s = time.monotonic()
    _, errors = conversion_of_minutes.communicate(timeout=20)
    assert time.monotonic() - began_s < 3.0
    assert conversion_of_minutes.returncode == 130
    assert errors == "bag_to_lerobot: stopped; run the same command again to continue\n"
    check_that_all_have_ended(conversion_of_minutes)


@pytest.mark.slow
@pytest.mark.parametrize("between_s", [0.0, 0.01])
def test_a_second_ctrl_c_does_not_hang(
    conversion_of_minutes: subprocess.Popen[str], between_s: float
) -> None:
    wait_for_workers(conversion_of_minutes)
    for _ in range(2):
        os.killpg(conversion_of_minutes.pid, signal.SIGINT)
        time.sleep(between_s)
    began_s = time.monotonic()
    _, errors = conversion_of_minutes.communicate(timeout=20)
    assert time.monotonic() - began_s < 3.0
    assert conversion_of_minutes.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in errors


@pytest.mark.slow
def test_ctrl_c_ends_the_trials_of_an_evaluation(
    evaluation_of_minutes: subprocess.Popen[str], tmp_path: Path
) -> None:
    while not (tmp_path / "results.jsonl").exists():
        assert evaluation_of_minutes.poll() is None, evaluation_of_minutes.communicate()[1]
        time.sleep(0.02)
    os.killpg(evaluation_of_minutes.pid, signal.SIGINT)
    _, errors = evaluation_of_minutes.communicate(timeout=20)
    assert evaluation_of_minutes.returncode == 130
    assert errors == "evaluate: interrupted\n"
    check_that_all_have_ended(evaluation_of_minutes)


def test_ctrl_c_while_a_program_imports_its_libraries_gives_no_traceback() -> None:
    interrupted = "import os, signal, smolvla_ros.tools; os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run(
        [sys.executable, "-c", interrupted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=default_sigint,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "interrupted\n")
