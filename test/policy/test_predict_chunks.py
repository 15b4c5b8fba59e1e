# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks that are computed together are those that are computed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.guidance_settings import GuidanceSettings

TASKS = ("wipe", "Put the red cube into the box on the left", "wipe the table")


@pytest.fixture
def requests(policy: SmolVLA, observation: dict[str, Any]) -> list[ChunkInputs]:
    """Different in every way, some of them with a plan to continue."""
    draw = np.random.default_rng(0)
    plan = draw.standard_normal((20, policy.action_dim))
    plans = (None, (plan, GuidanceSettings(3, 9, "linear", 5.0)), (plan[:4], GuidanceSettings(1, 10)))
    return [
        ChunkInputs(
            {
                key: draw.integers(0, 255, image.shape, np.uint8)
                for key, image in observation["images"].items()
            },
            draw.standard_normal(policy.state_dim),
            task,
            seed,
            1.0 - 0.3 * seed,
            *(continuation or ()),
        )
        for seed, (task, continuation) in enumerate(zip(TASKS, plans, strict=True))
    ]


def test_one_alone_is_the_chunk_of_predict_chunk_bit_for_bit(
    policy: SmolVLA, requests: list[ChunkInputs]
) -> None:
    for request in requests:
        policy.noise_scale = request.noise_scale
        expected = policy.predict_chunk(
            request.images,
            request.state,
            request.task,
            seed=request.seed,
            prefix=request.prefix,
            inference_delay=request.guidance.inference_delay,
            execution_horizon=request.guidance.execution_horizon,
            schedule=request.guidance.schedule,
            max_guidance_weight=request.guidance.max_weight,
        )
        policy.noise_scale = 1.0
        [alone] = policy.predict_chunks([request])
        assert np.array_equal(alone, expected)


def test_several_together_are_the_same_up_to_the_order_of_sums(
    policy: SmolVLA, requests: list[ChunkInputs]
) -> None:
    std = policy.processors.action.second.numpy()
    together = policy.predict_chunks(requests)
    for chunk, request in zip(together, requests, strict=True):
        [alone] = policy.predict_chunks([request])
        assert np.abs((chunk - alone) / std).max() < 1e-4
    assert np.abs((together[0] - together[1]) / std).max() > 0.1
