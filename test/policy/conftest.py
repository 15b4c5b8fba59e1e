# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The golden checkpoint and its cases (test/data/golden), and altered copies of that checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.policy import SmolVLA

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CASES = {
    case["name"]: case for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
}

MakeCheckpoint = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in the order in which the golden data was made."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tensors() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "cases.safetensors")


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """Builds a copy of the golden checkpoint with other config values, other step settings, or without some files."""

    def make(
        config: Mapping[str, Any] | None = None,
        steps: Mapping[str, Mapping[str, Any]] | None = None,
        without: tuple[str, ...] = (),
    ) -> Path:
        folder = tmp_path / "checkpoint"
        folder.mkdir()
        for source in (GOLDEN / "era_b").iterdir():
            if source.name in without:
                continue
            if source.suffix == ".safetensors":
                (folder / source.name).symlink_to(source)
                continue
            values = json.loads(source.read_text())
            if source.name == "config.json":
                values.update(config or {})
            for step in values.get("steps", []):
                step["config"].update((steps or {}).get(step["registry_name"], {}))
            (folder / source.name).write_text(json.dumps(values))
        return folder

    return make


@pytest.fixture
def load(make_checkpoint: MakeCheckpoint) -> Callable[..., SmolVLA]:
    """Loads an altered copy of the golden checkpoint in float32."""

    def load(dtype: str = "float32", **changes: Any) -> SmolVLA:
        return SmolVLA.from_pretrained(
            make_checkpoint(**changes), device="cpu", dtype=dtype, backbone=GOLDEN / "vlm"
        )

    return load


@pytest.fixture(scope="session")
def policy() -> SmolVLA:
    return SmolVLA.from_pretrained(GOLDEN / "era_b", device="cpu", dtype="float32", backbone=GOLDEN / "vlm")


@pytest.fixture
def observation() -> dict[str, Any]:
    """Inputs that the golden checkpoint accepts."""
    images = {name: np.full((48, 64, 3), 90, dtype=np.uint8) for name in ("camera1", "camera2")}
    return {"images": images, "state": np.zeros(6, dtype=np.float32), "task": "Wipe the table"}
