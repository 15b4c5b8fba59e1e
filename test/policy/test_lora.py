# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adapters are merged into their base model's weights, or rejected."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import CheckpointError
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

from .conftest import GOLDEN, alter

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
PROJECTION = f"{PREFIX}model.action_out_proj"


def load(folder: Path, **options: Any) -> SmolVLA:
    return SmolVLA.from_pretrained(folder, device="cpu", dtype="float32", backbone=GOLDEN / "vlm", **options)


def refuse(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        CheckpointSpec.load(folder, backbone=GOLDEN / "vlm")


def configure(folder: Path, **values: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))


def base_weight(key: str) -> torch.Tensor:
    return load_file(GOLDEN / "era_b" / "model.safetensors")[key].float()


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 8 / math.sqrt(4)),
        ({"alpha_pattern": {"action_out_proj": 2}}, 0.5),
        ({"alpha_pattern": {"out_proj": 2}}, 2.0),
        ({"lora_dropout": 0.5, "task_type": "other", "unknown_variant": False}, 2.0),
        ({"rank_pattern": {r"model\.action_.*": 4}, "r": 4}, 2.0),
    ],
)
def test_the_merged_product_is_scaled_by_alpha_over_rank(
    settings: dict[str, Any], scale: float, adapter: Path
) -> None:
    configure(adapter, **settings)
    tensors = load_file(adapter / WEIGHTS)
    added = tensors[f"{PROJECTION}.lora_B.weight"] @ tensors[f"{PROJECTION}.lora_A.weight"]
    expected = base_weight("model.action_out_proj.weight") + scale * added
    torch.testing.assert_close(load(adapter).network.action_out_proj.weight, expected)


def test_fully_trained_modules_replace_those_of_the_base(adapter: Path) -> None:
    configure(adapter, modules_to_save=["action_out_proj"])

    def whole(tensors: dict[str, torch.Tensor]) -> None:
        for matrix in "AB":
            del tensors[f"{PROJECTION}.lora_{matrix}.weight"]
        tensors[f"{PROJECTION}.weight"] = torch.full((32, 90), 0.25)
        tensors[f"{PROJECTION}.bias"] = torch.full((32,), 0.5)

    alter(adapter / WEIGHTS, whole)
    projection = load(adapter).network.action_out_proj
    assert projection.weight.unique().tolist() == [0.25]
    assert projection.bias.unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "'peft_type' is 'IA3': only plain LoRA can be merged"),
        ({"use_dora": True}, "'use_dora' is True: only plain LoRA"),
        ({"unknown_variant": 1}, "'unknown_variant' is 1: only plain LoRA"),
        ({"bias": "lora_only"}, "'bias' is 'lora_only'"),
        ({"init_lora_weights": "pissa"}, "'init_lora_weights' is 'pissa'"),
        ({"fan_in_fan_out": True}, "'fan_in_fan_out' is True"),
        ({"target_parameters": ["weight"]}, r"'target_parameters' is \['weight'\]"),
        ({"r": 8}, "have shapes .* says rank 8; the files belong to two adapters"),
        ({"r": 0}, "'r' is 0, expected a number above 0"),
        ({"lora_alpha": "big"}, "'lora_alpha' is 'big', expected float"),
        ({"target_modules": r"model\.nothing"}, "'target_modules' .* matches not model.action_in_proj"),
        ({"target_modules": ["q_proj", "v_proj"]}, "matches not model.action_in_proj"),
        ({"target_modules": None}, "matches not model.action_in_proj"),
        ({"base_model_name_or_path": None}, "'base_model_name_or_path' is None, expected str"),
        ({"base_model_name_or_path": "era_z"}, "base model 'era_z' is no folder inside the adapter's"),
    ],
)
def test_settings_that_would_give_other_weights_are_refused(
    settings: dict[str, Any], message: str, adapter: Path
) -> None:
    configure(adapter, **settings)
    refuse(adapter, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{PROJECTION}.lora_A.weight": None}, "'.*action_out_proj.lora_B.weight' has no lora_A beside it"),
        ({f"{PROJECTION}.lora_B.weight": None}, "'.*action_out_proj.lora_A.weight' has no lora_B beside it"),
        (
            {f"{PROJECTION}.lora_B.weight": torch.zeros(31, 4)},
            "the base model's .* has .*; the adapter belongs to an",
        ),
        ({f"{PROJECTION}.lora_A.weight": torch.zeros(4, 91)}, "the adapter belongs to another model"),
        ({f"{PROJECTION}.lora_A.weight": torch.zeros(3, 90)}, "says rank 4"),
        ({f"{PROJECTION}.lora_magnitude_vector": torch.zeros(32)}, "is not part of plain LoRA"),
        ({f"{PROJECTION}.weight": torch.zeros(32, 90)}, "is not part of plain LoRA"),
        ({f"{PROJECTION}.lora_A.weight": torch.zeros(4, 90, dtype=torch.int8)}, "is stored as I8"),
        ({"model.strange.lora_A.weight": torch.zeros(4, 90)}, "does not begin with 'base_model.model.'"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    changes: dict[str, torch.Tensor | None], message: str, adapter: Path
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for key, value in changes.items():
            if value is None:
                del tensors[key]
            else:
                tensors[key] = value

    alter(adapter / WEIGHTS, change)
    refuse(adapter, message)


def test_an_adapter_of_other_layers_is_refused(adapter: Path) -> None:
    configure(adapter, target_modules="all-linear")
    strange = {f"{PREFIX}model.layers.9.q_proj.lora_{m}.weight": torch.zeros(4, 4) for m in "AB"}
    alter(adapter / WEIGHTS, lambda tensors: tensors.update(strange))
    refuse(adapter, "adapts model.layers.9.q_proj.weight, which the base model does not have")


def test_a_module_that_should_be_adapted_and_is_not_is_refused(adapter: Path) -> None:
    alter(
        adapter / WEIGHTS,
        lambda tensors: [tensors.pop(f"{PROJECTION}.lora_{matrix}.weight") for matrix in "AB"],
    )
    refuse(adapter, "lacks model.action_out_proj.weight, which it should adapt")
    configure(adapter, exclude_modules=["action_out_proj"])
    assert CheckpointSpec.load(adapter, backbone=GOLDEN / "vlm").weights.adapter


def test_an_adapter_without_its_tensors_is_refused(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()
    refuse(adapter, f"{WEIGHTS} is missing")
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x04.")
    refuse(adapter, f"has no {WEIGHTS} but adapter_model.bin: pickle files can run code")


def test_weights_and_an_adapter_in_one_folder_are_rejected(adapter: Path) -> None:
    shutil.copy(GOLDEN / "era_b" / "model.safetensors", adapter)
    refuse(adapter, "holds both model.safetensors and an adapter; take away")


def test_an_adapter_of_an_adapter_is_refused(adapter: Path) -> None:
    shutil.copytree(adapter, adapter / "again")
    configure(adapter, base_model_name_or_path="again")
    refuse(adapter, "its base model .*again is an adapter too")


def test_config_and_processors_come_from_the_base_where_the_adapter_has_none(
    adapter: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in [*adapter.glob("policy_*"), adapter / "config.json"]:
        path.unlink()
    policy = load(adapter)
    assert policy.name == "checkpoint"
    assert policy.processors.state_statistics.values["std"].shape == (6,)
    assert "checkpoint has no processor files: those of its base model era_b are used" in caplog.text


def test_the_backbone_is_found_inside_the_base_model(adapter: Path) -> None:
    (adapter.parent / "era_b").unlink()
    shutil.copytree(GOLDEN / "era_b", adapter / "base")
    shutil.copytree(GOLDEN / "vlm", adapter / "base" / "vlm")
    configure(adapter, base_model_name_or_path="base")
    assert CheckpointSpec.load(adapter).tokenizer_name == "vlm"


def test_the_base_model_is_found_in_the_working_directory(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (adapter.parent / "era_b").unlink()
    monkeypatch.chdir(GOLDEN)
    assert CheckpointSpec.load(adapter).weights.path.parent.name == "era_b"
