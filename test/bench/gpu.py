# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks on a CUDA device: eager, compiled, and as one captured graph, by number format, cameras and batch.

    python test/bench/gpu.py --checkpoint FOLDER                    # some minutes
    python test/bench/gpu.py --device cpu --chunks 2 --batches 1    # tries the program out, without graphs

A chunk is timed from uint8 images in pinned memory to normalised actions in pinned memory, in a thread of its own, as
the policy node infers. The captured graph holds all between the copies: image preparation, vision of all cameras in
one batch, prefix, and every step of the flow, on buffers that stay where they are. Its result must be, bit for bit,
that of the same kernels run eagerly. The first table compares with float32 on the CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from contenders import full_size
from torch import Tensor

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.processing import fit_image
from smolvla_ros.policy.smolvla.compilation import Stages
from smolvla_ros.share import CHECKPOINT

HEIGHT, WIDTH = 480, 640
TASK = "Pick up the red cube and place it in the box."
MODES = ("eager", "captured", "compiled")
MEGABYTE = 1e6


class Buffers(NamedTuple):
    """The inputs of a batch of chunks."""

    images: list[Tensor]  # uint8 (B, HEIGHT, WIDTH, 3), one for each camera
    tokens: Tensor  # int64 (B, tokens)
    tokens_valid: Tensor  # bool (B, tokens)
    state: Tensor  # float32 (B, max_state_dim)
    noise: Tensor  # float32 (B, chunk, max_action_dim)

    @classmethod
    def random(cls, model: SmolVLA, cameras: int, batch: int) -> Buffers:
        """On the CPU, in pinned memory where there is a CUDA device."""
        generator = torch.Generator().manual_seed(cameras)
        tokens, tokens_valid = model._tokenizer(TASK)
        shape = batch, model.chunk_size, model.config.max_action_dim
        made = cls(
            [
                torch.randint(0, 256, (batch, HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator)
                for _ in range(cameras)
            ],
            tokens.repeat(batch, 1),
            tokens_valid.repeat(batch, 1),
            torch.randn(batch, model.config.max_state_dim, generator=generator),
            torch.randn(shape, generator=generator),
        )
        return made.each(lambda tensor: tensor.pin_memory() if torch.cuda.is_available() else tensor)

    def each(self, change: Callable[[Tensor], Tensor]) -> Buffers:
        images, *others = self
        return Buffers([change(image) for image in images], *map(change, others))

    def copy_from(self, other: Buffers) -> None:
        for mine, its in zip((*self.images, *self[1:]), (*other.images, *other[1:]), strict=True):
            mine.copy_(its, non_blocking=True)


class Program:
    """Computes chunks on buffers of one shape; `run` may be replaced by the replay of a graph."""

    def __init__(self, model: SmolVLA, given: Buffers, mode: str) -> None:
        self._model, self._given = model, given
        device = model.network.state_proj.weight.device
        model.network.batches_images = True
        self._stages = Stages.compiled(model.network) if mode == "compiled" else Stages.eager(model.network)
        self._inputs = given.each(lambda tensor: tensor.to(device))
        self._times = model.network.embed_times(torch.tensor(model.network.solver.times)).to(device)
        self._run = self.compute
        if mode == "captured":
            self._capture()
        self.result = torch.empty_like(self._run(), device="cpu", pin_memory=device.type == "cuda")

    def compute(self) -> Tensor:
        """Normalised actions (B, chunk, max_action_dim) of the input buffers."""
        model, inputs = self._model, self._inputs
        normalizers, size = model._image_normalizers, model.config.image_size
        images = [
            fit_image(image, size, normalizers.get(key))
            for key, image in zip(model.image_keys, inputs.images, strict=False)
        ]
        context = self._stages.encode_prefix(
            images, [True] * len(images), inputs.tokens, inputs.tokens_valid, inputs.state, True
        )

        def velocity(x: Tensor, index: int) -> Tensor:
            return self._stages.velocity(context, x, self._times[index])

        return model.network.solver.integrate(velocity, inputs.noise)

    def chunk(self) -> Tensor:
        """From the given inputs to the result, both in host memory."""
        self._inputs.copy_from(self._given)
        self.result.copy_(self._run(), non_blocking=True)
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()
        return self.result

    def _capture(self) -> None:
        """Record `compute` after it has run in this thread, on the stream on which it is recorded."""
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                expected = self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph, stream=stream):
            actions = self.compute()

        def replay() -> Tensor:
            graph.replay()
            return actions

        if not torch.equal(replay(), expected):
            raise SystemExit("the captured graph does not give the bits of its kernels run eagerly")
        self._run = replay


@torch.inference_mode()
def measure(model: SmolVLA, mode: str, cameras: int, batch: int, chunks: int) -> str:
    """A row of the table."""
    is_cuda = model.network.state_proj.weight.device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    program = Program(model, Buffers.random(model, cameras, batch), mode)
    program.chunk()
    first_s = time.perf_counter() - started
    seconds = []
    for _ in range(3 + chunks):
        started = time.perf_counter()
        program.chunk()
        seconds.append(time.perf_counter() - started)
    p50, p99 = 1e3 * np.percentile(seconds[3:], (50, 99))
    memory = torch.cuda.max_memory_allocated() / MEGABYTE if is_cuda else 0.0
    per_second = batch * 1e3 / p50
    return f"{cameras} | {batch} | {p50:.2f} | {p99:.2f} | {per_second:.1f} | {first_s:.1f} | {memory:.0f}"


@torch.inference_mode()
def differences(checkpoint: str | Path, device: str, dtype: str) -> str:
    """Largest and mean difference of the normalised actions of two cameras from float32 on the CPU."""
    actions = []
    for place, kind in ((device, dtype), ("cpu", "float32")):
        model = SmolVLA.from_pretrained(checkpoint, place, kind, compiles=False)
        program = Program(model, Buffers.random(model, 2, 1), "eager")
        actions.append(program.chunk()[..., : model.action_dim].clone())
    error = (actions[0] - actions[1]).abs()
    return f"{error.max():.1e} | {error.mean():.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", help="default: a full-size one with random weights")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which takes minutes")
    options = parser.parse_args()
    checkpoint = options.checkpoint or full_size.make(Path(__file__).parents[2] / "build" / "full_size")
    is_cuda = options.device.startswith("cuda")
    print(f"{torch.cuda.get_device_name() if is_cuda else 'CPU'}, torch {torch.__version__}")
    print("\n| checkpoint, from CPU float32 | largest | mean |\n|---|--:|--:|")
    for place, dtype in product((CHECKPOINT, checkpoint), options.dtypes):
        print(f"| {Path(place).name} {dtype} | {differences(place, options.device, dtype)} |", flush=True)
    modes = [mode for mode in MODES if is_cuda or mode == "eager"]
    print("\n|  | cameras | batch | p50 (ms) | p99 (ms) | chunks/s | first (s) | memory (MB) |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    shapes = [(cameras, 1) for cameras in (1, 2, 3)] + [(2, batch) for batch in options.batches if batch > 1]
    with ThreadPoolExecutor(1) as worker:
        for dtype in options.dtypes:
            model = SmolVLA.from_pretrained(checkpoint, options.device, dtype, compiles=False)
            for mode in modes if options.compiled else modes[:2]:
                for cameras, batch in shapes if mode != "compiled" else [(2, 1)]:
                    if cameras <= len(model.image_keys):
                        row = worker.submit(measure, model, mode, cameras, batch, options.chunks).result()
                        print(f"| {mode} {dtype} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
