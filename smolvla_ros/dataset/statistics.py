# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute the statistics that a LeRobot dataset stores for each feature, per episode and over all episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smolvla_ros.arrays import ImageArray

StatisticsJson = dict[str, Any]  # name -> nested lists of numbers, as in stats.json

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
MIN_SAMPLES, MAX_SAMPLES, SAMPLES_POWER = 100, 10_000, 0.75  # as many images of an episode as LeRobot samples
MAX_SIDE = 150  # larger images are subsampled to about this many pixels a side


def value_statistics(values: npt.NDArray[Any]) -> StatisticsJson:
    """Statistics over the rows of (n,) or (n, width), one value for each column."""
    rows = values.reshape(len(values), -1)
    if rows.dtype == np.bool_:
        rows = rows.astype(np.float32)
    wide = rows.astype(np.float64)
    return {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": wide.mean(axis=0).tolist(),
        "std": wide.std(axis=0).tolist(),
        "count": [len(rows)],
        **{name: np.quantile(wide, share, axis=0).tolist() for name, share in QUANTILES.items()},
    }


def sampled_image_indices(count: int) -> set[int]:
    """The indices of the images to sample, of `count`: evenly spaced, as many as LeRobot samples."""
    samples = max(min(count, MIN_SAMPLES), min(int(count**SAMPLES_POWER), MAX_SAMPLES))
    return set(np.round(np.linspace(0, count - 1, samples)).astype(int).tolist())


class ImageHistogram:
    """Counts each of the 256 values in each channel; image statistics follow from these counts."""

    def __init__(self) -> None:
        self._images = 0
        self._counts = np.zeros((3, 256), np.int64)

    @classmethod
    def sum(cls, parts: Iterable[ImageHistogram]) -> ImageHistogram:
        """The histogram of the images of all parts."""
        total = cls()
        for part in parts:
            total._images += part._images
            total._counts += part._counts
        return total

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImageHistogram:
        histogram = cls()
        histogram._images = int(data["images"])
        histogram._counts += np.array(data["counts"], np.int64)
        return histogram

    def to_json(self) -> dict[str, Any]:
        return {"images": self._images, "counts": self._counts.tolist()}

    def add(self, image: ImageArray) -> None:
        """Count the pixels of an RGB image (height, width, 3), a subset of them if it is large."""
        step = max(1, max(image.shape[:2]) // MAX_SIDE)
        small = image[::step, ::step]
        for channel in range(3):
            self._counts[channel] += np.bincount(small[..., channel].ravel(), minlength=256)
        self._images += 1

    def statistics(self) -> StatisticsJson:
        """The statistics of each channel: shape (3, 1, 1), in 0 .. 1."""
        values = np.arange(256) / 255.0
        total = self._counts[0].sum()
        mean = self._counts @ values / total
        variance = self._counts @ values**2 / total - mean**2
        present = [np.flatnonzero(counts) for counts in self._counts]
        below = np.cumsum(self._counts, axis=1)
        columns = {
            "min": values[[where[0] for where in present]],
            "max": values[[where[-1] for where in present]],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0.0)),
            **{
                name: values[[int(np.searchsorted(counts, share * total)) for counts in below]]
                for name, share in QUANTILES.items()
            },
        }
        nested = {name: column.reshape(3, 1, 1).tolist() for name, column in columns.items()}
        return {**nested, "count": [self._images]}


def combined_statistics(parts: Sequence[StatisticsJson]) -> StatisticsJson:
    """Combine the statistics of several sets of samples.

    Quantiles are approximate: their mean weighted by the number of samples, as in LeRobot, of those that all parts
    have (older datasets have none). The others are exact.
    """
    counts = np.array([part["count"][0] for part in parts], np.float64)

    def weighted(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.tensordot(counts / counts.sum(), values, axes=1)

    names = [name for name in parts[0] if name != "count" and all(name in part for part in parts)]
    arrays = {name: np.array([part[name] for part in parts]) for name in names}
    mean = weighted(arrays["mean"])
    variance = weighted(arrays["std"] ** 2 + (arrays["mean"] - mean) ** 2)
    return {
        "min": arrays["min"].min(axis=0).tolist(),
        "max": arrays["max"].max(axis=0).tolist(),
        "mean": mean.tolist(),
        "std": np.sqrt(variance).tolist(),
        "count": [int(counts.sum())],
        **{name: weighted(arrays[name]).tolist() for name in QUANTILES if name in arrays},
    }
