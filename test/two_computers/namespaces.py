# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces of Linux in the place of two computers. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

INTERFACE = "link0"  # of each of the two, to the other
# Processes of two computers share no memory, though these would.
OWN_MEMORY = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'


class NoNamespacesError(RuntimeError):
    """Network namespaces cannot be made here; the message says why."""


@dataclass(frozen=True)
class Computer:
    """A network namespace with the loopback interface up, and its address on the link to the other one."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """The command line that runs `words` on this computer; the pid is that of the program itself."""
        return ["ip", "netns", "exec", self.name, "unshare", "--ipc", "--mount",
                "sh", "-c", OWN_MEMORY, "sh", *words]  # fmt: skip


@contextmanager
def two_computers() -> Iterator[tuple[Computer, Computer]]:
    """Two computers that are not linked yet; raises NoNamespacesError."""
    if os.geteuid() != 0:
        raise NoNamespacesError("network namespaces need root")
    if missing := [program for program in ("ip", "unshare") if not shutil.which(program)]:
        raise NoNamespacesError(f"network namespaces need the program {missing[0]}")
    computers = tuple(
        Computer(f"smolvla_ros_{os.getpid()}_{number}", f"10.98.0.{number}") for number in (1, 2)
    )
    with ExitStack() as stack:
        for computer in computers:
            run("ip", "netns", "add", computer.name)
            stack.callback(run, "ip", "netns", "delete", computer.name)
            run("ip", "-n", computer.name, "link", "set", "lo", "up")
        yield computers[0], computers[1]


def link_directly(first: Computer, second: Computer) -> None:
    """Connect two computers by a cable."""
    run("ip", "link", "add", INTERFACE, "netns", first.name,
        "type", "veth", "peer", "name", INTERFACE, "netns", second.name)  # fmt: skip
    for computer in (first, second):
        set_address(computer)


def set_address(computer: Computer) -> None:
    """Give the interface of the link its address, and start it."""
    run("ip", "-n", computer.name, "address", "add", f"{computer.address}/24", "dev", INTERFACE)
    run("ip", "-n", computer.name, "link", "set", INTERFACE, "up")


def run(*command: str) -> None:
    """Run a command; raises NoNamespacesError with what it printed."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise NoNamespacesError(f"{' '.join(command)}: {result.stderr.strip()}")
