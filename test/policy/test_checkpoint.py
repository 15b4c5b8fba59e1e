# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unusable checkpoints are rejected with the file, the key, the value and the remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError
from smolvla_ros.policy.policy import PolicyError

from .conftest import GOLDEN, MakeCheckpoint, Tensors, alter

VLM = GOLDEN / "vlm"
WEIGHTS = "model.safetensors"
PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
STATE_STATISTICS = "policy_preprocessor_step_5_normalizer_processor.safetensors"
ACTION_STATISTICS = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
HEAD = "model.vlm_with_expert.vlm.lm_head.weight"


def refuse(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(CheckpointError, match=message):
        SmolVLA.from_pretrained(folder, **{"device": "cpu", "backbone": VLM, **options})


# config.json


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "act"}, "config.json: 'type' is 'act'; this is not a SmolVLA checkpoint"),
        ({"attention_mode": "self_attn"}, "'attention_mode' is 'self_attn', only 'cross_attn' is supported"),
        ({"adapt_to_pi_aloha": True}, "'adapt_to_pi_aloha' is True, only False"),
        ({"use_delta_joint_actions_aloha": True}, "'use_delta_joint_actions_aloha' is True"),
        ({"use_cache": False}, "'use_cache' is False"),
        ({"num_expert_layers": 2}, "'num_expert_layers' is 2, only 4"),
        ({"num_vlm_layers": 9}, "has 6 layers, the checkpoint wants 9"),
        ({"chunk_size": "50"}, "'chunk_size' is '50', expected int"),
        ({"chunk_size": True}, "'chunk_size' is True, expected int"),
        ({"num_steps": 0}, "'num_steps' is 0, expected a number above 0"),
        ({"max_state_dim": 4}, "state 6 and action 6 values do not fit max_state_dim 4"),
        ({"resize_imgs_with_padding": None}, "'resize_imgs_with_padding' is None, expected list"),
        ({"resize_imgs_with_padding": [64, 48]}, r"is \[64, 48\], expected two equal numbers"),
        ({"resize_imgs_with_padding": [80, 80]}, "every 2 of 5 patches in a row are joined"),
        ({"input_features": {"observation.state": {"type": "STATE", "shape": [6]}}}, "no camera"),
        (
            {"input_features": {"observation.image": {"type": "VISUAL"}}},
            "input_features: 'observation.state' is miss",
        ),
        (
            {"output_features": {"action": {"type": "ACTION", "shape": [6, 2]}}},
            r"'action' has shape \[6, 2\]",
        ),
        ({"vlm_model_name": ["vlm"]}, "'vlm_model_name' is .* expected str"),
    ],
)
def test_a_config_that_is_not_computed_is_refused(
    config: dict[str, Any], message: str, make_checkpoint: MakeCheckpoint
) -> None:
    refuse(make_checkpoint(config=config), message)


def test_unknown_config_keys_are_ignored(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(config={"a_key_of_the_future": {"depth": 3}})
    assert SmolVLA.from_pretrained(folder, device="cpu", backbone=VLM).chunk_size == 50


def test_config_keys_that_older_versions_lack_have_their_defaults(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    config = json.loads((folder / "config.json").read_text())
    for key in ("chunk_size", "num_steps", "min_period", "prefix_length", "add_image_special_tokens"):
        del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    loaded = SmolVLA.from_pretrained(folder, device="cpu", backbone=VLM).config
    assert (loaded.chunk_size, loaded.num_steps, loaded.min_period, loaded.prefix_length) == (
        50,
        10,
        0.004,
        0,
    )


# Files


@pytest.mark.parametrize(
    "name", ["config.json", WEIGHTS, PREPROCESSOR, POSTPROCESSOR, STATE_STATISTICS, ACTION_STATISTICS]
)
def test_a_missing_file_is_named(name: str, make_checkpoint: MakeCheckpoint) -> None:
    refuse(make_checkpoint(without=(name,)), f"{name} is missing; ")


@pytest.mark.parametrize("name", ["config.json", PREPROCESSOR, POSTPROCESSOR])
@pytest.mark.parametrize(("text", "message"), [("{", "is not valid JSON"), ("[]", "holds a list, expected")])
def test_a_broken_json_file_is_named(
    name: str, text: str, message: str, make_checkpoint: MakeCheckpoint
) -> None:
    folder = make_checkpoint()
    (folder / name).write_text(text)
    refuse(folder, f"{name} {message}")


@pytest.mark.parametrize("name", [WEIGHTS, STATE_STATISTICS, ACTION_STATISTICS])
@pytest.mark.parametrize("length", [0, 7, 100, 0.9])
def test_a_truncated_tensor_file_is_named(name: str, length: float, make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(without=(name,))
    whole = (GOLDEN / "era_b" / name).read_bytes()
    (folder / name).write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    refuse(folder, f"{name} is damaged or not a safetensors file")


def test_pickle_files_are_not_opened(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(without=(WEIGHTS,))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    refuse(folder, f"has no {WEIGHTS} but pytorch_model.bin: pickle files can run code")


def test_a_state_file_that_is_a_pickle_is_not_opened(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    set_state_file(folder, "stats.pkl")
    (folder / "stats.pkl").write_bytes(b"\x80\x04.")
    refuse(folder, "stats.pkl is a pickle file")


@pytest.mark.parametrize("name", ["../stats.safetensors", "/etc/passwd", "sub/stats.safetensors", "", ".."])
def test_a_state_file_outside_the_folder_is_not_opened(name: str, make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    set_state_file(folder, name)
    refuse(folder, "only a plain file name inside it is allowed")


def test_the_state_file_that_the_step_names_is_followed(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(without=(STATE_STATISTICS,))
    shutil.copy(GOLDEN / "era_b" / STATE_STATISTICS, folder / "other.safetensors")
    set_state_file(folder, "other.safetensors")
    assert SmolVLA.from_pretrained(folder, device="cpu", backbone=VLM).state_dim == 6


def set_state_file(folder: Path, name: str) -> None:
    pipeline = json.loads((folder / PREPROCESSOR).read_text())
    pipeline["steps"][5]["state_file"] = name
    (folder / PREPROCESSOR).write_text(json.dumps(pipeline))


# Weights


def test_missing_and_unexpected_weights_are_counted_and_named(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()

    def change(tensors: Tensors) -> None:
        del tensors["model.state_proj.bias"]
        tensors["model.extra"] = torch.zeros(1)

    alter(folder / WEIGHTS, change)
    refuse(folder, r"1 missing \(model.state_proj.bias\); 1 unexpected \(model.extra\)")


def test_a_weight_of_another_shape_is_named(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    alter(folder / WEIGHTS, lambda tensors: tensors.update({"model.state_proj.bias": torch.zeros(7)}))
    refuse(folder, r"'model.state_proj.bias' has shape \(7,\), .* make it \(120,\)")


def test_an_integer_weight_is_named(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    weight = torch.zeros(120, dtype=torch.int8)
    alter(folder / WEIGHTS, lambda tensors: tensors.update({"model.state_proj.bias": weight}))
    refuse(folder, "'model.state_proj.bias' is stored as I8, expected one of F16, BF16, F32, F64")


def test_the_unused_language_head_may_be_absent(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint()
    alter(folder / WEIGHTS, lambda tensors: tensors.pop(HEAD))
    assert SmolVLA.from_pretrained(folder, device="cpu", backbone=VLM).chunk_size == 50


def test_weights_stored_in_other_types_compute_the_same(
    make_checkpoint: MakeCheckpoint, policy: SmolVLA, observation: dict[str, Any]
) -> None:
    folder = make_checkpoint()
    alter(folder / WEIGHTS, lambda tensors: tensors.update({k: v.float() for k, v in tensors.items()}))
    other = SmolVLA.from_pretrained(folder, device="cpu", dtype="float32", backbone=VLM)
    assert (other.predict_chunk(**observation, seed=1) == policy.predict_chunk(**observation, seed=1)).all()


# Statistics


@pytest.mark.parametrize(
    ("file", "feature"), [(STATE_STATISTICS, "observation.state"), (ACTION_STATISTICS, "action")]
)
class TestStatistics:
    def test_absent_ones_are_named(self, file: str, feature: str, make_checkpoint: MakeCheckpoint) -> None:
        folder = make_checkpoint()
        alter(folder / file, lambda tensors: tensors.pop(f"{feature}.std"))
        refuse(folder, rf"no usable statistics of {feature} \(mean, std\); without them .* {file}: ")

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_ones_that_are_not_finite_are_refused(
        self, value: float, file: str, feature: str, make_checkpoint: MakeCheckpoint
    ) -> None:
        folder = make_checkpoint()
        alter(folder / file, lambda tensors: tensors[f"{feature}.mean"].__setitem__(2, value))
        refuse(folder, f"'{feature}.mean' is .*; statistics that are not finite were never computed")

    @pytest.mark.parametrize("shape", [(0,), (5,), (1, 6), ()])
    def test_ones_of_another_shape_are_refused(
        self, shape: tuple[int, ...], file: str, feature: str, make_checkpoint: MakeCheckpoint
    ) -> None:
        folder = make_checkpoint()
        alter(folder / file, lambda tensors: tensors.update({f"{feature}.mean": torch.zeros(shape)}))
        refuse(folder, rf"'{feature}.mean' has shape .*, expected \(6,\)")

    def test_negative_spread_is_refused(
        self, file: str, feature: str, make_checkpoint: MakeCheckpoint
    ) -> None:
        folder = make_checkpoint()
        alter(folder / file, lambda tensors: tensors[f"{feature}.std"].neg_())
        refuse(folder, f"'{feature}.std' is .*, partly below")


def test_a_minimum_above_the_maximum_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    norm_map = {"VISUAL": "IDENTITY", "STATE": "MIN_MAX", "ACTION": "MEAN_STD"}
    folder = make_checkpoint(steps={"normalizer_processor": {"norm_map": norm_map}})
    alter(folder / STATE_STATISTICS, lambda tensors: tensors["observation.state.min"].add_(1000))
    refuse(folder, "'observation.state.max' is .*, partly below")


def test_another_normalisation_mode_needs_its_own_statistics(make_checkpoint: MakeCheckpoint) -> None:
    norm_map = {"VISUAL": "IDENTITY", "STATE": "QUANTILES", "ACTION": "MEAN_STD"}
    folder = make_checkpoint(steps={"normalizer_processor": {"norm_map": norm_map}})
    assert SmolVLA.from_pretrained(folder, device="cpu", backbone=VLM).processors.state.mode == "QUANTILES"
    alter(folder / STATE_STATISTICS, lambda tensors: tensors.pop("observation.state.q99"))
    refuse(folder, r"no usable statistics of observation.state \(q01, q99\)")


@pytest.mark.parametrize(
    ("section", "feature"), [("input_features", "observation.state"), ("output_features", "action")]
)
def test_another_number_of_joints_than_the_statistics_have_is_refused(
    section: str, feature: str, make_checkpoint: MakeCheckpoint
) -> None:
    features = json.loads((GOLDEN / "era_b" / "config.json").read_text())[section]
    features[feature]["shape"] = [7]
    refuse(
        make_checkpoint(config={section: features}), rf"'{feature}.mean' has shape \(6,\), expected \(7,\)"
    )


# Processor steps


@pytest.mark.parametrize(
    ("step", "settings", "message"),
    [
        ("tokenizer_processor", {"padding": "sideways"}, "'padding' is 'sideways'"),
        ("tokenizer_processor", {"padding_side": "top"}, "'padding_side' is 'top'"),
        ("tokenizer_processor", {"truncation": "only_first"}, "'truncation' is 'only_first', expected bool"),
        ("tokenizer_processor", {"max_length": 0}, "'max_length' is 0"),
        (
            "normalizer_processor",
            {"norm_map": {"STATE": "MEDIAN"}},
            "norm_map 'STATE' is 'MEDIAN', known are",
        ),
        ("normalizer_processor", {"norm_map": {}}, "norm_map: 'STATE' is missing"),
        ("normalizer_processor", {"features": {}}, "features: 'observation.state' is missing"),
        ("unnormalizer_processor", {"features": {}}, "features: 'action' is missing"),
        ("normalizer_processor", {"eps": "small"}, "'eps' is 'small', expected float"),
    ],
)
def test_step_settings_that_are_not_computed_are_refused(
    step: str, settings: dict[str, Any], message: str, make_checkpoint: MakeCheckpoint
) -> None:
    refuse(make_checkpoint(steps={step: settings}), message)


@pytest.mark.parametrize("change", ["remove", "repeat", "rename"])
@pytest.mark.parametrize(("pipeline", "index"), [(PREPROCESSOR, 5), (PREPROCESSOR, 3), (POSTPROCESSOR, 0)])
def test_unlike_steps_are_refused(
    change: str, pipeline: str, index: int, make_checkpoint: MakeCheckpoint
) -> None:
    folder = make_checkpoint()
    values = json.loads((folder / pipeline).read_text())
    steps = values["steps"]
    name = steps[index]["registry_name"]
    if change == "remove":
        del steps[index]
    elif change == "repeat":
        steps.append(steps[index])
    else:
        steps[index]["registry_name"] = "my_own_processor"
    (folder / pipeline).write_text(json.dumps(values))
    messages = {
        "remove": f"has no step '{name}'",
        "repeat": f"a second '{name}'",
        "rename": "step 'my_own_processor' is unknown",
    }
    refuse(folder, f"{pipeline}.*{messages[change]}")


# Where checkpoints are


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    refuse(
        tmp_path / "absent",
        "no such folder: .*absent; give a checkpoint folder, a Hub id .* or so100_tabletop",
    )
    refuse(GOLDEN / "era_b" / WEIGHTS, f"{WEIGHTS} is a file; give the folder")


def test_a_local_folder_has_no_revision() -> None:
    refuse(GOLDEN / "era_b", "it has no revision 'main'", revision="main")


def test_a_checkpoint_of_the_trainer_is_named_after_run_and_step(tmp_path: Path) -> None:
    folder = tmp_path / "pick_cube" / "checkpoints" / "020000" / "pretrained_model"
    folder.mkdir(parents=True)
    assert Checkpoint.locate(folder).name == "pick_cube@020000"


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="dtype is 'int4', expected one of auto, float32"):
        SmolVLA.from_pretrained(GOLDEN / "era_b", dtype="int4", backbone=VLM)
    with pytest.raises(PolicyError, match="device 'abacus' is not available"):
        SmolVLA.from_pretrained(GOLDEN / "era_b", device="abacus", backbone=VLM)
