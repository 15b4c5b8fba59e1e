# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The golden cases of training (test/data/golden/training) and the checkpoint that they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.training.batch import Batch, BatchPreparation, Samples

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CHECKPOINT, BACKBONE = GOLDEN / "era_b", GOLDEN / "vlm"
FILE: dict[str, Any] = json.loads((GOLDEN / "training" / "training_cases.json").read_text(encoding="utf-8"))
CASES: dict[str, Any] = FILE["cases"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in the order in which the golden data was made."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tensors() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "training" / "training_cases.safetensors")


@pytest.fixture(scope="session")
def batch(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The batch of all cases, as `loss_and_gradients` takes it."""
    return {
        "images": {
            key.removeprefix("observation.images."): tensors[f"in.{key}"].numpy() for key in FILE["cameras"]
        },
        "state": tensors["in.state"].numpy(),
        "action": tensors["in.action"].numpy(),
        "action_is_pad": tensors["in.action_is_pad"].numpy(),
        "task": FILE["tasks"],
    }


@pytest.fixture(scope="session")
def spec() -> CheckpointSpec:
    return CheckpointSpec.load(CHECKPOINT, BACKBONE)


@pytest.fixture(scope="session")
def prepared(spec: CheckpointSpec, batch: dict[str, Any]) -> Batch:
    return BatchPreparation(spec, torch.device("cpu"))(
        Samples(
            {name: torch.tensor(image) for name, image in batch["images"].items()},
            *(torch.tensor(batch[name]) for name in ("state", "action", "action_is_pad")),
            batch["task"],
        )
    )
