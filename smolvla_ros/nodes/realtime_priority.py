# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real-time scheduling for the current thread."""

from __future__ import annotations

import os

NICENESS = -10  # if real-time scheduling is not permitted


def request_realtime_priority(priority: int) -> str:
    """Request SCHED_FIFO with `priority` (1 .. 99), or else a lower niceness; returns a line about the result.

    Either needs a permission: rtprio or nice in /etc/security/limits.conf, or CAP_SYS_NICE.
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
