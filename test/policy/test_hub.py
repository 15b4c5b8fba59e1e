# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the Hugging Face Hub are read from its local cache; loading a local folder uses no network."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub.constants
import pytest
from huggingface_hub.utils import filter_repo_objects

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

from .conftest import GOLDEN

OLD, NEW = "0" * 40, "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No network: every attempt to reach it fails and is recorded."""
    noted: list[Any] = []

    def refuse(*arguments: Any, **options: Any) -> NoReturn:
        noted.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return noted


@pytest.fixture(params=["offline", "unreachable"])
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The Hub's cache, empty; the Hub itself is switched off (HF_HUB_OFFLINE=1) or cannot be reached."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", request.param == "offline")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cache(hub: Path, name: str, source: Path, commit: str = NEW, branch: str = "main") -> Path:
    """Put a folder into the cache, as the Hub's client does."""
    repository = hub / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / branch).write_text(commit)
    return repository / "snapshots" / commit


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_local_folder_touches_no_network(attempts: list[Any], era_a: Path) -> None:
    shutil.copytree(GOLDEN / "vlm", era_a / "vlm")
    SmolVLA.from_pretrained(era_a, device="cpu")
    SmolVLA.from_pretrained(GOLDEN / "era_b", device="cpu", backbone=GOLDEN / "vlm")
    assert not attempts


def test_checkpoint_and_backbone_come_from_the_cache(hub: Path) -> None:
    checkpoint = cache(hub, "someone/policy", GOLDEN / "era_b")
    cache(hub, "someone/vlm", GOLDEN / "vlm")
    for name in ("config.json", "policy_preprocessor.json"):
        replace(checkpoint / name, '"vlm"', '"someone/vlm"')
    assert SmolVLA.from_pretrained("someone/policy", device="cpu").name == "someone/policy@01234567"


@pytest.mark.parametrize(("revision", "chunk_size"), [(None, 50), ("main", 50), (OLD, 20), ("v1", 20)])
def test_the_revision_reaches_every_file(revision: str | None, chunk_size: int, hub: Path) -> None:
    older = cache(hub, "someone/policy", GOLDEN / "era_b", OLD, branch="v1")
    cache(hub, "someone/policy", GOLDEN / "era_b")
    replace(older / "config.json", '"chunk_size": 50', '"chunk_size": 20')
    spec = CheckpointSpec.load("someone/policy", backbone=GOLDEN / "vlm", revision=revision)
    assert spec.config.chunk_size == chunk_size
    assert spec.weights.path.parent == spec.folder
    assert spec.folder.name == (OLD if chunk_size == 20 else NEW)


def test_an_adapter_and_its_base_come_from_the_cache(hub: Path, adapter: Path) -> None:
    cache(hub, "someone/base", GOLDEN / "era_b", OLD, branch="v1")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config.update(base_model_name_or_path="someone/base", revision="v1")
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    cache(hub, "someone/adapter", adapter)
    spec = CheckpointSpec.load("someone/adapter", backbone=GOLDEN / "vlm")
    assert (spec.name, spec.weights.path.parent.name) == ("someone/adapter@01234567", OLD)


def test_what_is_not_in_the_cache_says_what_to_do(hub: Path) -> None:
    message = (
        "could not get 'someone/policy' at revision 'v2' from the Hugging Face Hub .* or give a local folder"
    )
    with pytest.raises(CheckpointError, match=message):
        CheckpointSpec.load("someone/policy", revision="v2")


def test_a_backbone_that_is_not_in_the_cache_names_the_parameter(hub: Path) -> None:
    checkpoint = cache(hub, "someone/policy", GOLDEN / "era_b")
    replace(checkpoint / "policy_preprocessor.json", '"vlm"', '"someone/vlm"')
    with pytest.raises(CheckpointError, match="could not get 'someone/vlm' .* pass backbone="):
        CheckpointSpec.load("someone/policy")


def test_what_is_downloaded_is_the_top_folder_without_pickle_files(
    monkeypatch: pytest.MonkeyPatch, hub: Path
) -> None:
    patterns: dict[str, Any] = {}
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda _id, **options: patterns.update(options) or hub
    )
    Checkpoint.locate("someone/policy")
    names = [
        "config.json",
        "my_statistics.safetensors",
        "adapter_config.json",
        "model.safetensors",
        "README.md",
    ]
    left = ["pytorch_model.bin", "training_state/optimizer_state.safetensors", "onnx/config.json"]
    options = {key: patterns[key] for key in ("allow_patterns", "ignore_patterns")}
    assert list(filter_repo_objects(names + left, **options)) == names[:-1]
