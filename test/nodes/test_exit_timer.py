# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process that hangs in a library ends, with the exit code that it would have had."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HANGING = """
import ctypes, sys
from smolvla_ros.nodes.exit_timer import exit_after

print("said before")
with exit_after(1, int(sys.argv[1])):
    ctypes.PyDLL(None).sleep(60)  # holds Python's lock
"""
ENDING = """
import time
from smolvla_ros.nodes.exit_timer import exit_after

with exit_after(1, 7):
    pass
time.sleep(1.5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_hangs_while_it_holds_python_s_lock_ends(code: int) -> None:
    started_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(code)], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stdout) == (code, "said before\n")
    assert time.monotonic() - started_s < 30.0


@pytest.mark.slow
def test_a_process_that_does_not_hang_goes_on() -> None:
    assert subprocess.run([sys.executable, "-c", ENDING], timeout=50).returncode == 0
