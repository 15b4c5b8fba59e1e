# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoding gives real-time priority neither to its caller, nor to the encoder's threads, nor to later processes.

libsvtav1 sets it only when run by root, so these tests are significant only for root, as in CI and in containers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from resource import RLIMIT_RTPRIO, getrlimit

import pytest

from smolvla_ros.dataset.realtime_permission import without_realtime_permission
from smolvla_ros.dataset.video import Codec

from ..package_files import CALIBRATION_FILE, ROOT
from ..sample_bags import record

OTHER = os.SCHED_OTHER
ENCODE = """
import json, os, subprocess, sys
from pathlib import Path
import numpy as np
from smolvla_ros.dataset.video import encode_video

seen = {"during": set()}

def policies():
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}

def images():
    for grey in range(20):
        yield np.full((48, 64, 3), grey, np.uint8)
        seen["during"] |= policies()

encode_video(Path(sys.argv[1]), images(), 30, sys.argv[2])
seen["after"] = policies()
child = [sys.executable, "-S", "-c", "import os; print(os.sched_getscheduler(0))"]
seen["child"] = {int(subprocess.run(child, stdout=subprocess.PIPE).stdout)}
print(json.dumps({when: sorted(found) for when, found in seen.items()}))
"""


def policies(pid: str) -> set[int]:
    """The scheduling policies of all threads of a process; none of one that has ended."""
    found = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found.add(os.sched_getscheduler(int(thread)))
    except OSError:
        pass
    return found


def effective_capabilities() -> str:
    status = Path("/proc/thread-self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("CapEff"))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_neither_the_caller_of_the_encoder_nor_its_children_become_real_time(
    codec: Codec, tmp_path: Path
) -> None:
    program = [sys.executable, "-c", ENCODE, tmp_path / "video.mp4", codec]
    seen = json.loads(subprocess.run(program, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    assert seen == {"during": [OTHER], "after": [OTHER], "child": [OTHER]}


@pytest.mark.slow
def test_no_process_of_bag_to_lerobot_becomes_real_time(tmp_path: Path) -> None:
    bag, seen = record(tmp_path / "bag", seconds=2.0), set()
    arguments = ["--calibration", CALIBRATION_FILE, "--codec", "av1", "--jobs", "1"]
    command = [sys.executable, "-m", "smolvla_ros.tools.bag_to_lerobot", bag, "--output", tmp_path / "set"]
    program = subprocess.Popen([*command, *arguments], cwd=ROOT, start_new_session=True)
    while program.poll() is None:
        for process in os.listdir("/proc"):
            if process.isdigit() and is_in_session(process, program.pid):
                seen |= policies(process)
    assert program.returncode == 0
    assert seen == {OTHER}


def is_in_session(pid: str, session: int) -> bool:
    try:
        return os.getsid(int(pid)) == session
    except ProcessLookupError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set a thread's scheduling in any case")
def test_the_permission_is_removed_for_the_block_and_restored() -> None:
    before = (getrlimit(RLIMIT_RTPRIO), effective_capabilities())
    with without_realtime_permission(), pytest.raises(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with pytest.raises(KeyError), without_realtime_permission():
        raise KeyError
    assert (getrlimit(RLIMIT_RTPRIO), effective_capabilities()) == before
