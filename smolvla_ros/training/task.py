# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is trained on what: a checkpoint, datasets, which camera is which, and the statistics that both then share.

Everything that does not fit is refused here, before the first step, with the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smolvla_ros.arrays import Float32Array
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.statistics import combined_statistics
from smolvla_ros.feature_statistics import MODE_STATISTICS, FeatureStatistics
from smolvla_ros.policy.checkpoint.config import ACTION, IMAGES, STATE, SmolVLAConfig, short_name
from smolvla_ros.policy.checkpoint.pipeline_files import EPS
from smolvla_ros.policy.checkpoint.processing import Normalizer, Processors
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.training.demonstrations import Episode
from smolvla_ros.training.errors import TrainingError

Statistics = Mapping[str, Mapping[str, Float32Array]]  # feature -> statistic -> values


@dataclass(frozen=True)
class TrainingTask:
    """A checkpoint with the cameras and statistics of the datasets that it is trained on."""

    base: str  # folder or Hub id
    spec: CheckpointSpec
    datasets: Sequence[LeRobotDataset]
    cameras: Mapping[str, str]  # the checkpoint's short name -> the datasets' image key
    statistics: Statistics  # by the checkpoint's feature names
    own_statistics: bool  # those of state and action are of the first dataset, to which others are scaled
    frames_per_action: int  # of the datasets

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        datasets: Sequence[LeRobotDataset],
        cameras: Mapping[str, str],
        backbone: str | Path | None = None,
        revision: str | None = None,
        statistics_of: str = "joint",
        action_rate_hz: float = 0.0,
    ) -> TrainingTask:
        """cameras: given by the user; empty: those with the same name. statistics_of, action_rate_hz: the settings
        `statistics` and `action_rate_hz`. Raises CheckpointError, TrainingError."""
        keeps_statistics = statistics_of == "checkpoint"
        spec = CheckpointSpec.load(
            checkpoint, backbone, revision, normalization=None if keeps_statistics else "identity"
        )
        check_datasets(datasets, spec.config)
        frames_per_action = _frames_per_action(datasets[0], action_rate_hz)
        chosen = choose_cameras(spec.config, datasets, cameras)
        keys = tuple(
            key
            for key in spec.config.image_keys
            if short_name(key) in chosen or key not in spec.config.camera_keys
        )
        config = replace(spec.config, image_keys=keys)
        features = {STATE: STATE, ACTION: ACTION}
        features |= {key: IMAGES + chosen[short_name(key)] for key in config.camera_keys}
        own = statistics_of == "own"
        statistics: dict[str, Mapping[str, Float32Array]] = {
            key: joint_statistics(datasets[:1] if own and key in (STATE, ACTION) else datasets, feature)
            for key, feature in features.items()
        }
        if keeps_statistics:
            statistics[STATE] = spec.processors.state_statistics.values
            statistics[ACTION] = spec.processors.action_statistics.values
        processors = _with_statistics(spec.processors, config, statistics, chosen)
        return cls(
            str(Path(checkpoint).resolve() if Path(checkpoint).is_dir() else checkpoint),
            replace(spec, config=config, processors=processors),
            datasets,
            chosen,
            statistics,
            own,
            frames_per_action,
        )

    @property
    def rate_hz(self) -> float:
        """Actions a second in a chunk."""
        return self.datasets[0].fps / self.frames_per_action

    @property
    def mean_action(self) -> Float32Array:
        """The mean of the datasets' actions, as `scaled` gives them."""
        return joint_statistics(self.datasets[:1] if self.own_statistics else self.datasets, ACTION)["mean"]

    def scaled(self, episodes: Sequence[Episode]) -> list[Episode]:
        """The episodes; with own statistics, states and actions normalised by those of their own dataset, and then
        back by those of the checkpoint."""
        if not self.own_statistics:
            return list(episodes)
        features = (("state", STATE, "STATE"), ("action", ACTION, "ACTION"))
        normalizers = [
            {
                name: Normalizer.of(
                    FeatureStatistics(
                        joint_statistics([dataset], feature),
                        f"'{dataset.root}'",
                        self.spec.config.norm_modes[kind],
                    ),
                    EPS,
                )
                for name, feature, kind in features
            }
            for dataset in self.datasets
        ]

        def scale(episode: Episode, name: str) -> Float32Array:
            values = torch.from_numpy(getattr(episode, name))
            normalized = normalizers[episode.dataset][name].normalize(values)
            scaled: Float32Array = normalizers[0][name].unnormalize(normalized).numpy()
            return scaled

        return [
            episode
            if episode.dataset == 0
            else replace(episode, state=scale(episode, "state"), action=scale(episode, "action"))
            for episode in episodes
        ]

    def image_shape(self, camera: str) -> list[int]:
        """Channels, height, width of a camera of the checkpoint, in the datasets."""
        height, width = _image_size(self.datasets[0], self.cameras[camera])
        return [3, height, width]


def load_datasets(folders: Sequence[Path]) -> list[LeRobotDataset]:
    """Raises DatasetError; TrainingError without episodes."""
    datasets = [LeRobotDataset.load(folder) for folder in folders]
    for dataset in datasets:
        if not dataset.episodes:
            raise TrainingError(f"dataset '{dataset.root}' has no episodes; record or convert some")
    return datasets


def check_datasets(datasets: Sequence[LeRobotDataset], config: SmolVLAConfig) -> None:
    """Raise TrainingError unless all datasets have one rate, and the checkpoint's numbers of joints."""
    rates = {dataset.fps for dataset in datasets}
    if len(rates) > 1:
        listed = ", ".join(f"'{dataset.root}' {dataset.fps}" for dataset in datasets)
        raise TrainingError(
            f"the datasets have different frames per second: {listed}; convert the bags again with one --fps"
        )
    for dataset in datasets:
        for feature, wanted in ((STATE, config.state_dim), (ACTION, config.action_dim)):
            found = dataset.features.get(feature, {}).get("shape")
            if found != [wanted]:
                raise TrainingError(
                    f"dataset '{dataset.root}': {feature} has shape {found}, the checkpoint has {wanted} values; it "
                    f"can be trained on robots with as many joints only"
                )


def _frames_per_action(dataset: LeRobotDataset, action_rate_hz: float) -> int:
    """Raises TrainingError unless the frames a second are a multiple of the actions; 0 actions: as many as frames."""
    frames = dataset.fps / action_rate_hz if action_rate_hz else 1.0
    if frames < 1 or frames != int(frames):
        raise TrainingError(
            f"action_rate_hz {action_rate_hz:g}: dataset '{dataset.root}' has {dataset.fps} frames a second, which is "
            "no multiple of it; give a rate that divides it, or convert the bags again with another --fps"
        )
    return int(frames)


def choose_cameras(
    config: SmolVLAConfig, datasets: Sequence[LeRobotDataset], given: Mapping[str, str]
) -> dict[str, str]:
    """The dataset's image key of each camera of the checkpoint that is trained; raises TrainingError."""
    names, keys = config.cameras, datasets[0].image_keys
    suggestion = " ".join(f"{name}={key}" for name, key in zip(names, keys))
    remedy = f"Say which is which, for example: --cameras {suggestion}"
    chosen = dict(given) or {name: name for name in names if name in keys}
    if unknown := sorted(set(chosen) - set(names)):
        raise TrainingError(f"the checkpoint has no camera {unknown[0]}, it has {', '.join(names)}. {remedy}")
    if not given and (strange := [key for key in keys if key not in names]):
        raise TrainingError(
            f"dataset '{datasets[0].root}' has cameras {', '.join(keys)}, the checkpoint has {', '.join(names)}: "
            f"{', '.join(strange)} is unknown to it. {remedy}"
        )
    if not chosen:
        raise TrainingError(f"dataset '{datasets[0].root}' has no RGB camera; SmolVLA needs at least one")
    for dataset in datasets:
        for name, key in chosen.items():
            if key not in dataset.image_keys:
                has = ", ".join(dataset.image_keys) or "none"
                raise TrainingError(
                    f"dataset '{dataset.root}' has no camera {key} for {name}, it has {has}. {remedy}"
                )
            if _image_size(dataset, key) != _image_size(datasets[0], key):
                sizes = " and ".join(str(_image_size(each, key)) for each in (datasets[0], dataset))
                raise TrainingError(
                    f"camera {key} has images of {sizes} (height, width) in the datasets; train on one size"
                )
    return {name: chosen[name] for name in names if name in chosen}


def joint_statistics(datasets: Sequence[LeRobotDataset], feature: str) -> dict[str, Float32Array]:
    """The statistics of a feature over all datasets; raises TrainingError if one has none."""
    for dataset in datasets:
        if feature not in dataset.stats:
            raise TrainingError(
                f"dataset '{dataset.root}' has no statistics of {feature}; convert the bags again, or let LeRobot "
                f"compute them"
            )
    combined = combined_statistics([dataset.stats[feature] for dataset in datasets])
    return {name: np.asarray(values, np.float32) for name, values in combined.items() if name != "count"}


def _image_size(dataset: LeRobotDataset, key: str) -> tuple[int, int]:
    height, width = dataset.features[IMAGES + key]["shape"][:2]
    return int(height), int(width)


def _with_statistics(
    processors: Processors, config: SmolVLAConfig, statistics: Statistics, cameras: Mapping[str, str]
) -> Processors:
    def of(feature: str, kind: str) -> FeatureStatistics:
        mode = config.norm_modes[kind]
        if missing := [name for name in MODE_STATISTICS[mode] if name not in statistics[feature]]:
            raise TrainingError(f"the datasets have no {missing[0]} of {feature}, which {mode} needs")
        return FeatureStatistics(statistics[feature], "the datasets", mode)

    images = config.camera_keys if config.norm_modes["VISUAL"] != "IDENTITY" else ()
    state, action = of(STATE, "STATE"), of(ACTION, "ACTION")
    return replace(
        processors,
        rename={
            IMAGES + key: full
            for full in config.camera_keys
            if (key := cameras[short_name(full)]) != short_name(full)
        },
        state=Normalizer.of(state, EPS),
        action=Normalizer.of(action, EPS),
        images={key: Normalizer.of(of(key, "VISUAL"), EPS) for key in images},
        state_statistics=state,
        action_statistics=action,
    )


def lerobot_training_flags(trained: str) -> dict[str, Any]:
    """LeRobot's settings for what is trained."""
    return {
        "train_expert_only": trained.startswith("expert"),
        "freeze_vision_encoder": trained != "all",
        "train_state_proj": trained != "expert_frozen_state_proj",
    }
