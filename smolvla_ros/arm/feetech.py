# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The servo bus: Feetech packets over a serial port. Nothing here knows that the servos are an arm.

Feetech's SDK opens the port; the transactions are our own, because the SDK's never clear the input (an answer
that came too late is taken for the next one), spin at full CPU while they wait, drop the servos' error bits,
give up a whole group at its first silent servo and then report zeros. Here a transaction clears the input
first, waits in a blocking read with a deadline, and tells for each servo what it answered or why there is
nothing.

Only this file imports serial. Not thread-safe: one thread owns a bus. The port handling is for Linux and
macOS.
"""

from __future__ import annotations

import errno
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import serial
from scservo_sdk import PortHandler

from smolvla_ros.arm import packets
from smolvla_ros.arm.registers import Register, RegisterError, block, register

_PORT_ERRORS = (serial.SerialException, OSError, termios.error)
_REMEDIES = {
    errno.ENOENT: "is the arm plugged in and the path right? See /dev/serial/by-id",
    errno.EACCES: "add yourself to the group of the port (sudo usermod -aG dialout $USER) and log in again",
    errno.EAGAIN: "another program has it open; stop that one first",
    errno.EBUSY: "another program has it open; stop that one first",
}


class BusError(RuntimeError):
    """Talking to a servo failed; the message names port or servo and what to check."""


class PortError(BusError):
    """The port cannot be opened, is not open, or was lost."""


class NoAnswerError(BusError):
    """A servo did not answer in time."""


class CorruptReplyError(BusError):
    """A servo's answer arrived damaged."""


@dataclass
class ServoCounters:
    """What the bus remembers of one servo since it was opened."""

    retries: int = 0  # transactions repeated
    communication_errors: int = 0  # transactions given up
    error_bits: int = 0  # ServoFault bits of its latest status packet


@dataclass
class SyncReply:
    """Answers of a group, by servo id; every id asked is in `values` or in `failures`."""

    values: dict[int, dict[str, int]] = field(default_factory=dict)  # register name -> value
    failures: dict[int, BusError] = field(default_factory=dict)


class FeetechBus:
    """STS servos on one serial port. Names are those of `registers.py`, values signed where the register is.

    `timeout_s` is the wait for a whole answer; it covers what a USB adapter may hold back (16 ms for FTDI)
    and a busy computer, and costs nothing while servos answer. `retries` is how often a transaction without a
    good answer is repeated before it is given up.
    """

    def __init__(
        self, port: str, baudrate: int = 1_000_000, *, timeout_s: float = 0.05, retries: int = 1
    ) -> None:
        self.port = port
        self.baudrate = baudrate
        self.timeout_s = timeout_s
        self.retries = retries
        self.counters: dict[int, ServoCounters] = {}
        self._serial: serial.Serial | None = None

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    def open(self) -> None:
        """Open the port for this program alone and reset the counters. Raises PortError with the remedy."""
        if self.is_open:
            return
        handler = PortHandler(self.port)
        try:
            if not handler.setBaudRate(self.baudrate):
                raise PortError(f"port {self.port}: {self.baudrate} baud is not one that these servos have")
            handler.ser.exclusive = True
            handler.ser.timeout = self.timeout_s
            handler.ser.write_timeout = self.timeout_s
        except _PORT_ERRORS as error:
            if handler.ser is not None:
                handler.closePort()
            remedy = _REMEDIES.get(getattr(error, "errno", None) or 0, "is it a serial port?")
            raise PortError(f"port {self.port} cannot be opened: {error}; {remedy}") from error
        self.counters = {}
        self._serial = handler.ser

    def close(self) -> None:
        """Close the port; servos keep their torque."""
        if self._serial is not None:
            port, self._serial = self._serial, None
            with suppress(*_PORT_ERRORS):  # a port that was pulled out is closed already
                port.close()

    def ping(self, servo_id: int) -> int:
        """Error bits of a servo that is there; raises BusError if it is not."""
        return self._ask(servo_id, packets.encode(servo_id, packets.PING), 0).code

    def read(self, servo_id: int, name: str) -> int:
        """The value of one register; raises BusError."""
        entry = register(name)
        request = packets.encode_read(servo_id, entry.address, entry.length)
        return entry.decode(self._ask(servo_id, request, entry.length).parameters)

    def write(self, servo_id: int, name: str, value: int) -> int:
        """Write one register and wait for the servo's acknowledgement: its error bits. Raises BusError."""
        entry = _writable(name)
        request = packets.encode_write(servo_id, entry.address, entry.encode(value))
        return self._ask(servo_id, request, 0).code

    def sync_read(self, ids: Sequence[int], names: Sequence[str]) -> SyncReply:
        """The named registers of many servos in one transaction, as the block of addresses that holds them.

        Good servos survive a bad one: what is missing is asked for again one by one, and what is still
        missing is in `failures`. Raises PortError if the port is gone.
        """
        address, length = block(names)
        entries = [register(name) for name in names]
        answers = self._transact(packets.encode_sync_read(ids, address, length), ids, length)
        for _ in range(self.retries):
            missing = [servo_id for servo_id in ids if isinstance(answers[servo_id], BusError)]
            self._count_retries(missing)
            if len(missing) == len(ids):  # nobody heard the question
                answers = self._transact(packets.encode_sync_read(ids, address, length), ids, length)
            else:
                for servo_id in missing:
                    request = packets.encode_read(servo_id, address, length)
                    answers.update(self._transact(request, (servo_id,), length))
        reply = SyncReply()
        for servo_id, answer in answers.items():
            if isinstance(answer, BusError):
                self._counter(servo_id).communication_errors += 1
                reply.failures[servo_id] = answer
            else:
                reply.values[servo_id] = _decode_block(entries, address, answer.parameters)
        return reply

    def sync_write(self, name: str, values: Mapping[int, int]) -> None:
        """Write one register of many servos in one packet, which servos do not acknowledge."""
        entry = _writable(name)
        data = {servo_id: entry.encode(value) for servo_id, value in values.items()}
        if not data:
            return
        with self._port() as port:
            port.write(packets.encode_sync_write(entry.address, data))

    def _ask(self, servo_id: int, request: bytes, parameter_bytes: int) -> packets.Packet:
        answer = self._transact(request, (servo_id,), parameter_bytes)[servo_id]
        for _ in range(self.retries):
            if not isinstance(answer, BusError):
                break
            self._count_retries((servo_id,))
            answer = self._transact(request, (servo_id,), parameter_bytes)[servo_id]
        if isinstance(answer, BusError):
            self._counter(servo_id).communication_errors += 1
            raise answer
        return answer

    def _transact(
        self, request: bytes, ids: Sequence[int], parameter_bytes: int
    ) -> dict[int, packets.Packet | BusError]:
        """Send one request; the status packet of each servo, or why there is none."""
        with self._port() as port:
            port.reset_input_buffer()
            port.write(request)
            found, damaged = self._collect(port, ids, parameter_bytes)
        answers: dict[int, packets.Packet | BusError] = {}
        for servo_id in ids:
            if servo_id in found:
                answers[servo_id] = found[servo_id]
                self._counter(servo_id).error_bits = found[servo_id].code
            elif servo_id in damaged:
                answers[servo_id] = CorruptReplyError(
                    f"corrupt answer from servo {servo_id} on {self.port}; check cables and their length, "
                    "and that no other program uses the port"
                )
            else:
                answers[servo_id] = NoAnswerError(
                    f"no answer from servo {servo_id} on {self.port} within {self.timeout_s * 1e3:.0f} ms; "
                    "check its cable, the power supply and its id"
                )
        return answers

    def _collect(
        self, port: serial.Serial, ids: Sequence[int], parameter_bytes: int
    ) -> tuple[dict[int, packets.Packet], set[int]]:
        """Read until every servo of `ids` has answered or time is up: good packets, ids of damaged ones."""
        deadline_s = time.monotonic() + self.timeout_s
        found: dict[int, packets.Packet] = {}
        damaged: set[int] = set()
        buffer = bytearray()
        while True:
            missing = len(ids) - len(found)
            wanted = max(1, missing * (packets.OVERHEAD + parameter_bytes) - len(buffer))
            chunk = port.read(wanted)  # sleeps until all of it is there, or timeout_s
            buffer += chunk
            arrived, corrupt, used = packets.decode(buffer, parameter_bytes)
            del buffer[:used]
            found.update((packet.id, packet) for packet in arrived if packet.id in ids)
            damaged.update(corrupt)
            if len(found) == len(ids) or len(chunk) < wanted or time.monotonic() > deadline_s:
                return found, damaged

    @contextmanager
    def _port(self) -> Iterator[serial.Serial]:
        if self._serial is None:
            raise PortError(f"port {self.port} is not open; call open() first")
        try:
            yield self._serial
        except _PORT_ERRORS as error:
            self.close()
            raise PortError(f"port {self.port} was lost: {error}; is the cable still plugged in?") from error

    def _counter(self, servo_id: int) -> ServoCounters:
        return self.counters.setdefault(servo_id, ServoCounters())

    def _count_retries(self, ids: Sequence[int]) -> None:
        for servo_id in ids:
            self._counter(servo_id).retries += 1


def _writable(name: str) -> Register:
    entry = register(name)
    if entry.read_only:
        raise RegisterError(f"{name} is read-only")
    return entry


def _decode_block(entries: Sequence[Register], start: int, data: bytes) -> dict[str, int]:
    return {entry.name: entry.decode(data[entry.address - start : entry.end - start]) for entry in entries}
