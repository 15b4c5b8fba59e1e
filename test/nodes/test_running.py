# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node's process ends in an orderly way: no thread of the middleware is left when the interpreter is taken down."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Ends its node by HOW, then prints the exit code and the names of the threads that are left. That of the watchdog
# over shared memory belongs to the library and stays until the process ends.
PROGRAM = """
import os, signal, sys
from dataclasses import dataclass
from pathlib import Path
from smolvla_ros.nodes.running import run
from smolvla_ros.nodes.suite_node import SuiteNode

@dataclass(frozen=True)
class Config:
    pass

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)

def broken():
    raise RuntimeError("a defect")

class Ending(SuiteNode[Config]):
    def __init__(self):
        super().__init__("ending", Config)
        print(threads())

    def turn(self, executor):
        super().turn(executor)
        HOW()

def threads():
    names = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    return sorted(name for name in names if name.startswith("dds.") and name != "dds.shm.wdog")

print(run(Ending), threads())
"""


@pytest.mark.parametrize(("how", "code"), [("interrupted", 0), ("broken", 1)])
def test_no_thread_of_the_middleware_outlives_the_node(how: str, code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("HOW", how)], capture_output=True, text=True, timeout=60.0
    )
    before, after = ended.stdout.splitlines()
    assert "dds.ev" in before
    assert after == f"{code} []", ended.stderr
    assert ("a defect" in ended.stderr) == (how == "broken")
