# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A test or a command that hangs is killed in time, with its processes, and their stacks are printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import watchdog

TEST = Path(__file__).parent
HANGING = """
import ctypes, signal, subprocess, sys

def wait_in_compiled_code():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGINT})  # as limits inside pytest use
    libc = ctypes.PyDLL(None)  # which does not release the interpreter lock
    while True:
        libc.pause()
"""
TESTS = f"""{HANGING}
def test_passes():
    pass

def test_hangs(tmp_path):
    with open(tmp_path / "child.log", "w") as log:
        subprocess.Popen(
            [sys.executable, "-c", "def wait_for_ever():\\n    import time; time.sleep(100)\\nwait_for_ever()"],
            stderr=log, start_new_session=True,
        )
    wait_in_compiled_code()

def test_passes_too():
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with three tests, the second of which hangs, and the time limit of this project."""
    (tmp_path / "test").mkdir()
    for name in ("conftest.py", "watchdog.py"):
        shutil.copy(TEST / name, tmp_path / "test" / name)
    shutil.copy(TEST.parent / "executables.txt", tmp_path)  # conftest.py reads it
    (tmp_path / "test" / "test_three.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p xdist\ntest_limit_s = 2\n")
    return tmp_path


def run_pytest(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project, capture_output=True, text=True, timeout=30.0,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


def is_ended(output: str) -> bool:
    """Whether the processes that the watchdog lists have ended."""
    pids = [int(pid) for pid in re.findall(r"^-+ (\d+): ", output, re.MULTILINE)]
    return len(pids) >= 2 and not any(map(watchdog.is_running, pids))


@pytest.mark.slow
def test_a_test_that_hangs_in_compiled_code_is_killed_with_its_processes(project: Path) -> None:
    result = run_pytest(project)
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "test/test_three.py::test_hangs has run for 2 s: 2 processes are ended" in output
    assert "in wait_in_compiled_code" in output and "in wait_for_ever" in output
    assert is_ended(output)


@pytest.mark.slow
def test_with_workers_pytest_runs_the_other_tests(project: Path) -> None:
    result = run_pytest(project, "-n", "1")
    assert result.returncode == 1
    assert "1 failed, 2 passed" in result.stdout
    assert "crashed while running 'test/test_three.py::test_hangs'" in result.stdout


@pytest.mark.slow
def test_a_command_past_its_limit_is_killed_with_all_its_processes(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        f"{HANGING}\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'], start_new_session=True)\n"
        "wait_in_compiled_code()\n"
    )
    begin_s = time.monotonic()
    result = subprocess.run(
        [sys.executable, watchdog.__file__, "1", "sh", "-c", f"{sys.executable} {script}; true"],
        capture_output=True, text=True, timeout=30.0,
    )  # fmt: skip
    assert result.returncode == watchdog.LIMIT_REACHED
    assert time.monotonic() - begin_s < 20.0
    assert "in wait_in_compiled_code" in result.stderr
    assert is_ended(result.stderr)


def test_a_command_within_its_limit_keeps_its_output_and_exit_code() -> None:
    result = subprocess.run(
        [sys.executable, watchdog.__file__, "30", "sh", "-c", "echo done; exit 3"],
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (3, "done\n")
