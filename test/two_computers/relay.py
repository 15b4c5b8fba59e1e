# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A line between two network namespaces with delay, jitter, loss, a rate and cuts, for kernels without netem.

Each side has a TUN device; a thread of this process carries IP packets from one to the other. It is no faster than
Python: some ten thousand packets a second.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .namespaces import INTERFACE, Computer, NoNamespacesError, set_address

TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
CLONE_NEWNET = 0x40000000  # linux/sched.h
MAX_PACKET = 65536
IDLE_S = 0.05


@dataclass(frozen=True)
class Line:
    """What happens to packets, in both directions alike."""

    delay_s: float = 0.0
    jitter_s: float = 0.0  # uniform, to both sides of the delay; packets may overtake each other
    loss: float = 0.0  # share of the packets
    rate_bit_s: float = float("inf")
    queue_s: float = 0.1  # a packet that would wait longer than this for the rate is dropped


@dataclass
class Counts:
    """Packets of both directions since the start."""

    sent: int = 0
    lost: int = 0
    bytes: int = 0
    largest: int = 0  # bytes of a packet


class Relay:
    """Carries packets between two TUN devices. `line` may be replaced and `cut` set at any time."""

    def __init__(self, devices: tuple[int, int], line: Line, seed: int = 0) -> None:
        self.line = line
        self.cut = False
        self.counts = Counts()
        self._devices = devices
        self._random = random.Random(seed)
        self._free_s = dict.fromkeys(devices, 0.0)  # when the rate lets the next packet of a side leave
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due time, number, device, packet
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            now_s = time.monotonic()
            wait_s = min(IDLE_S, max(0.0, self._waiting[0][0] - now_s)) if self._waiting else IDLE_S
            for device in select.select(self._devices, [], [], wait_s)[0]:
                self._take(device, os.read(device, MAX_PACKET), time.monotonic())
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(self._waiting)
                if self.cut:
                    self.counts.lost += 1
                else:
                    os.write(device, packet)

    def _take(self, device: int, packet: bytes, now_s: float) -> None:
        """Drop a packet, or let it wait until the other side gets it."""
        line = self.line
        self.counts.sent += 1
        self.counts.bytes += len(packet)
        self.counts.largest = max(self.counts.largest, len(packet))
        leaves_s = max(now_s, self._free_s[device])
        if self.cut or self._random.random() < line.loss or leaves_s - now_s > line.queue_s:
            self.counts.lost += 1
            return
        leaves_s += 8 * len(packet) / line.rate_bit_s
        self._free_s[device] = leaves_s
        jitter_s = self._random.uniform(-line.jitter_s, line.jitter_s)
        other = self._devices[1] if device == self._devices[0] else self._devices[0]
        due_s = leaves_s + max(0.0, line.delay_s + jitter_s)
        heapq.heappush(self._waiting, (due_s, self.counts.sent, other, packet))


@contextmanager
def relayed(first: Computer, second: Computer, line: Line) -> Iterator[Relay]:
    """Link two computers by a relay; raises NoNamespacesError."""
    devices: list[int] = []
    try:
        for computer in (first, second):
            devices.append(_tun_device(computer))
            set_address(computer)
        relay = Relay((devices[0], devices[1]), line)
        try:
            yield relay
        finally:
            relay.stop()
    finally:
        for device in devices:
            os.close(device)


def _tun_device(computer: Computer) -> int:
    """A new TUN device in the namespace of a computer, as a file descriptor of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/var/run/netns/{computer.name}", os.O_RDONLY)
    try:
        if libc.setns(other, CLONE_NEWNET):
            raise NoNamespacesError(f"setns: {os.strerror(ctypes.get_errno())}")
        try:
            device = os.open(TUN, os.O_RDWR)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", INTERFACE.encode(), IFF_TUN | IFF_NO_PI))
            return device
        except OSError as error:
            raise NoNamespacesError(f"{TUN}: {error}") from error
        finally:
            libc.setns(own, CLONE_NEWNET)
    finally:
        os.close(own)
        os.close(other)
