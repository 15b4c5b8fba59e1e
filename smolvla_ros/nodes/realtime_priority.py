# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that must not wait for others asks the operating system to come first."""

from __future__ import annotations

import os

NICENESS = -10  # what is asked for where real-time scheduling is refused


def request_realtime_priority(priority: int) -> str:
    """Ask for SCHED_FIFO at `priority` (1 .. 99) for this thread; returns in words what was granted.

    Refused, it asks for a better niceness. Either needs a right that users seldom have: rtprio or nice in
    /etc/security/limits.conf, or CAP_SYS_NICE.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return f"real-time priority {priority} (SCHED_FIFO)"
    except OSError as error:
        refused = f"real-time priority {priority} was refused ({error.strerror})"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        return f"{refused}; niceness {NICENESS} instead"
    except OSError:
        return f"{refused}, niceness {NICENESS} too; see rtprio in /etc/security/limits.conf"
