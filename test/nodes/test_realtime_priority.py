# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real-time priority is requested; if it is refused, the result says so and the program continues."""

from __future__ import annotations

import os
from typing import Any

import pytest

from smolvla_ros.nodes.realtime_priority import NICENESS, request_realtime_priority


def refuse(*_: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_the_granted_priority_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *arguments: asked.append(arguments))
    assert request_realtime_priority(7) == "real-time priority 7 (SCHED_FIFO)"
    assert asked == [(0, os.SCHED_FIFO, os.sched_param(7))]


def test_if_refused_it_requests_niceness(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", lambda *arguments: asked.append(arguments))
    assert "refused (Operation not permitted); niceness -10 instead" in request_realtime_priority(7)
    assert asked == [(os.PRIO_PROCESS, 0, NICENESS)]


def test_if_both_are_refused_the_message_names_limits_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert "limits.conf" in request_realtime_priority(7)
