# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much sooner a chunk comes whose images were encoded before it was asked for (`looks_ahead`).

In each round every checkpoint is asked twice for the same chunk, in turn: with images that it has not seen, and with
images that it has been shown before; both chunks must be equal bit for bit. Times are from the request to the chunk;
"encoding" is what was done before the request. All is computed by this process, so nothing else wants the cores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smolvla_ros.policy import SmolVLA
from smolvla_ros.share import CHECKPOINT

TASK = "Pick up the red cube and place it in the box."


def timed(work: Callable[[], object]) -> tuple[float, object]:
    started_s = time.monotonic()
    result = work()
    return time.monotonic() - started_s, result


def rounds(policy: SmolVLA, cameras: int, count: int) -> list[tuple[float, float, float]]:
    """Seconds of each round: without looking ahead, with it, and encoding; the first round is not counted."""
    found = []
    for index in range(1 + count):
        draw = np.random.default_rng(index)
        keys = policy.image_keys[:cameras]
        images = {key: draw.integers(0, 255, (480, 640, 3), np.uint8) for key in keys}
        state = draw.standard_normal(policy.state_dim).astype(np.float32)

        def chunk(
            images: dict[str, np.ndarray] = images, state: np.ndarray = state, seed: int = index
        ) -> object:
            return policy.predict_chunk(images, state, TASK, seed=seed)

        without_s, expected = timed(chunk)
        encoding_s, _ = timed(lambda images=images: policy.look(images))
        with_s, ahead = timed(chunk)
        if not np.array_equal(np.asarray(expected), np.asarray(ahead)):
            raise RuntimeError("looking ahead has changed a chunk")
        found.append((without_s, with_s, encoding_s))
    return found[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--checkpoints", nargs="+", help="default: the shipped one, and a full-size random one"
    )
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("| checkpoint | numbers | without (ms) | looking ahead (ms) | of it | encoding (ms) |")
    print("|---|---|--:|--:|--:|--:|")
    for checkpoint in options.checkpoints or (CHECKPOINT, str(full_size_checkpoint())):
        for dtype in options.dtypes:
            policy = SmolVLA.from_pretrained(checkpoint, "cpu", dtype)
            found = rounds(policy, options.cameras, options.runs)
            without_s, with_s, encoding_s = (statistics.median(column) for column in zip(*found, strict=True))
            ratio = statistics.median(each[1] / each[0] for each in found)
            cells = (policy.name, dtype, f"{without_s * 1e3:.1f}", f"{with_s * 1e3:.1f}", f"{ratio:.2f}")
            print(f"| {' | '.join((*cells, f'{encoding_s * 1e3:.1f}'))} |", flush=True)
    return 0


def full_size_checkpoint() -> Path:
    from contenders import full_size

    return full_size.make(Path(__file__).parents[2] / "build" / "full_size")


if __name__ == "__main__":
    sys.exit(main())
