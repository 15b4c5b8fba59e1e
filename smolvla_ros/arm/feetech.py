# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The servo bus: Feetech packets over a serial port; independent of what the servos are part of.

Feetech's SDK opens the port. Its transactions are not used: they never clear the input (a late answer is taken for the
next one), busy-wait, drop the servos' error bits, and stop reading a group at its first servo that does not answer,
reporting zeros. Here a transaction clears the input first, sleeps until bytes arrive or the deadline passes, and
returns for each servo its answer or the reason why there is none.

The protocol does not number its packets, so an answer can be mistaken for that to another request:

- An answer after its time-out. Reads after a failure ask for a block of another length, so that the old answer can be
  distinguished from the new one.
- The request itself, if an adapter echoes it. It is dropped.
- Two packets merged because bytes between them were lost: see `packets.decode`.

Only this file imports serial. Not thread-safe: one thread owns a bus. The port handling is for Linux and
macOS.
"""

from __future__ import annotations

import errno
import os
import select
import termios
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import serial
from scservo_sdk import PortHandler

from smolvla_ros.arm import packets
from smolvla_ros.arm.registers import TABLE_SIZE, Register, RegisterError, block, register

WRITE_TIMEOUT_S = 0.5  # a port that accepts no bytes for so long is lost; on a busy computer writes take less
LONG_TIMEOUT_S, LONG_BUDGET_S = 0.2, 0.7
LATE_READS = 4  # number of failed reads whose late answers are recognised
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
    """Counters of one servo since its first transaction; they survive closing the bus.

    Every missing or damaged answer counts as one retry or as one communication error.
    """

    retries: int = 0  # transactions repeated
    communication_errors: int = 0  # transactions given up
    error_bits: int = 0  # ServoFault bits of its latest status packet


@dataclass
class SyncReply:
    """Answers of a group, by servo id; every requested id is in `values` or in `failures`."""

    values: dict[int, dict[str, int]] = field(default_factory=dict)  # register name -> value
    failures: dict[int, BusError] = field(default_factory=dict)


class FeetechBus:
    """STS servos on one serial port. Names are those of `registers.py`, values signed where the register is.

    `timeout_s`: from a request until the answers of all its servos are there. `gap_s`: between their bytes; an FTDI
    adapter may delay them by 16 ms.
    `retries`: how often missing answers are requested again, unless the transaction has taken `budget_s` already. A
    servo whose last transaction failed gets no retries until it answers, so that it does not slow down the others.
    """

    def __init__(
        self,
        port: str,
        baudrate: int = 1_000_000,
        *,
        timeout_s: float = 0.03,
        gap_s: float = 0.02,
        retries: int = 3,
        budget_s: float = 0.15,
    ) -> None:
        self.port = port
        self.baudrate = baudrate
        self.timeout_s = timeout_s
        self.gap_s = gap_s
        self.retries = retries
        self.budget_s = budget_s
        self.counters: dict[int, ServoCounters] = {}
        self._serial: serial.Serial | None = None
        self._not_answering: set[int] = set()
        self._failed_lengths: deque[int] = deque(maxlen=LATE_READS)

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    def open(self) -> None:
        """Open the port exclusively. Raises PortError with the remedy."""
        if self.is_open:
            return
        handler = PortHandler(self.port)
        try:
            if not handler.setBaudRate(self.baudrate):
                raise PortError(f"port {self.port}: {self.baudrate} baud is not one that these servos have")
            handler.ser.exclusive = True
            handler.ser.write_timeout = WRITE_TIMEOUT_S
        except _PORT_ERRORS as error:
            if handler.ser is not None:
                handler.closePort()
            remedy = _REMEDIES.get(getattr(error, "errno", None) or 0, "is it a serial port?")
            raise PortError(f"port {self.port} cannot be opened: {error}; {remedy}") from error
        self._not_answering.clear()
        self._serial = handler.ser

    def close(self) -> None:
        """Close the port; servos keep their torque."""
        if self._serial is not None:
            port, self._serial = self._serial, None
            with suppress(*_PORT_ERRORS):  # an unplugged port is closed already
                port.close()

    @contextmanager
    def long_timeouts(self) -> Iterator[None]:
        """Longer time-outs, for set-up steps: on a busy computer answers may come late."""
        usual = self.timeout_s, self.budget_s
        self.timeout_s = max(self.timeout_s, LONG_TIMEOUT_S)
        self.budget_s = max(self.budget_s, LONG_BUDGET_S)
        try:
            yield
        finally:
            self.timeout_s, self.budget_s = usual

    def ping(self, servo_id: int) -> int:
        """Error bits of a servo; raises BusError if it does not answer."""
        bits = self._request_status(servo_id, packets.encode(servo_id, packets.PING)).code
        if bits == packets.PING:  # a set voltage bit and the adapter's echo are the same bytes
            return self.read(servo_id, "Status")
        return bits

    def read(self, servo_id: int, name: str) -> int:
        """The value of one register; raises BusError."""
        reply = self.sync_read((servo_id,), (name,))
        if servo_id in reply.failures:
            raise reply.failures[servo_id]
        return reply.values[servo_id][name]

    def write(self, servo_id: int, name: str, value: int) -> int:
        """Write one register and wait for the servo's acknowledgement: its error bits. Raises BusError."""
        entry = _writable(name)
        return self._request_status(
            servo_id, packets.encode_write(servo_id, entry.address, entry.encode(value))
        ).code

    def sync_read(self, ids: Sequence[int], names: Sequence[str]) -> SyncReply:
        """The named registers of many servos in one transaction, as the block of addresses that holds them.

        Missing answers are requested again; those still missing are in `failures`, the others in `values`. Raises
        PortError if the port is lost.
        """
        address, length = block(names)
        entries = [register(name) for name in names]
        late_s = time.monotonic() + self.budget_s
        answers = self._read_block(ids, address, length)
        for _ in range(self.retries):
            missing = [i for i in ids if isinstance(answers[i], BusError) and i not in self._not_answering]
            if not missing or time.monotonic() > late_s:
                break
            self._count_retries(missing)
            answers.update(self._read_block(missing, address, length))
        reply = SyncReply()
        for servo_id, answer in answers.items():
            if isinstance(answer, BusError):
                self._mark_failed(servo_id)
                reply.failures[servo_id] = answer
            else:
                self._not_answering.discard(servo_id)
                reply.values[servo_id] = _decode_block(entries, address, answer)
        return reply

    def sync_write(self, name: str, values: Mapping[int, int]) -> None:
        """Write one register of many servos in one packet, which servos do not acknowledge."""
        entry = _writable(name)
        data = {servo_id: entry.encode(value) for servo_id, value in values.items()}
        if not data:
            return
        with self._port() as port:
            port.write(packets.encode_sync_write(entry.address, data))

    def _request_status(self, servo_id: int, request: bytes) -> packets.Packet:
        """The answer of a servo to a request without data in the answer."""
        late_s = time.monotonic() + self.budget_s
        answer = self._transact(request, (servo_id,), 0)[servo_id]
        for _ in range(self.retries):
            if not isinstance(answer, BusError) or time.monotonic() > late_s:
                break
            self._count_retries((servo_id,))
            answer = self._transact(request, (servo_id,), 0)[servo_id]
        if isinstance(answer, BusError):
            self._mark_failed(servo_id)
            raise answer
        self._not_answering.discard(servo_id)
        return answer

    def _read_block(self, ids: Sequence[int], address: int, length: int) -> dict[int, bytes | BusError]:
        """`length` bytes from `address` on, or the error, for each servo."""
        asked = length
        while asked in self._failed_lengths:  # its late answer may still arrive
            asked += 1
        start = min(address, TABLE_SIZE - asked)
        if len(ids) == 1:
            request = packets.encode_read(ids[0], start, asked)
        else:
            request = packets.encode_sync_read(ids, start, asked)
        blocks: dict[int, bytes | BusError] = {}
        for servo_id, answer in self._transact(request, ids, asked).items():
            if isinstance(answer, BusError):
                blocks[servo_id] = answer
            else:
                blocks[servo_id] = answer.parameters[address - start : address - start + length]
        if any(isinstance(answer, BusError) for answer in blocks.values()):
            self._failed_lengths.append(asked)
        return blocks

    def _transact(
        self, request: bytes, ids: Sequence[int], parameter_bytes: int
    ) -> dict[int, packets.Packet | BusError]:
        """Send one request; returns the status packet or the error of each servo."""
        with self._port() as port:
            port.reset_input_buffer()
            port.write(request)
            found, damaged = self._collect(port.fileno(), request, ids, parameter_bytes)
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
        self, descriptor: int, request: bytes, ids: Sequence[int], parameter_bytes: int
    ) -> tuple[dict[int, packets.Packet], set[int]]:
        """Read until every servo of `ids` has answered or time is up; returns good packets, and ids of damaged ones."""
        echo = request if parameter_bytes else b""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline_s = quiet_s = time.monotonic() + self.timeout_s
        found: dict[int, packets.Packet] = {}
        damaged: set[int] = set()
        buffer = bytearray()
        while len(found) < len(ids):
            left_s = min(deadline_s, quiet_s) - time.monotonic()
            if not poll.poll(max(0.0, left_s * 1e3)):
                break
            chunk = os.read(descriptor, 4096)
            if not chunk:
                raise OSError(errno.EIO, "end of file")
            quiet_s = time.monotonic() + self.gap_s
            buffer += chunk
            if echo and len(buffer) < len(echo) and echo.startswith(buffer):
                continue
            if echo and buffer.startswith(echo):
                del buffer[: len(echo)]
                echo = b""
            arrived, corrupt, used = packets.decode(buffer, parameter_bytes)
            del buffer[:used]
            found.update((packet.id, packet) for packet in arrived if packet.id in ids)
            damaged.update(corrupt)
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

    def _mark_failed(self, servo_id: int) -> None:
        self._counter(servo_id).communication_errors += 1
        self._not_answering.add(servo_id)


def _writable(name: str) -> Register:
    entry = register(name)
    if entry.read_only:
        raise RegisterError(f"{name} is read-only")
    return entry


def _decode_block(entries: Sequence[Register], start: int, data: bytes) -> dict[str, int]:
    return {entry.name: entry.decode(data[entry.address - start : entry.end - start]) for entry in entries}
