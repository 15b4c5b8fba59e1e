# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the statistics for normalisation of states, actions and images in a checkpoint of any LeRobot version.

They are in the state files of the processors (LeRobot 0.4 and later) or among the weights (0.1 to 0.3), in both cases
possibly under the name of a dataset, or missing; then the user gives the dataset's meta/stats.json. Each feature is
looked up separately, in this order:

1. the processors' state files
2. the statistics of one dataset, in a state file, else among the weights
3. those among the weights that belong to no dataset
4. the user's stats.json

Explicit choices of the user are never ignored silently. A stats.json that contradicts the statistics found raises
CheckpointError: with other statistics than in training, the network commands other poses. Exception: if the user named
a `dataset`, its statistics are used, and stats.json supplies only the missing ones.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from smolvla_ros.arrays import Float32Array
from smolvla_ros.feature_statistics import MODE_STATISTICS, FeatureStatistics
from smolvla_ros.policy.checkpoint.files import CheckpointError, Json, open_tensors

logger = logging.getLogger(__name__)

Features = dict[str, dict[str, Float32Array]]  # feature -> statistic ("mean", "std", "min" ...) -> values

BUFFER_MODULES = ("normalize_targets.", "normalize_inputs.", "unnormalize_outputs.")  # a later one wins
BUFFER = re.compile(r"[a-z_]+\.(?:(?P<dataset>.+)_)?buffer_(?P<feature>[^.]+)\.(?P<name>\w+)")
OF_DATASET = re.compile(r"(?P<dataset>.+)\.buffer\.(?P<feature>observation\..+|action)\.(?P<name>\w+)")
IMAGE_SHAPE = (3, 1, 1)  # of the statistics of images, one value a colour; their images are in 0..1
NOT_NORMALISED = "not normalised"  # source of a feature without statistics
IDENTITY_CHOSEN = "none: normalization='identity'"  # source of all features if the user has chosen so


@dataclass(frozen=True)
class StatisticsChoice:
    """The user's choice: one dataset of several, a stats.json, or no normalisation."""

    dataset: str | None = None
    stats: Path | None = None
    identity: bool = False

    @classmethod
    def of(cls, dataset: str | None, stats: str | Path | None, normalization: str | None) -> StatisticsChoice:
        if normalization not in (None, "identity"):
            raise ValueError(f"normalization is {normalization!r}, expected 'identity' or None")
        if normalization and (dataset is not None or stats is not None):
            raise CheckpointError("normalization='identity' needs no statistics; leave dataset and stats out")
        return cls(dataset, None if stats is None else Path(stats).expanduser(), normalization is not None)


@dataclass(frozen=True)
class StatisticsFile:
    """A file with statistics: general ones, and those of datasets by name."""

    path: Path
    features: Features = field(default_factory=dict)
    datasets: dict[str, Features] = field(default_factory=dict)

    @classmethod
    def state_file(cls, path: Path) -> StatisticsFile:
        """The state file of a LeRobot processor: `<feature>.<statistic>`, or `<dataset>.buffer.` before it."""
        place = cls(path)
        with open_tensors(path) as file:
            for key in (key for key in file.keys if file.is_float(key)):  # counts may be integers
                match = OF_DATASET.fullmatch(key)
                feature, _, name = key.rpartition(".")
                if match:
                    place._add(file.read(key).numpy(), match["name"], match["feature"], match["dataset"])
                elif feature:
                    place._add(file.read(key).numpy(), name, feature)
        return place

    @classmethod
    def buffers(cls, path: Path, features: Sequence[str]) -> StatisticsFile:
        """Statistics of `features` that LeRobot 0.1 to 0.3 saved among the weights.

        The keys are `normalize_inputs.buffer_observation_state.mean`: in the feature's name `_` stands for `.`.
        """
        place, names = cls(path), {feature.replace(".", "_"): feature for feature in features}
        with open_tensors(path) as file:
            for module in BUFFER_MODULES:
                for key in (key for key in file.keys if key.startswith(module)):
                    match = BUFFER.fullmatch(key)
                    if match and (feature := names.get(match["feature"])):
                        place._add(file.read(key).numpy(), match["name"], feature, match["dataset"])
        return place

    @classmethod
    def stats_json(cls, path: Path, features: Sequence[str]) -> StatisticsFile:
        """Statistics of `features` in a LeRobot dataset's meta/stats.json."""
        place = cls(path)
        if not path.is_file():
            raise CheckpointError(
                f"stats={str(path)!r} is not a file; give a LeRobot dataset's meta/stats.json"
            )
        file = Json.load(path)
        for feature in (feature for feature in features if feature in file.values):
            statistics = file.object(feature)
            for name in (name for name in statistics.values if name != "count"):
                values = statistics.get(name, list)
                try:
                    place._add(np.array(values, dtype=np.float32), name, feature)
                except (TypeError, ValueError) as error:
                    raise CheckpointError(
                        f"{statistics.where}: {name!r} is {values}, expected numbers"
                    ) from error
        return place

    def _add(self, values: Float32Array, name: str, feature: str, dataset: str | None = None) -> None:
        """Add statistics unless they are infinite, with which LeRobot 0.1 to 0.3 marks unset ones."""
        if values.size and np.isposinf(values).all():
            return
        features = self.features if dataset is None else self.datasets.setdefault(dataset, {})
        features.setdefault(feature, {})[name] = values

    def of(self, feature: str, dataset: str | None) -> FeatureStatistics:
        """The statistics of a feature; without values if there are none."""
        features = self.features if dataset is None else self.datasets.get(dataset, {})
        source = self.path.name if dataset is None else f"{self.path.name}, dataset {dataset}"
        return FeatureStatistics(features.get(feature, {}), source)

    def describe(self, wanted: Sequence[str]) -> str:
        """The statistics that it has of the `wanted` features, for messages."""
        owners: dict[str, list[str]] = {}  # statistics -> datasets that have them
        for owner, features in (("", self.features), *sorted(self.datasets.items())):
            has = [f"{feature} ({', '.join(features[feature])})" for feature in wanted if feature in features]
            if has:
                owners.setdefault(", ".join(has), []).append(owner)
        parts = [f"{has} of {', '.join(names)}" if all(names) else has for has, names in owners.items()]
        return f"{self.path.name}: {'; '.join(parts) or 'none'}"


@dataclass(frozen=True)
class RequiredStatistics:
    """A feature whose statistics are needed."""

    feature: str
    shape: tuple[int, ...]
    mode: str  # of normalisation, a key of MODE_STATISTICS
    state_file: StatisticsFile | None  # that of its processor

    def complete(self, found: FeatureStatistics) -> bool:
        return bool(found.values) and all(name in found.values for name in MODE_STATISTICS[self.mode])

    def checked(self, found: FeatureStatistics) -> FeatureStatistics:
        """The statistics without those of another shape; raises CheckpointError if a needed one is damaged.

        LeRobot 0.6 accepts shape (3,) for images too.
        """
        if self.shape == IMAGE_SHAPE:
            values = {k: v.reshape(IMAGE_SHAPE) if v.shape == (3,) else v for k, v in found.values.items()}
            found = FeatureStatistics(values, found.source)
        needed = MODE_STATISTICS[self.mode]
        for name in needed:
            value, where = found.values[name], f"{found.source}: '{self.feature}.{name}'"
            if value.shape != self.shape:
                raise CheckpointError(f"{where} has shape {value.shape}, expected {self.shape}")
            if not np.isfinite(value).all():
                raise CheckpointError(
                    f"{where} is {value.tolist()}; statistics that are not finite were never computed. Save the "
                    f"checkpoint again with its dataset's statistics"
                )
        if needed:
            first, spread = needed
            lowest = np.zeros(self.shape) if spread == "std" else found.values[first]
            if (found.values[spread] < lowest).any():
                raise CheckpointError(
                    f"{found.source}: '{self.feature}.{spread}' is {found.values[spread].tolist()}, partly below "
                    f"{lowest.tolist()}; such statistics are damaged. Save the checkpoint again with its dataset's "
                    f"statistics"
                )
        whole = {k: v for k, v in found.values.items() if v.shape == self.shape and np.isfinite(v).all()}
        return FeatureStatistics(whole, found.source, self.mode)

    def __str__(self) -> str:
        return f"{self.feature} ({', '.join(MODE_STATISTICS[self.mode])})"


@dataclass(frozen=True)
class Candidate:
    """Statistics of a feature and their origin: "checkpoint", "dataset" or "stats"."""

    origin: str
    statistics: FeatureStatistics


def find_statistics(
    checkpoint: str,
    wanted: Sequence[RequiredStatistics],
    buffers: StatisticsFile,
    dataset: str | None,
    stats: StatisticsFile | None,
) -> list[FeatureStatistics]:
    """The statistics of each wanted feature; raises CheckpointError with the choices if there are none.

    checkpoint: its name, for messages. buffers: those among the weights. dataset, stats: the user's choice.
    """
    state_files = {want.state_file.path: want.state_file for want in wanted if want.state_file}
    places = [*state_files.values(), buffers]
    datasets = sorted({name for place in places for name in place.datasets})
    if dataset is not None and dataset not in datasets:
        raise CheckpointError(
            f"{checkpoint} has no statistics of a dataset {dataset!r}; it has those of "
            f"{', '.join(datasets) or 'no dataset by name: leave dataset out'}"
        )
    chosen = datasets[0] if len(datasets) == 1 else dataset
    found: list[Candidate] = []
    for want in wanted:
        here = [want.state_file, buffers] if want.state_file else [buffers]
        candidates = _candidates(want.feature, here, chosen, stats)
        fitting = [candidate for candidate in candidates if want.complete(candidate.statistics)]
        if not fitting and MODE_STATISTICS[want.mode]:
            features = [other.feature for other in wanted]
            raise CheckpointError(_choices(checkpoint, want, here, features, datasets, chosen))
        found += fitting[:1] or [Candidate("checkpoint", FeatureStatistics({}, NOT_NORMALISED))]
    _check_choice(checkpoint, list(zip(wanted, found, strict=True)), dataset, stats)
    owners = {candidate.origin for candidate in found}
    if dataset is None and "dataset" in owners:
        logger.info("%s has statistics of one dataset, %s: they are used", checkpoint, chosen)
    return [want.checked(candidate.statistics) for want, candidate in zip(wanted, found, strict=True)]


def _candidates(
    feature: str, places: Sequence[StatisticsFile], dataset: str | None, stats: StatisticsFile | None
) -> list[Candidate]:
    """By precedence; the last of `places` is that of the buffers."""
    own = [Candidate("checkpoint", place.of(feature, None)) for place in places]
    theirs = [Candidate("dataset", place.of(feature, dataset)) for place in places if dataset is not None]
    given = [Candidate("stats", stats.of(feature, None))] if stats else []
    return own[:-1] + theirs + own[-1:] + given


def _check_choice(
    checkpoint: str,
    found: Sequence[tuple[RequiredStatistics, Candidate]],
    dataset: str | None,
    stats: StatisticsFile | None,
) -> None:
    """Raise CheckpointError for a `dataset` that is not used, or a stats.json that contradicts the statistics found."""
    owners = {candidate.origin for _, candidate in found}
    sources = "; ".join(f"{want.feature} from {candidate.statistics.source}" for want, candidate in found)
    if dataset is not None and "dataset" not in owners:
        raise CheckpointError(f"{checkpoint} does not need dataset={dataset!r} ({sources}); leave it out")
    if stats is None:
        return
    also = ", or name the dataset too" if dataset is None and {"dataset", "stats"} <= owners else ""
    for want, candidate in found:
        given = stats.of(want.feature, None)
        named = candidate.origin == "dataset" and dataset is not None and "stats" in owners
        if candidate.origin == "stats" or named or not want.complete(given):
            continue
        if not all(
            _equal(candidate.statistics.values[k], given.values[k]) for k in MODE_STATISTICS[want.mode]
        ):
            raise CheckpointError(
                f"{stats.path} contradicts the statistics of {checkpoint} ({sources}): it has other {want}. With "
                f"other statistics the same network commands other poses; leave stats out{also}"
            )
    if "stats" not in owners:
        logger.info("%s has all its statistics (%s); %s says the same", checkpoint, sources, stats.path)


def _equal(found: Float32Array, given: Float32Array) -> bool:
    """Equal up to float32 and the rounding of a JSON file."""
    return found.shape == given.shape and np.allclose(found, given, rtol=1e-5, atol=1e-5)


def _choices(
    checkpoint: str,
    want: RequiredStatistics,
    places: Sequence[StatisticsFile],
    features: Sequence[str],
    datasets: Sequence[str],
    chosen: str | None,
) -> str:
    owners = [d for d in datasets if any(want.complete(place.of(want.feature, d)) for place in places)]
    remedies = [
        f"stats=<the meta/stats.json of the dataset that it was trained on> supplies {want.feature}",
        'normalization="identity" if it was trained on values that were not normalised',
        "take a checkpoint that was fine-tuned on one dataset",
    ]
    if owners and chosen is None:
        remedies.insert(0, f"dataset=<{', '.join(owners)}> takes those of that dataset")
    elif datasets and chosen is None:
        remedies[0] += f" (and dataset=<{', '.join(datasets)}> takes what there is of that dataset)"
    if want.shape == IMAGE_SHAPE:
        remedies[1] = (
            "set VISUAL to IDENTITY in norm_map of policy_preprocessor.json if LeRobot had no such statistics in "
            "training either: it then leaves images as they are"
        )
    return (
        f"{checkpoint} has no usable statistics of {want}; without them the policy would read the robot wrongly or "
        f"command standard scores for degrees. What there is: "
        f"{'. '.join(place.describe(features) for place in places)}. Choose: "
        f"{'; or '.join(remedies)}"
    )
