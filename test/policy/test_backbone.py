# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The config and tokenizer of the vision-language model are found and checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.policy import SmolVLA

from .conftest import GOLDEN, MakeCheckpoint
from .test_checkpoint import VLM, refuse


def test_the_backbone_is_found_inside_the_checkpoint(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    shutil.copytree(VLM, folder / "vlm")
    assert SmolVLA.from_pretrained(folder, device="cpu").chunk_size == 50


def test_the_backbone_is_found_in_the_working_directory(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN)
    assert SmolVLA.from_pretrained(make_checkpoint(), device="cpu").chunk_size == 50


def test_a_backbone_that_is_nowhere_names_the_parameter(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse(make_checkpoint(), "'vlm' is no folder inside the checkpoint, .* pass backbone=", backbone=None)


def test_a_backbone_that_is_no_folder_is_refused(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    refuse(make_checkpoint(), "backbone='.*absent' is not a folder", backbone=tmp_path / "absent")


@pytest.fixture
def backbone(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(VLM, tmp_path / "vlm")
    yield tmp_path / "vlm"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_of_the_backbone_is_named(name: str, backbone: Path) -> None:
    (backbone / name).unlink()
    refuse(GOLDEN / "era_b", f"{name} is missing; the backbone folder must hold", backbone=backbone)


def test_a_broken_tokenizer_is_named(backbone: Path) -> None:
    (backbone / "tokenizer.json").write_text("{}")
    refuse(GOLDEN / "era_b", "tokenizer.json is not a tokenizer", backbone=backbone)


def test_a_tokenizer_without_its_padding_token_is_refused(backbone: Path) -> None:
    (backbone / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (backbone / "special_tokens_map.json").unlink()
    refuse(GOLDEN / "era_b", "tokenizer_config.json: 'pad_token' is missing", backbone=backbone)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (None, {"model_type": "llama"}, "'model_type' is 'llama', expected 'smolvlm'"),
        ("text_config", {"hidden_act": "gelu"}, "text_config: 'hidden_act' is 'gelu', only 'silu'"),
        ("vision_config", {"hidden_act": "relu"}, "vision_config: 'hidden_act' is 'relu'"),
        ("text_config", {"num_key_value_heads": 4}, "6 heads share 4 key-value heads"),
        ("text_config", {"hidden_size": 0}, "'hidden_size' is 0"),
        ("text_config", {"vocab_size": 449}, "embed_tokens.weight' has shape"),
        ("text_config", {"vocab_size": 419}, "has 420 tokens, the model in .* knows 419"),
        ("text_config", {"model_type": "perceptron"}, "config.json is not the configuration of a SmolVLM"),
    ],
)
def test_a_backbone_that_is_not_computed_is_refused(
    section: str | None, values: dict[str, Any], message: str, backbone: Path
) -> None:
    config = json.loads((backbone / "config.json").read_text())
    (config[section] if section else config).update(values)
    (backbone / "config.json").write_text(json.dumps(config))
    refuse(GOLDEN / "era_b", message, backbone=backbone)
