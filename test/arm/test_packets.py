# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets against the examples of Feetech's protocol description, and reading them out of a noisy line."""

from __future__ import annotations

from smolvla_ros.arm import packets
from smolvla_ros.arm.packets import Packet

POSITION_1304 = bytes.fromhex("FF FF 01 04 00 18 05 DD")
ACKNOWLEDGEMENT = bytes.fromhex("FF FF 01 02 00 FC")


def test_requests_are_the_bytes_of_the_protocol_description() -> None:
    goal_and_speed = bytes.fromhex("00 08 00 00 E8 03")  # 2048, no time, 1000 ticks/s
    assert packets.encode(1, packets.PING) == bytes.fromhex("FF FF 01 02 01 FB")
    assert packets.encode_read(1, 0x38, 2) == bytes.fromhex("FF FF 01 04 02 38 02 BE")
    assert packets.encode_write(1, 0x2A, goal_and_speed) == bytes.fromhex(
        "FF FF 01 09 03 2A 00 08 00 00 E8 03 D5"
    )
    assert packets.encode(packets.BROADCAST_ID, packets.ACTION) == bytes.fromhex("FF FF FE 02 05 FA")
    assert packets.encode_sync_write(0x2A, dict.fromkeys((1, 2, 3, 4), goal_and_speed)) == bytes.fromhex(
        "FF FF FE 20 83 2A 06 01 00 08 00 00 E8 03 02 00 08 00 00 E8 03"
        "03 00 08 00 00 E8 03 04 00 08 00 00 E8 03 58"
    )


def test_status_packets_are_read_one_after_the_other() -> None:
    found, damaged, used = packets.decode(POSITION_1304 + ACKNOWLEDGEMENT)
    assert found == [Packet(1, 0, b"\x18\x05"), Packet(1, 0, b"")]
    assert damaged == []
    assert used == 14


def test_noise_around_packets_is_skipped() -> None:
    found, _, used = packets.decode(
        b"\x00\xff\x17" + POSITION_1304 + b"\xff\xff\xff" + ACKNOWLEDGEMENT + b"\x05"
    )
    assert [packet.parameters for packet in found] == [b"\x18\x05", b""]
    assert used == 3 + 8 + 3 + 6 + 1


def test_beginning_of_a_packet_waits_for_its_rest() -> None:
    whole = ACKNOWLEDGEMENT + POSITION_1304
    for cut in range(7, len(whole)):
        found, damaged, used = packets.decode(whole[:cut])
        assert (len(found), damaged, used) == (1, [], 6)


def test_wrong_checksum_is_reported_and_the_next_packet_survives() -> None:
    broken = POSITION_1304[:-1] + b"\x00"
    found, damaged, _ = packets.decode(broken + ACKNOWLEDGEMENT)
    assert found == [Packet(1, 0, b"")]
    assert damaged == [1]


def test_damaged_length_does_not_hide_the_next_packet() -> None:
    broken = bytearray(POSITION_1304)
    broken[3] = 0x80
    found, damaged, _ = packets.decode(bytes(broken) + POSITION_1304, parameter_bytes=2)
    assert found == [Packet(1, 0, b"\x18\x05")]
    assert damaged == [1]


def test_two_merged_packets_are_not_taken_for_one() -> None:
    body = bytes((1, 6, 0, 7, 0xFF, 0xFF, 2))  # a packet of servo 1, cut short, and the header of the next
    torn = b"\xff\xff" + body + bytes((packets.checksum(body),))
    assert packets.decode(torn, parameter_bytes=4)[0] == []
