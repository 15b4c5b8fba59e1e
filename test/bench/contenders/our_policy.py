# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time this package's SmolVLA by wrapping the methods of policy and network that compute a chunk."""

from __future__ import annotations

from smolvla_ros.policy import SmolVLA  # before torch: it sets how torch's threads wait

# isort: split
import argparse
from typing import Any

import numpy as np
from torch import Tensor
from worker import Question, Stopwatch, answer

from smolvla_ros.policy.smolvla.acceleration import weights_bytes


class Ours:
    def __init__(self, options: argparse.Namespace, stopwatch: Stopwatch) -> None:
        self.policy = SmolVLA.from_pretrained(
            options.checkpoint, device=options.device, dtype=options.dtype, backbone=options.backbone
        )
        network = self.policy.network
        self.weights_bytes = weights_bytes(network)
        self.policy.prepare = stopwatch.timed("preparation", self.policy.prepare)
        network.embed_prefix = stopwatch.timed("vision", network.embed_prefix)
        network.prefix_keys_values = stopwatch.timed("prefix", network.prefix_keys_values)
        network.context = stopwatch.timed("prefix", network.context)
        sample = stopwatch.timed("denoise", network.sample)

        def keep_result(*arguments: Any, **named: Any) -> Tensor:
            self.normalized: Tensor = sample(*arguments, **named)
            return self.normalized

        network.sample = keep_result

    def predict(self, question: Question) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.policy.predict_chunk(question.images, question.state, question.task, noise=question.noise)
        return self.normalized[0, :, : self.policy.action_dim].to("cpu").numpy()


if __name__ == "__main__":
    answer(Ours)
