# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Servers that are killed, stopped and started again while a client asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.image import encode_jpeg
from smolvla_ros.policy.policy import PolicyUnavailableError
from smolvla_ros.remote.client import RemoteModel

from ..package_files import ROOT
from .fake_server import JOINTS

IMAGES = {"camera1": encode_jpeg(np.zeros((8, 8, 3), np.uint8))}
TIMEOUT_S = 1.0
RECONNECTED_S = 2.0


class Process:
    """A fake server in a process of its own."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fake_server.py")), str(port)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*arguments: Any) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def ask(remote: RemoteModel) -> Any:
    return remote.predict_chunk(IMAGES, np.zeros(JOINTS, np.float32), "wipe")


@pytest.mark.slow
def test_a_client_goes_on_with_the_next_server_and_connects_again(process: Callable[..., Process]) -> None:
    first, second = process(), process()
    remote = RemoteModel([f"127.0.0.1:{server.port}" for server in (first, second)], "", TIMEOUT_S)
    chunks = [ask(remote)]
    first.kill()
    started_s = time.monotonic()
    chunks.append(ask(remote))  # by the second one, within the same call
    assert time.monotonic() - started_s < TIMEOUT_S
    assert np.array_equal(chunks[1], chunks[0] + 1.0)  # the noise goes on where it was

    process(first.port)  # it comes back, and the second one hangs
    second.send(signal.SIGSTOP)
    started_s = time.monotonic()
    with pytest.raises(PolicyUnavailableError, match=f"127.0.0.1:{second.port}"):
        ask(remote)
    assert time.monotonic() - started_s < 1.5 * TIMEOUT_S
    until_s = time.monotonic() + RECONNECTED_S
    while True:
        try:
            chunks.append(ask(remote))
            break
        except PolicyUnavailableError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
    assert np.array_equal(chunks[2], chunks[0] + 2.0)


@pytest.mark.slow
def test_without_any_server_a_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smolvla_ros.remote.client.CONNECT_S", 0.5)
    with pytest.raises(
        PolicyUnavailableError, match="127.0.0.1:9: Connection refused.*--address 127.0.0.1:9"
    ):
        RemoteModel(["127.0.0.1:9"])
