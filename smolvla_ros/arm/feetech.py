# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The servo bus: Feetech packets over a serial port. Nothing here knows that the servos are an arm.

Feetech's SDK opens the port; the transactions are our own, because the SDK's never clear the input (an answer
that came too late is taken for the next one), spin at full CPU while they wait, drop the servos' error bits,
give up a whole group at its first silent servo and then report zeros. Here a transaction clears the input
first, sleeps until bytes or the deadline are there, and tells for each servo what it answered or why there is
nothing.

The protocol does not number its packets, so an answer can be taken for that to another request:

- One that comes after its time-out. Reads after a failure ask for a block of another length, which tells the
  old answer from the new one.
- The request itself, where an adapter echoes it. It is dropped.
- Two packets grown together where bytes were lost between them: see `packets.decode`.

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

WRITE_TIMEOUT_S = 0.5  # a port that takes nothing for so long is gone; a busy computer takes less
LONG_TIMEOUT_S, LONG_BUDGET_S = 0.2, 0.7
LATE_READS = 4  # for so many failed reads a late answer is told from one in time
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
    """What the bus remembers of one servo, from its first transaction on; closing the bus forgets nothing.

    Every answer that did not come, or came damaged, counts as one retry or as one communication error.
    """

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

    `timeout_s` is the wait for an answer to begin, `gap_s` the longest silence within one; an FTDI adapter may
    hold bytes back for 16 ms. Neither costs anything while servos answer.
    `retries` is how often what is missing is asked for again, as long as the transaction has not taken
    `budget_s` already. A servo that has been given up gets no retries until it answers: one dead servo does
    not slow down the others.
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
        self._given_up: set[int] = set()
        self._failed_lengths: deque[int] = deque(maxlen=LATE_READS)

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    def open(self) -> None:
        """Open the port for this program alone. Raises PortError with the remedy."""
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
        self._given_up.clear()
        self._serial = handler.ser

    def close(self) -> None:
        """Close the port; servos keep their torque."""
        if self._serial is not None:
            port, self._serial = self._serial, None
            with suppress(*_PORT_ERRORS):  # a port that was pulled out is closed already
                port.close()

    @contextmanager
    def long_timeouts(self) -> Iterator[None]:
        """For what is done once and not in time: an answer that a busy computer hears late is no failure here."""
        usual = self.timeout_s, self.budget_s
        self.timeout_s = max(self.timeout_s, LONG_TIMEOUT_S)
        self.budget_s = max(self.budget_s, LONG_BUDGET_S)
        try:
            yield
        finally:
            self.timeout_s, self.budget_s = usual

    def ping(self, servo_id: int) -> int:
        """Error bits of a servo that is there; raises BusError if it is not."""
        bits = self._ask(servo_id, packets.encode(servo_id, packets.PING)).code
        if bits == packets.PING:  # the voltage bit, or the adapter's echo: the same bytes
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
        return self._ask(servo_id, packets.encode_write(servo_id, entry.address, entry.encode(value))).code

    def sync_read(self, ids: Sequence[int], names: Sequence[str]) -> SyncReply:
        """The named registers of many servos in one transaction, as the block of addresses that holds them.

        Good servos survive a bad one: what is missing is asked for again, and what is still missing is in
        `failures`. Raises PortError if the port is gone.
        """
        address, length = block(names)
        entries = [register(name) for name in names]
        late_s = time.monotonic() + self.budget_s
        answers = self._read_block(ids, address, length)
        for _ in range(self.retries):
            missing = [i for i in ids if isinstance(answers[i], BusError) and i not in self._given_up]
            if not missing or time.monotonic() > late_s:
                break
            self._count_retries(missing)
            answers.update(self._read_block(missing, address, length))
        reply = SyncReply()
        for servo_id, answer in answers.items():
            if isinstance(answer, BusError):
                self._give_up(servo_id)
                reply.failures[servo_id] = answer
            else:
                self._given_up.discard(servo_id)
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

    def _ask(self, servo_id: int, request: bytes) -> packets.Packet:
        """What a servo answers to a request that asks for no data."""
        late_s = time.monotonic() + self.budget_s
        answer = self._transact(request, (servo_id,), 0)[servo_id]
        for _ in range(self.retries):
            if not isinstance(answer, BusError) or time.monotonic() > late_s:
                break
            self._count_retries((servo_id,))
            answer = self._transact(request, (servo_id,), 0)[servo_id]
        if isinstance(answer, BusError):
            self._give_up(servo_id)
            raise answer
        self._given_up.discard(servo_id)
        return answer

    def _read_block(self, ids: Sequence[int], address: int, length: int) -> dict[int, bytes | BusError]:
        """`length` bytes from `address` on of each servo, or why there are none."""
        asked = length
        while asked in self._failed_lengths:  # its answer may still be on the way
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
        """Send one request; the status packet of each servo, or why there is none."""
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
        """Read until every servo of `ids` has answered or time is up: good packets, ids of damaged ones."""
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
                raise OSError(errno.EIO, "it has no bytes to give any more")
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

    def _give_up(self, servo_id: int) -> None:
        self._counter(servo_id).communication_errors += 1
        self._given_up.add(servo_id)


def _writable(name: str) -> Register:
    entry = register(name)
    if entry.read_only:
        raise RegisterError(f"{name} is read-only")
    return entry


def _decode_block(entries: Sequence[Register], start: int, data: bytes) -> dict[str, int]:
    return {entry.name: entry.decode(data[entry.address - start : entry.end - start]) for entry in entries}
