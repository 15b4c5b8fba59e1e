# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy server without a network: in the process of a test, or as a process that a test can kill."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from smolvla_ros.feature_statistics import FeatureStatistics
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote.server import PolicyServer, ServerSettings

STEPS, JOINTS = 16, 6
SPREAD = {name: np.linspace(1.0, 2.0, JOINTS, dtype=np.float32) for name in ("mean", "std")}
STATISTICS = FeatureStatistics(SPREAD, "made up", "MEAN_STD")
EXPECTED = Expectations(
    name="fake",
    image_keys=("camera1", "camera2"),
    image_size=64,
    state_dim=JOINTS,
    action_dim=JOINTS,
    chunk_size=STEPS,
    state=STATISTICS,
    action=STATISTICS,
    tokenizer="none",
    fps=30.0,
    renames={"top": "camera1"},
)


class FakeModel:
    """Chunks that depend on every input; `delay_s` for one computation, of one chunk or of several."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.computed: list[list[str]] = []  # the tasks of each computation
        self.held = threading.Event()  # cleared: computations wait
        self.held.set()

    def predict_chunks(self, requests: Sequence[ChunkInputs]) -> list[Any]:
        self.computed.append([request.task for request in requests])
        self.held.wait(10.0)
        time.sleep(self.delay_s)
        if any(request.task == "refuse" for request in requests):
            raise PolicyError("this task is refused")
        if any(request.task == "fail" for request in requests):
            raise RuntimeError("out of memory")
        return [self.chunk(request) for request in requests]

    @staticmethod
    def chunk(request: ChunkInputs) -> Any:
        seen = sum(float(image.mean()) * (key == "camera1" or 2) for key, image in request.images.items())
        rows = (
            0.0 if request.prefix is None else float(request.prefix.sum()) * request.guidance.inference_delay
        )
        first = seen + rows + request.seed + request.noise_scale + len(request.task)
        return (first + np.arange(STEPS)[:, None] + request.state).astype(np.float32)


def fake_server(model: FakeModel, digest: str = "one", **settings: Any) -> PolicyServer:
    """A server that has started, at any free port."""
    server = PolicyServer(model, EXPECTED, digest, ServerSettings(**{"address": "127.0.0.1:0"} | settings))
    model.computed.clear()
    server.start()
    return server


if __name__ == "__main__":
    started = fake_server(FakeModel(), address=f"127.0.0.1:{sys.argv[1]}")
    print(started.port, flush=True)
    threading.Event().wait()
