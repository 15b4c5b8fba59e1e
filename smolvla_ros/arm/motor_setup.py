# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds a servo at any id and baud rate, and gives it the id and baud rate that it has in an arm."""

from __future__ import annotations

from contextlib import closing, suppress

from smolvla_ros.arm.feetech import BusError, CorruptReplyError, FeetechBus, NoAnswerError
from smolvla_ros.arm.registers import BAUD_RATES, STS3215_MODEL_NUMBER

SCAN_TIMEOUT_S = 0.012  # two short packets at the slowest rate, and the delay of the USB adapter
# Each rate and id is tried so often: an answer may be lost, or a busy computer may read it too late.
SCAN_ATTEMPTS = 2


def find_servos(port: str, highest_id: int) -> tuple[int, list[int]]:
    """The first baud rate at which servos answer, and their ids.

    Raises BusError when no servo answers, or several with the same id.
    """
    for baudrate in BAUD_RATES * SCAN_ATTEMPTS:
        with closing(FeetechBus(port, baudrate, timeout_s=SCAN_TIMEOUT_S, retries=0)) as bus:
            bus.open()
            found = [servo_id for servo_id in range(highest_id + 1) if _answers(bus, servo_id)]
        if found:
            return baudrate, found
    raise BusError(f"no servo answers on {port} at any baud rate; check its cable and the power supply")


def _answers(bus: FeetechBus, servo_id: int) -> bool:
    try:
        bus.read(servo_id, "ID")  # a read, because the adapter's echo looks like the answer to a ping
    except NoAnswerError:
        return False
    except CorruptReplyError as error:
        raise BusError(f"{error}; or several servos have the id {servo_id}, connect only one") from error
    return True


def set_id_and_baud_rate(port: str, baudrate: int, servo_id: int, new_id: int) -> None:
    """Give the one servo on the bus its new id and 1 Mbit/s; raises BusError unless it then answers with both."""
    with closing(FeetechBus(port, baudrate)) as bus, bus.long_timeouts():
        bus.open()
        model = bus.read(servo_id, "Model_Number")
        if model != STS3215_MODEL_NUMBER:
            raise BusError(
                f"servo {servo_id} is model {model}, an SO-100 has STS3215 ({STS3215_MODEL_NUMBER})"
            )
        bus.write(servo_id, "Torque_Enable", 0)
        bus.write(servo_id, "Lock", 0)
        _change(bus, servo_id, "ID", new_id)
        _change(bus, new_id, "Baud_Rate", 0)
    with closing(FeetechBus(port, BAUD_RATES[0])) as bus, bus.long_timeouts():
        bus.open()
        bus.write(new_id, "Lock", 1)


def _change(bus: FeetechBus, servo_id: int, register: str, value: int) -> None:
    """Write a register if its value differs.

    The acknowledgement may already come with the new id or at the new rate, so a missing one is ignored: the next
    access fails if the write did.
    """
    if bus.read(servo_id, register) != value:
        with suppress(NoAnswerError, CorruptReplyError):
            bus.write(servo_id, register, value)
