# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Instructions to the emulated servos on one bus, and their answers. No port, no time."""

from __future__ import annotations

from collections.abc import Iterable

from smolvla_ros.arm import packets
from smolvla_ros.simulation.servo import EmulatedServo


def execute(servos: Iterable[EmulatedServo], request: packets.Packet) -> list[bytes]:
    """Execute one instruction; returns the status packets in order."""
    connected = [servo for servo in servos if not servo.silent]
    parameters = request.parameters
    if request.code == packets.SYNC_READ and len(parameters) >= 2:
        address, length, *ids = parameters
        asked = [servo for servo_id in ids for servo in _addressed(connected, servo_id)]
        return [_status(servo, servo.read(address, length)) for servo in asked]
    if request.code == packets.SYNC_WRITE and len(parameters) >= 2:
        address, length = parameters[0], parameters[1]
        for at in range(2, len(parameters) - length, length + 1):
            for servo in _addressed(connected, parameters[at]):
                servo.write(address, parameters[at + 1 : at + 1 + length])
        return []
    replies = [_instruct(servo, request.code, parameters) for servo in _addressed(connected, request.id)]
    return [] if request.id == packets.BROADCAST_ID else [reply for reply in replies if reply]


def answering_ids(request: packets.Packet) -> tuple[int, ...]:
    """Ids of the servos that answer a request."""
    if request.code == packets.SYNC_READ:
        return tuple(request.parameters[2:])
    return () if request.id == packets.BROADCAST_ID else (request.id,)


def _addressed(servos: Iterable[EmulatedServo], servo_id: int) -> list[EmulatedServo]:
    everyone = servo_id == packets.BROADCAST_ID
    return [servo for servo in servos if everyone or servo.value("ID") == servo_id]


def _instruct(servo: EmulatedServo, instruction: int, parameters: bytes) -> bytes:
    """Execute an instruction to one servo; returns its status packet, or b""."""
    if instruction == packets.PING:
        return _status(servo)
    if instruction == packets.READ and len(parameters) == 2:
        return _status(servo, servo.read(*parameters))
    if instruction == packets.WRITE and parameters:
        servo.write(parameters[0], parameters[1:])
    elif instruction == packets.REG_WRITE and parameters:
        servo.prepare(parameters[0], parameters[1:])
    elif instruction == packets.ACTION:
        servo.act()
    else:
        return b""
    return _status(servo) if servo.value("Response_Status_Level") else b""


def _status(servo: EmulatedServo, data: bytes = b"") -> bytes:
    packet = packets.encode(servo.value("ID"), servo.error_bits, data)
    if servo.corrupt_replies > 0:
        servo.corrupt_replies -= 1
        return packet[:-1] + bytes((packet[-1] ^ 0xFF,))
    return packet
