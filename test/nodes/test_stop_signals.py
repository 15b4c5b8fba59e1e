# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When its terminal is closed, a program stops as on Ctrl-C: the arm node and the emulated arm clean up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.stop_signals import STOP_SIGNALS, handle_stop_signals, recorded_stop_signals


@pytest.mark.usefixtures("sighup_has_default_action")
def test_sighup_stops_the_arm_node_and_the_emulated_arm_cleanly(
    start_new_interpreter: Any, emulated_arm: Any
) -> None:
    port, emulated = emulated_arm
    arm = start_new_interpreter("nodes.arm_node", port=port, on_deactivate="release")
    arm.wait_for(": active")
    assert arm.stop(signal.SIGHUP) == 0, arm.output
    assert "Traceback" not in arm.output
    with closing(FeetechBus(port)) as bus, bus.long_timeouts():
        bus.open()
        assert [bus.read(servo_id, "Torque_Enable") for servo_id in range(1, 7)] == [0] * 6
    assert emulated.stop(signal.SIGHUP) == 0, emulated.output
    assert not os.path.lexists(port)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restores the signal handlers of this process."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("sighup_has_default_action")
def test_each_stop_signal_is_recorded(handlers: None) -> None:
    with recorded_stop_signals() as noted:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
    assert noted == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_under_nohup_sighup_is_ignored(handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    noted: list[int] = []
    handle_stop_signals(lambda number, _frame: noted.append(number))
    os.kill(os.getpid(), signal.SIGHUP)
    assert noted == []
