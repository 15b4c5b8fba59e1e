# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bus on a scripted port: the bytes it sends, and good, late and damaged answers."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from smolvla_ros.arm.feetech import (
    BusError,
    CorruptReplyError,
    FeetechBus,
    NoAnswerError,
    PortError,
)
from smolvla_ros.arm.registers import TELEMETRY, RegisterError

SILENCE = b""
ACKNOWLEDGED = bytes.fromhex("FF FF 01 02 00 FC")


class Wire:
    """The far end of a serial port: records every request and sends one prepared answer to each."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answers: list[bytes] = []
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def expect(self, *answers: str | bytes) -> None:
        self.answers = [bytes.fromhex(answer) if isinstance(answer, str) else answer for answer in answers]

    def close(self) -> None:
        os.close(self.slave)  # the last one: reading the master fails now, which ends the thread
        self._thread.join()
        os.close(self.master)

    def _play(self) -> None:
        pending = b""
        while True:
            try:
                pending += os.read(self.master, 4096)
            except OSError:
                return
            while len(pending) >= 4 and len(pending) >= pending[3] + 4:
                request, pending = pending[: pending[3] + 4], pending[pending[3] + 4 :]
                self.requests.append(request.hex(" ").upper())
                if self.answers:
                    os.write(self.master, self.answers.pop(0))


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def bus(wire: Wire) -> Iterator[FeetechBus]:
    bus = FeetechBus(wire.port, timeout_s=0.3, gap_s=0.3, retries=0, budget_s=10.0)
    bus.open()
    yield bus
    bus.close()


def test_ping(wire: Wire, bus: FeetechBus) -> None:
    wire.expect(ACKNOWLEDGED)
    assert bus.ping(1) == 0
    assert wire.requests == ["FF FF 01 02 01 FB"]


def test_read_of_a_word(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 01 04 00 18 05 DD")
    assert bus.read(1, "Present_Position") == 0x0518
    assert wire.requests == ["FF FF 01 04 02 38 02 BE"]


def test_read_of_a_signed_word(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 03 04 00 53 08 9D")  # bit 11 is the sign
    assert bus.read(3, "Homing_Offset") == -0x53
    assert wire.requests == ["FF FF 03 04 02 1F 02 D5"]


def test_write_of_a_byte_waits_for_the_acknowledgement(wire: Wire, bus: FeetechBus) -> None:
    wire.expect(ACKNOWLEDGED)
    assert bus.write(1, "Torque_Enable", 1) == 0
    assert wire.requests == ["FF FF 01 04 03 28 01 CE"]


def test_write_of_a_signed_word(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 02 02 00 FB")
    bus.write(2, "Homing_Offset", -947)
    assert wire.requests == ["FF FF 02 05 03 1F B3 0B 18"]


def test_present_state_of_six_servos_is_one_request(wire: Wire, bus: FeetechBus) -> None:
    answer = bytes.fromhex("FF FF 01 11 00 18 05 64 80 2C 04 4A 1E 00 00 01 00 00 0A 00 49")
    others = [_renumbered(answer, servo_id) for servo_id in (2, 3, 4, 5, 6)]
    wire.expect(b"".join([answer, *others]))
    reply = bus.sync_read((1, 2, 3, 4, 5, 6), TELEMETRY[-8:])
    assert wire.requests == ["FF FF FE 0A 82 38 0F 01 02 03 04 05 06 19"]
    assert reply.failures == {}
    assert list(reply.values) == [1, 2, 3, 4, 5, 6]
    assert reply.values[6] == {
        "Present_Position": 1304,
        "Present_Velocity": -100,
        "Present_Load": -44,
        "Present_Voltage": 74,
        "Present_Temperature": 30,
        "Status": 0,
        "Moving": 1,
        "Present_Current": 10,
    }


def test_goals_of_two_servos_are_one_broadcast_without_answer(wire: Wire, bus: FeetechBus) -> None:
    wire.expect(SILENCE, ACKNOWLEDGED)
    bus.sync_write("Goal_Position", {1: 2048, 2: 1000})
    bus.ping(1)  # sent at once: the driver waits for no answer to a broadcast
    assert wire.requests[0] == "FF FF FE 0A 83 2A 02 01 00 08 02 E8 03 52"


def test_late_answer_is_not_taken_for_the_next_one(wire: Wire, bus: FeetechBus) -> None:
    # position 4095, the answer to an earlier request
    os.write(wire.master, bytes.fromhex("FF FF 01 04 00 FF 0F EC"))
    time.sleep(0.01)
    wire.expect("FF FF 01 04 00 18 05 DD")
    assert bus.read(1, "Present_Position") == 0x0518


def test_answer_of_another_servo_is_not_taken_for_this_one(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 02 04 00 FF 0F EB FF FF 01 04 00 18 05 DD")
    assert bus.read(1, "Present_Position") == 0x0518


def test_answer_in_pieces_is_put_together(wire: Wire, bus: FeetechBus) -> None:
    def dribble() -> None:
        for byte in bytes.fromhex("FF FF 01 04 00 18 05 DD"):
            time.sleep(0.002)
            os.write(wire.master, bytes((byte,)))

    slow = threading.Thread(target=dribble)
    slow.start()
    assert bus.read(1, "Present_Position") == 0x0518
    slow.join()


def test_hardware_error_bits_are_handed_on(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 01 02 21 DB")
    assert bus.ping(1) == 0x21
    assert bus.counters[1].error_bits == 0x21


def test_silent_servo_is_named_with_the_remedy(bus: FeetechBus) -> None:
    with pytest.raises(
        NoAnswerError, match=r"no answer from servo 4 on /dev/.* within 300 ms; check its cable"
    ):
        bus.ping(4)
    assert bus.counters[4].communication_errors == 1


def test_damaged_answer_is_named(wire: Wire, bus: FeetechBus) -> None:
    wire.expect("FF FF 01 04 00 18 05 DC")
    with pytest.raises(CorruptReplyError, match="corrupt answer from servo 1"):
        bus.read(1, "Present_Position")


def test_one_lost_answer_is_requested_again_and_counted(wire: Wire, bus: FeetechBus) -> None:
    bus.retries = 1
    wire.expect(SILENCE, ACKNOWLEDGED)
    assert bus.ping(1) == 0
    assert (bus.counters[1].retries, bus.counters[1].communication_errors) == (1, 0)


def test_only_the_missing_servo_is_asked_again(wire: Wire, bus: FeetechBus) -> None:
    bus.retries = 1
    wire.expect("FF FF 01 04 00 18 05 DD FF FF 03 04 00 18 05 DB", "FF FF 02 05 00 18 05 64 77")
    reply = bus.sync_read((1, 2, 3), ("Present_Position",))
    assert wire.requests == ["FF FF FE 07 82 38 02 01 02 03 38", "FF FF 02 04 02 38 03 BC"]
    assert [reply.values[servo_id]["Present_Position"] for servo_id in (1, 2, 3)] == [0x0518] * 3
    assert [bus.counters[servo_id].retries for servo_id in (1, 2, 3)] == [0, 1, 0]


def test_answer_to_the_first_try_is_not_taken_for_that_to_the_second(wire: Wire, bus: FeetechBus) -> None:
    bus.retries = 1
    wire.expect(SILENCE, "FF FF 01 04 00 FF 0F EC FF FF 01 05 00 18 05 00 DC")  # 4095, late, and then 1304
    assert bus.read(1, "Present_Position") == 0x0518
    assert wire.requests == ["FF FF 01 04 02 38 02 BE", "FF FF 01 04 02 38 03 BD"]


def test_late_answer_about_another_register_is_not_taken_for_this_one(wire: Wire, bus: FeetechBus) -> None:
    wire.expect(SILENCE, "FF FF 01 04 00 FF 0F EC FF FF 01 03 00 49 B2")
    with pytest.raises(NoAnswerError):
        bus.read(1, "Present_Position")
    assert bus.read(1, "Present_Voltage") == 0x49


def test_echo_of_the_request_is_not_taken_for_the_answer(wire: Wire, bus: FeetechBus) -> None:
    echo = "FF FF 01 04 02 38 02 BE"  # as an answer: position 568 of a servo with a broken sensor
    wire.expect(echo + "FF FF 01 04 00 18 05 DD", echo)
    assert bus.read(1, "Present_Position") == 0x0518
    with pytest.raises(NoAnswerError):
        bus.read(1, "Present_Position")


def test_echo_of_a_ping_is_not_taken_for_a_servo_with_a_bad_supply(wire: Wire, bus: FeetechBus) -> None:
    echo = "FF FF 01 02 01 FB"
    wire.expect(echo, "FF FF 01 03 00 00 FB", echo, "FF FF 01 03 01 01 F9", echo, SILENCE)
    assert bus.ping(1) == 0
    assert bus.ping(1) == 1
    with pytest.raises(NoAnswerError):
        bus.ping(1)


def test_servo_that_failed_gets_no_retries_until_it_answers(wire: Wire, bus: FeetechBus) -> None:
    bus.retries = 2
    with pytest.raises(NoAnswerError):
        bus.read(1, "ID")
    assert len(wire.requests) == 3
    with pytest.raises(NoAnswerError):
        bus.read(1, "ID")
    assert len(wire.requests) == 4
    assert (bus.counters[1].retries, bus.counters[1].communication_errors) == (2, 2)


def test_retries_end_with_their_budget(wire: Wire) -> None:
    bus = FeetechBus(wire.port, timeout_s=0.1, retries=100, budget_s=0.25)
    bus.open()
    with pytest.raises(NoAnswerError):
        bus.ping(1)
    assert 1 <= bus.counters[1].retries <= 3
    bus.close()


def test_waiting_for_a_silent_servo_does_not_spin(wire: Wire) -> None:
    bus = FeetechBus(wire.port, timeout_s=0.2, retries=0)
    bus.open()
    busy_s = time.thread_time()
    with pytest.raises(NoAnswerError):
        bus.ping(1)
    assert time.thread_time() - busy_s < 0.05  # of 0.2 s
    bus.close()


def test_read_only_and_unknown_registers_are_refused_before_anything_is_sent(
    wire: Wire, bus: FeetechBus
) -> None:
    with pytest.raises(RegisterError, match="Present_Position is read-only"):
        bus.write(1, "Present_Position", 5)
    with pytest.raises(RegisterError, match="no register 'Torque'"):
        bus.sync_write("Torque", {1: 0})
    assert wire.requests == []


def test_missing_port_says_where_ports_are(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"ttyNONE cannot be opened: .*/dev/serial/by-id"):
        FeetechBus(str(tmp_path / "ttyNONE")).open()


def test_file_that_is_no_port_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(PortError, match="is it a serial port"):
        FeetechBus(str(path)).open()


def test_second_program_on_the_port_is_refused(bus: FeetechBus) -> None:
    with pytest.raises(PortError, match="another program has it open"):
        FeetechBus(bus.port).open()


def test_unknown_baudrate_is_refused(wire: Wire) -> None:
    with pytest.raises(PortError, match="12345 baud"):
        FeetechBus(wire.port, baudrate=12345).open()


def test_bus_that_is_not_open_says_so(wire: Wire) -> None:
    with pytest.raises(PortError, match="is not open"):
        FeetechBus(wire.port).ping(1)


def test_every_failure_is_a_bus_error() -> None:
    assert all(issubclass(kind, BusError) for kind in (PortError, NoAnswerError, CorruptReplyError))


def _renumbered(packet: bytes, servo_id: int) -> bytes:
    body = bytes((servo_id,)) + packet[3:-1]
    return packet[:2] + body + bytes((255 - sum(body) % 256,))
