# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs of the suite as forks of a process that has imported their modules.

Imports take more than half of the start of a program, and the node tests start two hundred programs. Each still is a
process of its own, with its own DDS participant. Start and exit in a new interpreter are tested where the fixture
`start_new_interpreter` is used, and in test_executables.py.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# Not torch: at its end a node runs the garbage collector, which takes long with the objects of torch.
multiprocessing.set_forkserver_preload(
    [
        *(
            f"smolvla_ros.nodes.{name}_node"
            for name in ("arm", "camera", "console", "executor", "policy", "recorder", "teleop")
        ),
        "smolvla_ros.simulation.emulated_arm",
    ]
)
# The program of the new process; a string, because it cannot import from tests.
RUN = """
import importlib, os, signal, sys
signal.signal(signal.SIGHUP, hangup)  # under nohup the process that forks ignores it
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
file = os.open(log, os.O_WRONLY | os.O_APPEND)
os.dup2(file, 1)
os.dup2(file, 2)
sys.argv = [module, *arguments]
sys.exit(importlib.import_module(module).main())
"""


class Forked:
    """A running program, with the interface of subprocess.Popen."""

    def __init__(self, module: str, arguments: list[str], log: Path, folder: Path) -> None:
        log.touch()
        values = {
            "module": module,
            "arguments": arguments,
            "log": str(log),
            "folder": str(folder),
            "environment": dict(os.environ),
            "hangup": signal.getsignal(signal.SIGHUP),
        }
        self._process = ForkServerProcess(target=exec, args=(RUN, values))
        self._process.start()
        atexit.register(self.kill)  # else multiprocessing waits for it, without end, at the exit of pytest
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout_s or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
