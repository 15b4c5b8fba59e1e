# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process of a node exits cleanly: its last messages arrive, and no thread of the middleware is left."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from std_msgs.msg import String

# Stops its node by HOW, then prints the exit code and the names of the remaining threads. The thread that watches
# shared memory belongs to the library and stays until the process exits.
PROGRAM = """
import os, signal, sys
from dataclasses import dataclass
from pathlib import Path
from smolvla_ros.nodes.run_node import run_node
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

    def spin_step(self, executor):
        super().spin_step(executor)
        HOW()

def threads():
    names = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    return sorted(name for name in names if name.startswith("dds.") and name != "dds.shm.wdog")

print(run_node(Ending), threads())
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


NODES, TOPICS = 5, 8
# Stops one node after another as soon as the test has subscribed; each publishes once on every topic when deactivated.
LAST_MESSAGES = """
import os, signal, sys
from dataclasses import dataclass
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import SuiteNode
from std_msgs.msg import String

@dataclass(frozen=True)
class Config:
    pass

class Ending(SuiteNode[Config]):
    def __init__(self):
        super().__init__("ending", Config)
        self.last = [self.create_publisher(String, f"last_{i}", 10) for i in range(int(sys.argv[2]))]

    def spin_step(self, executor):
        super().spin_step(executor)
        if all(publisher.get_subscription_count() for publisher in self.last):
            os.kill(os.getpid(), signal.SIGINT)

    def deactivate(self):
        for publisher in self.last:
            publisher.publish(String(data="the last"))

sys.exit(any(run_node(Ending) for _ in range(int(sys.argv[1]))))
"""


def test_the_last_messages_of_a_node_arrive_on_a_busy_computer(observer: Any) -> None:
    last: list[String] = []
    for number in range(TOPICS):
        observer.node.create_subscription(String, f"last_{number}", last.append, NODES)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    program = subprocess.Popen([sys.executable, "-c", LAST_MESSAGES, str(NODES), str(TOPICS)])
    try:
        observer.until(lambda: program.poll() is not None, "the program to end", 60.0)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert program.returncode == 0
    observer.until(lambda: len(last) == NODES * TOPICS, "the last messages", 2.0)
