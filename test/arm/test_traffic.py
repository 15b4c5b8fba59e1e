# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of every operation of the arm, compared with bytes written by hand from the protocol.

The expected bytes use neither the package's encoder nor its register table.
"""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from collections.abc import Iterator

import numpy as np
import pytest

from smolvla_ros.arm.feetech import FeetechBus
from smolvla_ros.arm.so100 import So100Arm
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.units import JointUnits, MotorCalibration


class Tap:
    """A line between driver and servos that records every byte in both directions."""

    def __init__(self, port: str) -> None:
        self.sent = bytearray()  # by the driver
        self.answered = bytearray()
        self._servos = os.open(port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._servos)
        settings = termios.tcgetattr(self._servos)
        settings[4:6] = [termios.B1000000] * 2
        termios.tcsetattr(self._servos, termios.TCSANOW, settings)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join()
        for descriptor in (self._servos, self._master, self._slave, self._stop_read, self._stop_write):
            os.close(descriptor)

    def _forward(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._servos, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            for source, target, note in (
                (self._master, self._servos, self.sent),
                (self._servos, self._master, self.answered),
            ):
                if source in ready:
                    data = os.read(source, 4096)
                    note += data
                    os.write(target, data)


@pytest.fixture
def tap(emulated: EmulatedArm) -> Iterator[Tap]:
    tap = Tap(emulated.port)
    yield tap
    tap.close()


@pytest.fixture
def arm(tap: Tap, calibration: dict[str, MotorCalibration]) -> Iterator[So100Arm]:
    units = [JointUnits(name, "degrees", 1, 0.0, motor) for name, motor in calibration.items()]
    arm = So100Arm(FeetechBus(tap.port, timeout_s=2.0, gap_s=2.0), units)
    arm.connect()
    tap.sent.clear()
    tap.answered.clear()
    yield arm
    arm.close()


def split(traffic: bytearray) -> list[str]:
    """The packets of whole traffic by their length bytes, nothing left over, each sum checked, as hexadecimal."""
    found = []
    rest = bytes(traffic)
    while rest:
        assert rest[:2] == b"\xff\xff" and len(rest) >= 6
        packet, rest = rest[: 4 + rest[3]], rest[4 + rest[3] :]
        assert (sum(packet[2:-1]) + packet[-1]) % 256 == 255
        found.append(packet.hex(" ").upper())
    return found


# FF FF, id FE (all), length, SYNC READ 82, address 28 (40), 1F (31) bytes, six ids, sum
READ_ALL = "FF FF FE 0A 82 28 1F 01 02 03 04 05 06 19"
# the same of one register: Torque_Enable, address 28, 1 byte; Goal_Position, address 2A, 2 bytes
READ_TORQUE = "FF FF FE 0A 82 28 01 01 02 03 04 05 06 37"
READ_GOALS = "FF FF FE 0A 82 2A 02 01 02 03 04 05 06 34"


def test_reading_is_one_sync_read_of_addresses_40_to_70(tap: Tap, arm: So100Arm) -> None:
    arm.read()
    assert split(tap.sent) == [READ_ALL]
    answers = split(tap.answered)
    assert [answer[6:14] for answer in answers] == [f"{i:02X} 21 00" for i in range(1, 7)]
    assert len(answers[0].split()) == 6 + 31
    # shoulder_pan stands at 2040, 07F8: bytes 16 and 17 of the block, little-endian
    assert answers[0].split()[5 + 16 : 5 + 18] == ["F8", "07"]


def test_torque_on_writes_the_present_position_first(tap: Tap, arm: So100Arm) -> None:
    arm.enable_torque()
    # SYNC WRITE 83 to address 2A, 2 bytes each
    goals = split(tap.sent)[1].split()
    assert goals[:7] == ["FF", "FF", "FE", "16", "83", "2A", "02"]
    assert goals[7::3][:6] == ["01", "02", "03", "04", "05", "06"]
    assert goals[8:10] == ["F8", "07"]
    # address 28, 1 byte each: 01
    torque = "FF FF FE 10 83 28 01 01 01 02 01 03 01 04 01 05 01 06 01 2A"
    assert [packet for n, packet in enumerate(split(tap.sent)) if n != 1] == [
        READ_ALL,
        READ_GOALS,
        torque,
        READ_TORQUE,
    ]


def test_goals_are_one_sync_write_without_answers(tap: Tap, arm: So100Arm) -> None:
    arm.enable_torque()
    arm.read()
    tap.sent.clear()
    tap.answered.clear()
    ticks = (1000, 1500, 2000, 2500, 3000, 2200)  # 03E8 05DC 07D0 09C4 0BB8 0898
    arm.write(np.array([unit.ticks_to_rad(float(t)) for unit, t in zip(arm.units, ticks, strict=True)]))
    arm.bus.read(1, "Torque_Enable")
    sent, answers = split(tap.sent), split(tap.answered)
    assert sent == [
        "FF FF FE 16 83 2A 02 01 E8 03 02 DC 05 03 D0 07 04 C4 09 05 B8 0B 06 98 08 54",
        "FF FF 01 04 02 28 01 CF",
    ]
    assert answers == ["FF FF 01 03 00 01 FA"]


def test_torque_off_is_written_to_all_and_confirmed(tap: Tap, arm: So100Arm) -> None:
    arm.disable_torque()
    assert split(tap.sent) == [
        "FF FF FE 10 83 28 01 01 00 02 00 03 00 04 00 05 00 06 00 30",
        READ_TORQUE,
    ]
    assert split(tap.answered) == [f"FF FF {i:02X} 03 00 00 {252 - i:02X}" for i in range(1, 7)]


def test_ping_write_and_acknowledgement(tap: Tap, arm: So100Arm) -> None:
    arm.bus.ping(3)
    arm.bus.write(3, "Lock", 0)  # address 37
    arm.bus.write(3, "Homing_Offset", -947)  # address 1F; sign in bit 11: 0800 + 03B3 = 0BB3
    arm.bus.write(3, "Lock", 1)
    assert split(tap.sent) == [
        "FF FF 03 02 01 F9",
        "FF FF 03 04 03 37 00 BE",
        "FF FF 03 05 03 1F B3 0B 17",
        "FF FF 03 04 03 37 01 BD",
    ]
    assert split(tap.answered) == ["FF FF 03 02 00 FA"] * 4
