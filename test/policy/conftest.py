# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The golden checkpoint and its cases (test/data/golden), and altered copies of that checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from smolvla_ros.policy import SmolVLA

from ..package_files import GOLDEN

CASES = {
    case["name"]: case for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
}

MakeCheckpoint = Callable[..., Path]
Tensors = dict[str, torch.Tensor]


def alter(path: Path, change: Callable[[Tensors], object]) -> None:
    """Replace a tensor file (it may be a link to a golden one) by an altered copy."""
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path)


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


def build_checkpoint(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """A copy of the golden checkpoint with other config values, other step settings, or without some files."""
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


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """`build_checkpoint` in the test's folder."""
    return partial(build_checkpoint, tmp_path / "checkpoint")


def save_without_processors(folder: Path, buffers: Mapping[str, torch.Tensor], prefix: str = "") -> Path:
    """Turn a copy of the golden checkpoint into one of LeRobot 0.3: `buffers` among the weights, no processors."""
    for path in folder.iterdir():
        path.unlink()
    shutil.copy(GOLDEN / "era_a" / "config.json", folder)
    tensors = load_file(GOLDEN / "era_b" / "model.safetensors") | dict(buffers)
    save_file({prefix + key: value for key, value in tensors.items()}, folder / "model.safetensors")
    return folder


def golden_buffers() -> dict[str, torch.Tensor]:
    """The golden checkpoint's statistics under the names that LeRobot 0.3 gave them."""
    file = GOLDEN / "era_b" / "policy_preprocessor_step_5_normalizer_processor.safetensors"
    statistics = load_file(file)
    owners = {
        "normalize_inputs.buffer_observation_state": "observation.state",
        "normalize_targets.buffer_action": "action",
        "unnormalize_outputs.buffer_action": "action",
    }
    return {
        f"{buffer}.{name}": statistics[f"{feature}.{name}"].clone()
        for buffer, feature in owners.items()
        for name in ("mean", "std")
    }


@pytest.fixture
def era_a(make_checkpoint: MakeCheckpoint) -> Path:
    """The golden checkpoint as LeRobot 0.3 saved it."""
    return save_without_processors(make_checkpoint(), golden_buffers())


@pytest.fixture
def multi(make_checkpoint: MakeCheckpoint) -> Path:
    """The golden checkpoint as smolvla_base is: stored in float32, statistics of three datasets, of actions only."""
    folder = make_checkpoint()
    for source in (GOLDEN / "multi").iterdir():
        (folder / source.name).unlink()
        (folder / source.name).symlink_to(source)
    alter(folder / "model.safetensors", lambda t: t.update({key: value.float() for key, value in t.items()}))
    return folder


@pytest.fixture
def adapter(make_checkpoint: MakeCheckpoint) -> Path:
    """The golden adapter: as PEFT saves one, beside its base model `era_b`."""
    folder = make_checkpoint(config={"use_peft": True}, without=("model.safetensors",))
    for source in (GOLDEN / "peft").iterdir():
        shutil.copy(source, folder)
    (folder.parent / "era_b").symlink_to(GOLDEN / "era_b")
    return folder


@pytest.fixture
def load(make_checkpoint: MakeCheckpoint) -> Callable[..., SmolVLA]:
    """Loads an altered copy of the golden checkpoint in float32."""

    def load(dtype: str = "float32", **changes: Any) -> SmolVLA:
        return SmolVLA.from_pretrained(
            make_checkpoint(**changes), device="cpu", dtype=dtype, backbone=GOLDEN / "vlm"
        )

    return load


@pytest.fixture(scope="session")
def load_shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SmolVLA]:
    """As `load`, for tests that leave the policy as it is: each altered copy is loaded once."""
    loaded: dict[str, SmolVLA] = {}

    def load(dtype: str = "float32", **changes: Any) -> SmolVLA:
        key = json.dumps([dtype, changes], sort_keys=True)
        if key not in loaded:
            folder = build_checkpoint(tmp_path_factory.mktemp("shared") / "checkpoint", **changes)
            loaded[key] = SmolVLA.from_pretrained(folder, device="cpu", dtype=dtype, backbone=GOLDEN / "vlm")
        return loaded[key]

    return load


@pytest.fixture(scope="session")
def policy() -> SmolVLA:
    return SmolVLA.from_pretrained(GOLDEN / "era_b", device="cpu", dtype="float32", backbone=GOLDEN / "vlm")


@pytest.fixture
def observation() -> dict[str, Any]:
    """Inputs that the golden checkpoint accepts."""
    images = {name: np.full((48, 64, 3), 90, dtype=np.uint8) for name in ("camera1", "camera2")}
    return {"images": images, "state": np.zeros(6, dtype=np.float32), "task": "Wipe the table"}
