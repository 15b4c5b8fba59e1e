# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs of the suite as processes: start, restart and stop; none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.suite import processes as module
from smolvla_ros.suite.node_spec import NodeSpec
from smolvla_ros.suite.processes import ExitStatus, ProcessError, Processes, last_lines

from ..package_files import CALIBRATION_FILE, ROOT


def emulated_arm(name: str, *arguments: str, **fields: Any) -> NodeSpec:
    return NodeSpec("emulated_arm", name, arguments=arguments, is_ros=False, **fields)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.stop(0.0)


def test_a_program_waits_for_the_first_line_of_another(processes: Processes, tmp_path: Path) -> None:
    processes.start(
        emulated_arm("first", "--calibration", CALIBRATION_FILE, "--link", str(tmp_path / "port"))
    )
    processes.start(emulated_arm("second", "--calibration", CALIBRATION_FILE, after="first"))
    assert (tmp_path / "port").exists()
    processes.check()


def test_all_programs_stop_and_their_exit_status_is_returned(processes: Processes, tmp_path: Path) -> None:
    processes.start(emulated_arm("first", "--calibration", CALIBRATION_FILE))
    processes.start(emulated_arm("second", "--calibration", CALIBRATION_FILE, after="first"))
    processes._wait_for_first_line("second", lambda: False)
    assert processes.stop() == {"first": ExitStatus(0), "second": ExitStatus(0)}
    processes.check()


def test_an_unexpected_exit_is_reported_with_the_end_of_the_log(processes: Processes) -> None:
    processes.start(emulated_arm("broken", "--calibration", "/no/such.json"))
    processes._running["broken"].process.wait(10.0)
    with pytest.raises(ProcessError, match=r"broken has ended \(exit code 2\)(.|\n)*/no/such.json"):
        processes.check()


def test_a_killed_spare_program_is_restarted_and_one_that_fails_is_left_out(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_DELAY_S", 0.0)
    processes.start(emulated_arm("needed", "--calibration", CALIBRATION_FILE))
    processes.start(emulated_arm("spare", "--calibration", CALIBRATION_FILE, needed=False, restarts=True))
    processes.start(emulated_arm("refusing", "--no-such-option", needed=False))
    first = processes._running["spare"].process
    first.kill()
    first.wait()
    processes._running["refusing"].process.wait(10.0)
    assert sorted(processes.check()) == [
        "refusing has ended (exit code 2); the suite goes on without it",
        "spare has ended (exit code -9); it is started again in 2 s",
    ]
    assert processes.check() == []
    assert processes._running["spare"].process is not first
    processes._running["spare"].log.write_bytes(b"")
    processes._wait_for_first_line("spare", lambda: False)
    ended = processes.stop()
    assert ended["spare"] == ExitStatus(0, unexpected_exits=1) and ended["refusing"].unexpected_exits == 1
    assert ended["needed"] == ExitStatus(0)


def test_the_arm_stops_before_the_others(processes: Processes) -> None:
    for name, holds_arm in (("camera", False), ("arm", True)):
        processes.start(emulated_arm(name, "--calibration", CALIBRATION_FILE, holds_arm=holds_arm))
        processes._wait_for_first_line(name, lambda: False)
    arm, camera = (processes._running[name].process for name in ("arm", "camera"))
    os.kill(arm.pid, signal.SIGSTOP)  # it does not stop at once
    seen: list[int | None] = []

    def go_on() -> None:
        seen.append(camera.poll())
        os.kill(arm.pid, signal.SIGCONT)

    threading.Timer(0.5, go_on).start()
    assert processes.stop() == {"arm": ExitStatus(0), "camera": ExitStatus(0)}
    assert seen == [None]  # the camera ran while the arm had not ended


def test_waiting_for_a_program_that_has_exited_raises_an_error(processes: Processes) -> None:
    processes.start(NodeSpec("demo", "silent", arguments=("--help",), is_ros=False))
    processes._running["silent"].log.unlink()
    processes._running["silent"].log.touch()
    processes._running["silent"].process.wait(10.0)
    with pytest.raises(ProcessError, match="silent has ended"):
        processes.start(emulated_arm("second", after="silent"))


def test_a_program_that_does_not_stop_is_killed(processes: Processes) -> None:
    processes.start(emulated_arm("deaf", "--calibration", CALIBRATION_FILE))
    processes._wait_for_first_line("deaf", lambda: False)
    os.kill(processes._running["deaf"].process.pid, signal.SIGSTOP)
    assert processes.stop(0.2) == {"deaf": ExitStatus(-signal.SIGKILL, killed=True)}


def test_no_program_outlives_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from smolvla_ros.suite.node_spec import NodeSpec\n"
        "from smolvla_ros.suite.processes import Processes\n"
        f"processes = Processes(Path({str(tmp_path)!r}))\n"
        f"arguments = ('--calibration', {CALIBRATION_FILE!r})\n"
        "processes.start(NodeSpec('emulated_arm', 'arm', arguments=arguments, is_ros=False))\n"
        "processes._wait_for_first_line('arm', lambda: False)\n"
        "print(processes._running['arm'].process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    deadline_s = time.monotonic() + 10.0
    while is_running(pid):
        assert time.monotonic() < deadline_s, "the emulated arm still runs"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """A zombie does not count."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_last_lines_are_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(map(str, range(100))))
    assert last_lines(tmp_path / "a.log", 2) == "  98\n  99"
    (tmp_path / "b.log").write_text("")
    assert "nothing" in last_lines(tmp_path / "b.log")
