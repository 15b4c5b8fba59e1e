# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Instruction and status packets of the STS protocol (Feetech "protocol 0") as bytes. No port, no registers.

    instruction: FF FF id length instruction parameters... checksum
    status:      FF FF id length error       parameters... checksum

`length` counts what follows it, the checksum is the inverted sum of everything between header and checksum.
Both the driver (`feetech.py`) and the emulated arm use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PING, READ, WRITE, REG_WRITE, ACTION = 0x01, 0x02, 0x03, 0x04, 0x05
SYNC_READ, SYNC_WRITE = 0x82, 0x83
BROADCAST_ID = 0xFE
HEADER = b"\xff\xff"
OVERHEAD = 6  # bytes of a packet without parameters
MAX_LENGTH = 250  # largest length byte that Feetech's own SDK accepts


@dataclass(frozen=True)
class Packet:
    """One packet; `code` is the instruction of a request, or the error bits of a status packet."""

    id: int
    code: int
    parameters: bytes


def checksum(body: bytes | bytearray) -> int:
    """Checksum of everything between header and checksum."""
    return ~sum(body) & 0xFF


def encode(servo_id: int, code: int, parameters: bytes = b"") -> bytes:
    """A whole packet as bytes; `code` is the instruction, or the error bits of a status packet."""
    body = bytes((servo_id, len(parameters) + 2, code)) + parameters
    return HEADER + body + bytes((checksum(body),))


def encode_read(servo_id: int, address: int, length: int) -> bytes:
    return encode(servo_id, READ, bytes((address, length)))


def encode_write(servo_id: int, address: int, data: bytes) -> bytes:
    return encode(servo_id, WRITE, bytes((address,)) + data)


def encode_sync_read(ids: Sequence[int], address: int, length: int) -> bytes:
    return encode(BROADCAST_ID, SYNC_READ, bytes((address, length, *ids)))


def encode_sync_write(address: int, data: Mapping[int, bytes]) -> bytes:
    """One packet that writes `data[id]`, all of the same length, to each servo."""
    length = len(next(iter(data.values())))
    entries = b"".join(bytes((servo_id,)) + value for servo_id, value in data.items())
    return encode(BROADCAST_ID, SYNC_WRITE, bytes((address, length)) + entries)


def decode(
    buffer: bytes | bytearray, parameter_bytes: int | None = None
) -> tuple[list[Packet], list[int], int]:
    """All packets in `buffer`, the ids of damaged ones, and how many bytes were used.

    Bytes between packets are skipped. Bytes after the used ones may be the beginning of another packet. Give
    `parameter_bytes` if the size of the packets is known: then a packet with a damaged length byte is skipped at once
    and does not hide the good packets behind it, and one with a header inside (the rest of one packet and the beginning
    of the next) is not accepted because its checksum happens to match.
    """
    packets: list[Packet] = []
    corrupt: list[int] = []
    position = 0
    while True:
        start = buffer.find(HEADER, position)
        if start < 0:
            half_header = position < len(buffer) and buffer.endswith(HEADER[:1])
            return packets, corrupt, len(buffer) - half_header
        if len(buffer) < start + 4:
            return packets, corrupt, start
        servo_id, length = buffer[start + 2], buffer[start + 3]
        if servo_id == 0xFF or not 2 <= length <= MAX_LENGTH:
            position = start + 1
            continue
        if parameter_bytes is not None and length != parameter_bytes + 2:
            corrupt.append(servo_id)
            position = start + 2
            continue
        end = start + 4 + length
        if len(buffer) < end:
            return packets, corrupt, start
        torn = parameter_bytes is not None and buffer.find(HEADER, start + 2, end) >= 0
        if not torn and checksum(buffer[start + 2 : end - 1]) == buffer[end - 1]:
            packets.append(Packet(servo_id, buffer[start + 4], bytes(buffer[start + 5 : end - 1])))
            position = end
        else:
            corrupt.append(servo_id)
            position = start + 2
