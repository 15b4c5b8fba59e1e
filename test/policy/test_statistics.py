# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where statistics are found, their precedence, and what is rejected."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.policy.checkpoint.files import CheckpointError
from smolvla_ros.policy.checkpoint.processing import Normalizer, Processors
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

from .conftest import GOLDEN, Tensors, alter, golden_buffers, save_without_processors

STATS_JSON = GOLDEN / "stats.json"
WEIGHTS = "model.safetensors"
STATE_FILE = "policy_preprocessor_step_5_normalizer_processor.safetensors"
ACTION_FILE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"


def load(folder: Path, **options: Any) -> Processors:
    return CheckpointSpec.load(folder, backbone=GOLDEN / "vlm", **options).processors


def refuse(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(folder, **options)


def rename(path: Path, name: Callable[[str], str]) -> None:
    alter(path, lambda tensors: [tensors.__setitem__(name(key), tensors.pop(key)) for key in list(tensors)])


@pytest.fixture
def other_stats(tmp_path: Path) -> Path:
    """The golden stats.json with another mean of the actions."""
    values = json.loads(STATS_JSON.read_text())
    values["action"]["mean"][2] += 1
    path = tmp_path / "other.json"
    path.write_text(json.dumps(values))
    return path


# The order


def test_state_files_count_before_what_is_among_the_weights(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    old = {key: value + 1 for key, value in golden_buffers().items()}
    alter(folder / WEIGHTS, lambda tensors: tensors.update(old))
    processors = load(folder)
    assert (processors.state_statistics.source, processors.action_statistics.source) == (
        STATE_FILE,
        ACTION_FILE,
    )


def test_state_and_action_are_looked_for_separately(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    alter(folder / WEIGHTS, lambda tensors: tensors.update(golden_buffers()))
    alter(folder / ACTION_FILE, lambda tensors: tensors.pop("action.std"))
    processors = load(folder)
    assert (processors.state_statistics.source, processors.action_statistics.source) == (STATE_FILE, WEIGHTS)


def test_unset_statistics_are_ignored(era_a: Path) -> None:
    unset = {key: torch.full((6,), torch.inf) for key in golden_buffers() if key.startswith("unnormalize")}
    alter(era_a / WEIGHTS, lambda tensors: tensors.update(unset))
    assert load(era_a).action_statistics.source == WEIGHTS  # those of normalize_targets
    unset = {key: torch.full((6,), torch.inf) for key in golden_buffers()}
    alter(era_a / WEIGHTS, lambda tensors: tensors.update(unset))
    refuse(era_a, r"no usable statistics of observation.state \(mean, std\).*model.safetensors: none")
    assert load(era_a, stats=STATS_JSON).state_statistics.source == "stats.json"


def test_statistics_of_unnormalize_outputs_precede_those_of_normalize_targets(era_a: Path) -> None:
    targets = {"normalize_targets.buffer_action.mean": torch.zeros(6)}
    alter(era_a / WEIGHTS, lambda tensors: tensors.update(targets))
    assert load(era_a).action_statistics.values["mean"].all()


def test_a_step_without_a_state_file_has_no_statistics(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    path = folder / "policy_postprocessor.json"
    pipeline = json.loads(path.read_text())
    del pipeline["steps"][0]["state_file"]
    path.write_text(json.dumps(pipeline))
    refuse(folder, "no usable statistics of action")
    assert load(folder, stats=STATS_JSON).action_statistics.source == "stats.json"


def test_integer_counts_are_ignored(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    count = {"observation.state.count": torch.tensor([400])}
    alter(folder / STATE_FILE, lambda tensors: tensors.update(count))
    assert "count" not in load(folder).state_statistics.values


# Datasets


def test_smolvla_base_is_refused_with_its_datasets_and_what_to_do(multi: Path) -> None:
    refuse(
        multi,
        r"no usable statistics of observation.state \(mean, std\); without them .*"
        r"action \(mean, std\) of so100, so100-blue, so100-red.* Choose: stats=.*dataset=<so100, so100-blue, "
        r'so100-red>.*normalization="identity"',
    )


def test_a_dataset_without_state_is_not_enough(multi: Path) -> None:
    refuse(multi, "no usable statistics of observation.state", dataset="so100")


def test_a_dataset_that_is_not_there_is_refused_with_those_that_are(multi: Path) -> None:
    refuse(multi, "a dataset 'so101'; it has those of so100, so100-blue, so100-red", dataset="so101")
    refuse(GOLDEN / "era_b", "a dataset 'so101'; it has those of no dataset by name", dataset="so101")


def test_one_of_several_datasets_must_be_chosen(make_checkpoint: Callable[..., Path]) -> None:
    buffers = {
        key.replace("buffer", f"{name}_buffer"): v + 0 for name in "ab" for key, v in golden_buffers().items()
    }
    folder = save_without_processors(make_checkpoint(), buffers)
    refuse(folder, "dataset=<a, b> takes those of that dataset")
    assert load(folder, dataset="b").state_statistics.source == "model.safetensors, dataset b"


@pytest.mark.parametrize("dataset", ["so100", "my_own.data-set_v2"])
def test_the_only_dataset_is_used_and_logged(
    dataset: str, make_checkpoint: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    buffers = {key.replace("buffer", f"{dataset}_buffer"): value for key, value in golden_buffers().items()}
    folder = save_without_processors(make_checkpoint(), buffers)
    with caplog.at_level(logging.INFO):
        assert load(folder).action_statistics.source == f"model.safetensors, dataset {dataset}"
    assert f"one dataset, {dataset}: they are used" in caplog.text


def test_a_dataset_in_the_state_files_is_taken(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    for name in (STATE_FILE, ACTION_FILE):
        rename(folder / name, lambda key: f"so100.buffer.{key}")
    processors = load(folder, dataset="so100")
    assert processors.state_statistics.source == f"{STATE_FILE}, dataset so100"
    np.testing.assert_array_equal(
        processors.state_statistics.values["std"], load(GOLDEN / "era_b").state_statistics.values["std"]
    )


def test_a_dataset_that_would_not_be_used_is_refused(make_checkpoint: Callable[..., Path]) -> None:
    folder = make_checkpoint()
    alter(folder / STATE_FILE, lambda tensors: tensors.update({"so100.buffer.action.mean": torch.zeros(6)}))
    refuse(folder, "does not need dataset='so100'.*leave it out", dataset="so100")


# stats.json


def test_a_stats_json_that_says_the_same_is_accepted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert load(GOLDEN / "era_b", stats=STATS_JSON).state_statistics.source == STATE_FILE
    assert "stats.json says the same" in caplog.text


def test_a_stats_json_that_contradicts_the_checkpoint_is_refused(era_a: Path, other_stats: Path) -> None:
    for folder in (GOLDEN / "era_b", era_a):
        refuse(
            folder,
            r"other.json contradicts the statistics of .* other action \(mean, std\)",
            stats=other_stats,
        )


def test_beside_a_dataset_that_was_not_named_stats_json_must_agree(
    make_checkpoint: Callable[..., Path], other_stats: Path
) -> None:
    buffers = {f"unnormalize_outputs.a_buffer_action.{k}": torch.ones(6) for k in ("mean", "std")}
    folder = save_without_processors(make_checkpoint(), buffers)
    refuse(folder, "leave stats out, or name the dataset too", stats=other_stats)
    assert load(folder, stats=other_stats, dataset="a").state_statistics.source == "other.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ('{"action": 3}', "'action' is 3, expected dict"),
        ('{"action": {"mean": "high"}}', "'mean' is 'high', expected list"),
        ('{"action": {"mean": ["high"]}}', r"'mean' is \['high'\], expected numbers"),
        ('{"action": {"mean": [1, [2]]}}', "expected numbers"),
        ('{"observation.state": {"mean": [1, 2], "std": [1, 2]}}', r"has shape \(2,\), expected \(6,\)"),
        (
            '{"observation.state": {"mean": [NaN, 1, 1, 1, 1, 1], "std": [1, 1, 1, 1, 1, 1]}}',
            "were never computed",
        ),
        ("{}", "no usable statistics of observation.state"),
    ],
)
def test_a_stats_json_that_cannot_be_used_is_refused(text: str, message: str, multi: Path) -> None:
    path = multi.parent / "stats.json"
    path.write_text(text)
    refuse(multi, message, stats=path, dataset="so100")


def test_a_stats_json_that_is_not_there_is_refused(multi: Path) -> None:
    refuse(multi, "is not a file; give a LeRobot dataset's meta/stats.json", stats=multi)


# No normalisation


def test_identity_and_statistics_exclude_each_other() -> None:
    with pytest.raises(CheckpointError, match="needs no statistics; leave dataset and stats out"):
        load(GOLDEN / "era_b", normalization="identity", stats=STATS_JSON)
    with pytest.raises(ValueError, match="normalization is 'none', expected 'identity'"):
        load(GOLDEN / "era_b", normalization="none")


def test_a_checkpoint_that_does_not_normalise_needs_no_statistics(
    make_checkpoint: Callable[..., Path], era_a: Path
) -> None:
    config = json.loads((era_a / "config.json").read_text())
    config["normalization_mapping"] = {"VISUAL": "IDENTITY", "STATE": "IDENTITY", "ACTION": "IDENTITY"}
    (era_a / "config.json").write_text(json.dumps(config))
    alter(era_a / WEIGHTS, lambda tensors: [tensors.pop(key) for key in golden_buffers()])
    processors = load(era_a)
    assert (processors.state.mode, processors.action.mode) == ("IDENTITY", "IDENTITY")
    assert processors.state_statistics.source == "not normalised"


def test_without_a_mapping_values_are_normalised_by_mean_and_deviation(era_a: Path) -> None:
    config = json.loads((era_a / "config.json").read_text())
    del config["normalization_mapping"]
    (era_a / "config.json").write_text(json.dumps(config))
    assert load(era_a).state.mode == "MEAN_STD"


def test_an_unknown_mode_in_config_json_is_refused(era_a: Path) -> None:
    config = json.loads((era_a / "config.json").read_text())
    config["normalization_mapping"]["STATE"] = "MEDIAN"
    (era_a / "config.json").write_text(json.dumps(config))
    refuse(era_a, "config.json: normalization_mapping is 'MEDIAN', known are IDENTITY, MEAN_STD")


def test_identity_leaves_the_frames_per_second_known() -> None:
    spec = CheckpointSpec.load(GOLDEN / "era_b", backbone=GOLDEN / "vlm", normalization="identity")
    assert (spec.fps, spec.processors.state_statistics.values) == (1.0, {})


# Values


def test_lerobot_03_divides_by_the_range_plus_eps(era_a: Path) -> None:
    """Its formula, (x - min) / (max - min + 1e-8) * 2 - 1, where LeRobot 0.4 replaces a range of 0."""
    config = json.loads((era_a / "config.json").read_text())
    config["normalization_mapping"] = {"VISUAL": "IDENTITY", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"}
    (era_a / "config.json").write_text(json.dumps(config))
    low, high = torch.tensor([0.0, 0, 0, 0, 0, 5]), torch.tensor([1.0, 2, 3, 4, 1e-8, 5])

    def ranges(tensors: Tensors) -> None:
        for key in golden_buffers():
            owner, _, name = key.rpartition(".")
            tensors[f"{owner}.{'min' if name == 'mean' else 'max'}"] = (
                low if name == "mean" else high
            ).clone()
            del tensors[key]

    alter(era_a / WEIGHTS, ranges)
    processors = load(era_a)
    x = torch.tensor([1.0, 1, 1, 1, 1e-8, 5])
    expected = (x - low) / (high - low + 1e-8) * 2 - 1
    torch.testing.assert_close(processors.state.normalize(x), expected)
    torch.testing.assert_close(expected[4:], torch.tensor([0.0, -1]))
    torch.testing.assert_close(processors.action.unnormalize(x), (x + 1) / 2 * (high - low) + low)
    newer = Normalizer("MIN_MAX", 1e-8, low, high)
    torch.testing.assert_close(newer.normalize(x)[4:], torch.tensor([1.0, -1]))


def test_all_statistics_of_a_joint_are_kept_for_those_who_look_at_them() -> None:
    values = load(GOLDEN / "era_b").state_statistics.values
    assert {name: value.shape for name, value in values.items()} == dict.fromkeys(
        ("min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99"), (6,)
    )


@pytest.mark.parametrize(("index", "seconds", "fps"), [(11.5, 0.38333333, 30.0), (11.5, 0.0, None)])
def test_frames_per_second_follow_from_index_and_time(
    index: float, seconds: float, fps: float | None, make_checkpoint: Callable[..., Path]
) -> None:
    folder = make_checkpoint()
    spread = {"frame_index.std": torch.tensor([index]), "timestamp.std": torch.tensor([seconds])}
    alter(folder / STATE_FILE, lambda tensors: tensors.update(spread))
    found = CheckpointSpec.load(folder, backbone=GOLDEN / "vlm").fps
    assert found == (None if fps is None else pytest.approx(fps, rel=1e-6))


def test_without_those_statistics_the_frames_per_second_are_unknown(era_a: Path) -> None:
    assert CheckpointSpec.load(era_a, backbone=GOLDEN / "vlm").fps is None
