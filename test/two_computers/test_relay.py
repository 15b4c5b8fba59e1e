# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The relay between two namespaces delays, loses, limits and cuts as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .namespaces import Computer, NoNamespacesError, two_computers
from .relay import Line, Relay, relayed

pytestmark = pytest.mark.slow

# Sends numbered packets to an echo; prints the round trip times of those that came back.
ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 9000))
print("ready", flush=True)
while True:
    packet, address = server.recvfrom(2000)
    server.sendto(packet[:8], address)
"""
PING = """
import json, socket, sys, time
address, count, size, period_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.3)
sent_s, trips_s = {}, []
def receive():
    number = int(client.recv(2000))
    trips_s.append(time.monotonic() - sent_s[number])
for number in range(count):
    sent_s[number] = time.monotonic()
    client.sendto(f"{number:8d}".encode().ljust(size), (address, 9000))
    time.sleep(period_s)
try:
    while len(trips_s) < count:
        receive()
except TimeoutError:
    pass
print(json.dumps(trips_s))
"""


@pytest.fixture(scope="module")
def line() -> Iterator[tuple[Computer, Computer, Relay]]:
    """Two computers with an echo on the second one, and the relay between them."""
    try:
        with two_computers() as (first, second), relayed(first, second, Line()) as relay:
            echo = subprocess.Popen(
                second.command(sys.executable, "-c", ECHO), stdout=subprocess.PIPE, text=True
            )
            assert echo.stdout and echo.stdout.readline()
            yield first, second, relay
            echo.kill()
            echo.communicate()
    except NoNamespacesError as error:
        pytest.skip(str(error))


def round_trips_s(
    line: tuple[Computer, Computer, Relay], count: int, size: int = 100, period_s: float = 0.0
) -> list[float]:
    first, second, _ = line
    words = first.command(sys.executable, "-c", PING, second.address, str(count), str(size), str(period_s))
    return list(json.loads(subprocess.check_output(words, text=True)))


def test_packets_are_delayed(line: tuple[Computer, Computer, Relay]) -> None:
    line[2].line = Line(delay_s=0.02, jitter_s=0.01)
    trips_s = round_trips_s(line, 20)
    assert len(trips_s) == 20 and min(trips_s) >= 0.02


def test_a_share_of_the_packets_is_lost(line: tuple[Computer, Computer, Relay]) -> None:
    line[2].line = Line(loss=0.2)
    assert 80 < len(round_trips_s(line, 200, period_s=0.0005)) < 175  # 128 on average


def test_the_rate_is_limited_and_what_would_wait_too_long_is_dropped(
    line: tuple[Computer, Computer, Relay],
) -> None:
    line[2].line = Line(rate_bit_s=1e6, queue_s=0.05)
    trips_s = round_trips_s(line, 30, size=972)  # with the headers of IP and UDP 1000 bytes, 8 ms each
    assert 6 <= len(trips_s) <= 9
    assert max(trips_s) >= 0.045


def test_nothing_passes_a_cut_line(line: tuple[Computer, Computer, Relay]) -> None:
    line[2].line, line[2].cut = Line(), True
    assert round_trips_s(line, 3) == []
    line[2].cut = False
    assert len(round_trips_s(line, 3)) == 3
