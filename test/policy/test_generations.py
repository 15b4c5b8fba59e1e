# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every layout in which LeRobot saved SmolVLA gives the numbers of the reference (test/data/golden/README.md)."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.arrays import Float32Array
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.checkpoint.files import CheckpointError
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

from .conftest import CASES, GOLDEN, MakeCheckpoint, Tensors, alter, golden_buffers, save_without_processors

DATASETS = ("so100", "so100-red", "so100-blue")
PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "generations.safetensors")


def load(folder: Path, dtype: str = "float32", **options: Any) -> SmolVLA:
    return SmolVLA.from_pretrained(folder, device="cpu", dtype=dtype, backbone=GOLDEN / "vlm", **options)


def act(policy: SmolVLA, tensors: Tensors, name: str = "basic") -> Float32Array:
    case = CASES[name]
    images = {key.rpartition(".")[2]: tensors[image].numpy() for key, image in case["images"].items()}
    state, noise = tensors[case["state"]].numpy(), tensors[f"{name}.noise"][0].numpy()
    return policy.predict_chunk(images, state, case["task"], noise=noise)


def error(policy: SmolVLA, actions: Float32Array, expected: torch.Tensor) -> Float32Array:
    """In standard deviations, in which the tolerances are."""
    found: Float32Array = (
        np.abs(actions - expected[0].numpy()) / policy.processors.action_statistics.values["std"]
    )
    return found


@pytest.mark.parametrize("mode", ["float32", "native"])
@pytest.mark.parametrize("name", ["mixed_sizes", "long_task"])
def test_a_checkpoint_of_lerobot_03_acts_like_a_newer_one(
    mode: str, name: str, era_a: Path, tensors: Tensors
) -> None:
    older, newer = load(era_a, mode), load(GOLDEN / "era_b", mode)
    assert (act(older, tensors, name) == act(newer, tensors, name)).all()
    assert older.processors.tokenizer == newer.processors.tokenizer


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_dataset_among_the_weights_is_chosen(
    dataset: str, make_checkpoint: Callable[..., Path], tensors: Tensors, expected: Tensors
) -> None:
    buffers = load_file(GOLDEN / "era_a" / "multi_stats.safetensors")
    policy = load(save_without_processors(make_checkpoint(), buffers), dataset=dataset)
    wanted = expected[f"multi.era_a_multi_{dataset}.fp32.action"]
    assert error(policy, act(policy, tensors), wanted).max() < 3e-5
    assert policy.processors.state_statistics.source == f"model.safetensors, dataset {dataset}"


@pytest.mark.parametrize("dataset", DATASETS)
def test_actions_of_a_dataset_go_with_a_state_from_stats_json(
    dataset: str, multi: Path, tensors: Tensors, expected: Tensors
) -> None:
    policy = load(multi, dataset=dataset, stats=GOLDEN / "stats.json")
    wanted = expected[f"multi.dataset_{dataset}_and_state_from_stats_json.fp32.action"]
    assert error(policy, act(policy, tensors), wanted).max() < 3e-5
    assert policy.processors.state_statistics.source == "stats.json"
    assert policy.processors.action_statistics.source.endswith(f", dataset {dataset}")


def test_stats_json_stands_in_for_all_statistics(multi: Path, tensors: Tensors, expected: Tensors) -> None:
    policy = load(multi, stats=GOLDEN / "stats.json")
    assert error(policy, act(policy, tensors), expected["multi.with_stats_json.fp32.action"]).max() < 3e-5


def test_identity_normalises_nothing_and_warns(
    multi: Path, tensors: Tensors, expected: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    policy = load(multi, normalization="identity")
    wanted = expected["multi.reference_silent_identity.fp32.action"][0].numpy()
    assert np.abs(act(policy, tensors) - wanted).max() < 3e-5
    assert "not normalised, because normalization='identity' was given" in caplog.text


@pytest.mark.parametrize(("mode", "dtype"), [("fp32", "float32"), ("native", "native")])
def test_an_adapter_is_merged(
    mode: str, dtype: str, adapter: Path, tensors: Tensors, expected: Tensors
) -> None:
    policy = load(adapter, dtype)
    actions = act(policy, tensors)
    merged = error(policy, actions, expected[f"peft.{mode}.merged.action"])
    applied = error(policy, actions, expected[f"peft.{mode}.action"])
    if mode == "fp32":
        assert max(merged.max(), applied.max()) < 3e-5
    else:  # another attention kernel moves bfloat16 results by up to 0.1
        assert max(merged.max(), applied.max()) < 0.2
        assert max(merged.mean(), applied.mean()) < 0.03
    plain = act(load(GOLDEN / "era_b", dtype), tensors)
    assert error(policy, plain, expected[f"peft.{mode}.action"]).max() > 0.3


# What varies within a generation


@pytest.mark.parametrize("prefix", ["_orig_mod.", ""])
def test_names_that_torch_compile_left_are_understood(
    prefix: str, make_checkpoint: Callable[..., Path], tensors: Tensors
) -> None:
    folder = save_without_processors(make_checkpoint(), golden_buffers(), prefix)

    def compiled(weights: Tensors) -> None:
        for key in list(weights):
            weights[key.replace("model.", "model._orig_mod.", 1).replace("attn.", "attn._orig_mod.")] = (
                weights.pop(key)
            )

    alter(folder / "model.safetensors", compiled)
    assert (act(load(folder), tensors) == act(load(GOLDEN / "era_b"), tensors)).all()


def test_a_weight_that_is_there_twice_is_refused(era_a: Path) -> None:
    again = {"model._orig_mod.state_proj.bias": torch.zeros(120)}
    alter(era_a / "model.safetensors", lambda weights: weights.update(again))
    with pytest.raises(ValueError, match="'model.state_proj.bias' twice, once as"):
        load(era_a)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_stored_type_does_not_matter(dtype: torch.dtype, era_a: Path) -> None:
    path = era_a / "model.safetensors"
    alter(path, lambda weights: weights.update({key: value.to(dtype) for key, value in weights.items()}))
    network = load(era_a, "native").network
    assert network.action_in_proj.weight.dtype == torch.float32
    stored = load_file(path)["model.action_in_proj.weight"]
    assert stored.dtype == dtype
    assert torch.equal(network.action_in_proj.weight, stored.float())


def test_what_config_json_says_of_the_tokenizer_counts_without_processor_files(era_a: Path) -> None:
    path = era_a / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "tokenizer_max_length": 12, "pad_language_to": "longest"}))
    tokenizer = load(era_a).processors.tokenizer
    assert (tokenizer.max_length, tokenizer.pads_to_max_length, tokenizer.truncates) == (12, False, True)
    path.write_text(json.dumps({**config, "pad_language_to": "widest"}))
    with pytest.raises(ValueError, match="'pad_language_to' is 'widest', expected 'max_length' or 'longest'"):
        load(era_a)


def test_the_processor_file_counts_more_than_config_json(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint(
        config={"tokenizer_max_length": 12, "pad_language_to": "longest", "normalization_mapping": {}},
        steps={"normalizer_processor": {"eps": 0.5}},
    )
    processors = load(folder).processors
    assert (processors.tokenizer.max_length, processors.tokenizer.pads_to_max_length) == (48, True)
    assert (processors.state.eps, processors.action.eps) == (0.5, 1e-8)


def test_steps_may_come_in_another_order_and_without_those_that_do_nothing(
    make_checkpoint: Callable[..., Path], tensors: Tensors
) -> None:
    folder = make_checkpoint()
    for name, keeps in ((PREPROCESSOR, ("norm", "smolvla", "token")), (POSTPROCESSOR, ("device", "unnorm"))):
        pipeline = json.loads((folder / name).read_text())
        by_name = {step["registry_name"]: step for step in pipeline["steps"]}
        pipeline["steps"] = [by_name[k] for keep in keeps for k in by_name if k.startswith(keep)]
        (folder / name).write_text(json.dumps(pipeline))
    assert (act(load(folder), tensors) == act(load(GOLDEN / "era_b"), tensors)).all()


def test_older_names_of_cameras_keep_their_order(era_a: Path) -> None:
    path = era_a / "config.json"
    config = json.loads(path.read_text())
    camera = config["input_features"].pop("observation.images.camera1")
    config["input_features"] = {
        **{name: camera for name in ("observation.image", "observation.image2")},
        "observation.state": config["input_features"]["observation.state"],
    }
    path.write_text(json.dumps(config))
    assert load(era_a).image_keys == ("image", "image2")


@pytest.mark.parametrize("missing", [PREPROCESSOR, POSTPROCESSOR])
def test_one_processor_file_of_two_is_not_an_older_checkpoint(
    missing: str, make_checkpoint: Callable[..., Path]
) -> None:
    with pytest.raises(ValueError, match=f"{missing} is missing"):
        load(make_checkpoint(without=(missing,)))


def test_loading_says_what_was_loaded(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load(GOLDEN / "era_b")
    pattern = r"era_b: 10\d{5} parameters in float32 on cpu, 4 MB"
    assert re.fullmatch(pattern, caplog.records[-1].getMessage())


def test_the_tokenizer_may_be_saved_in_the_checkpoint_as_by_lerobot_0_6_2(
    make_checkpoint: MakeCheckpoint,
) -> None:
    folder = make_checkpoint(steps={"tokenizer_processor": {"tokenizer_name": "tokenizer"}})
    shutil.copytree(GOLDEN / "vlm", folder / "vlm")
    (folder / "tokenizer").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / "vlm" / name, folder / "tokenizer")
    pipeline = json.loads((folder / PREPROCESSOR).read_text())
    [step] = [step for step in pipeline["steps"] if step["registry_name"] == "tokenizer_processor"]
    step["artifacts"] = {"tokenizer_name": "tokenizer"}
    (folder / PREPROCESSOR).write_text(json.dumps(pipeline))
    assert CheckpointSpec.load(folder).tokenizer_name == "tokenizer"
    step["artifacts"] = {"tokenizer_name": "elsewhere"}
    (folder / PREPROCESSOR).write_text(json.dumps(pipeline))
    with pytest.raises(CheckpointError, match="'artifacts' is {'tokenizer_name': 'elsewhere'}"):
        CheckpointSpec.load(folder)
