# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a contender in its own process: load it, answer the questions of the benchmark, and time the stages.

It is used in the environments of both contenders, so it needs only torch and NumPy.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

STAGES = ("preparation", "vision", "prefix", "denoise")


class Question(NamedTuple):
    """The input of one inference, in plain types because the processes share no package."""

    images: dict[str, np.ndarray[Any, np.dtype[np.uint8]]]  # RGB (height, width, 3), by camera
    state: np.ndarray[Any, np.dtype[np.float32]]
    task: str
    noise: np.ndarray[Any, np.dtype[np.float32]]  # (1, chunk, max_action_dim)


def sample_question(cameras: Iterable[str], chunk: int) -> Question:
    """The same random input in every process."""
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (96, 128, 3), np.uint8) for name in cameras}
    noise = random.standard_normal((1, chunk, 32)).astype(np.float32)
    return Question(images, random.standard_normal(6).astype(np.float32), "Pick up the red cube", noise)


class Contender(Protocol):
    """A loaded policy."""

    weights_bytes: int  # in memory

    def predict(self, question: Question) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The normalised actions, (chunk, action_dim)."""


class Stopwatch:
    """Adds up the duration of calls by stage."""

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._synchronize: Callable[[], None] = (
            torch.cuda.synchronize if device.startswith("cuda") else lambda: None
        )

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with the duration of its calls added to `stage`."""

        def call(*arguments: Any, **named: Any) -> Any:
            self._synchronize()
            start = time.perf_counter()
            result = function(*arguments, **named)
            self._synchronize()
            self.seconds[stage] += time.perf_counter() - start
            return result

        return call


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--device", required=True)
    return parser.parse_args()


def answer(load: Callable[[argparse.Namespace, Stopwatch], Contender]) -> None:
    """Load, send time and memory of loading, then answer until the pipe is closed. Prints go to stderr."""
    options = arguments()
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)

        def reply(values: dict[str, Any]) -> None:
            pickle.dump(values, replies)
            replies.flush()

        stopwatch = Stopwatch(options.device)
        imported = peak_bytes()
        start = time.perf_counter()
        contender = load(options, stopwatch)
        reply(
            {
                "load_s": time.perf_counter() - start,
                "imported_bytes": imported,
                "load_peak_bytes": peak_bytes(),
                "weights_bytes": contender.weights_bytes,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
        )
        predict = stopwatch.timed("total", contender.predict)
        while True:
            try:
                question = Question(*pickle.load(sys.stdin.buffer))
            except EOFError:
                return
            stopwatch.seconds.clear()
            actions = predict(question)
            reply({"actions": actions, "seconds": dict(stopwatch.seconds), "peak_bytes": peak_bytes()})


def peak_bytes() -> int:
    """The peak memory of this process, including mapped files."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
