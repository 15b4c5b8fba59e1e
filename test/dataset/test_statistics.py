# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of values, of images by counting, and of several episodes together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.statistics import (
    ImageHistogram,
    combined_statistics,
    sampled_image_indices,
    value_statistics,
)

from .test_lerobot_reader import DATA

RANDOM = np.random.default_rng(0)


def test_values_of_an_episode_have_lerobots_statistics():
    theirs = json.loads((DATA / "pictures" / "meta" / "stats.json").read_text())
    dataset = LeRobotDataset.load(DATA / "pictures")
    for feature, name in (("observation.state", "state"), ("action", "action")):
        ours = combined_statistics([value_statistics(getattr(dataset.frames(i), name)) for i in range(3)])
        assert ours.keys() == theirs[feature].keys()
        for key in ("min", "max", "mean", "std", "count"):
            assert np.allclose(ours[key], theirs[feature][key], rtol=1e-5), key
        width = np.array(ours["max"]) - np.array(ours["min"])
        for key in (
            "q01",
            "q10",
            "q50",
            "q90",
            "q99",
        ):  # LeRobot computes them from a histogram, ours are exact
            assert (np.abs(np.array(ours[key]) - theirs[feature][key]) < 0.1 * width).all(), key


def test_combined_statistics_equal_those_of_all_rows():
    rows = RANDOM.normal(size=(100, 4))
    parts = combined_statistics([value_statistics(rows[:30]), value_statistics(rows[30:])])
    whole = value_statistics(rows)
    for key in ("min", "max", "mean", "std", "count"):
        assert np.allclose(parts[key], whole[key])


def test_image_statistics_are_those_of_the_pixels():
    images = RANDOM.integers(0, 256, (5, 12, 16, 3), dtype=np.uint8)
    tally = ImageHistogram()
    for image in images:
        tally.add(image)
    found, pixels = tally.statistics(), images.reshape(-1, 3) / 255
    assert found["count"] == [5] and np.shape(found["mean"]) == (3, 1, 1)
    for key, expected in (
        ("mean", pixels.mean(0)),
        ("std", pixels.std(0)),
        ("min", pixels.min(0)),
        ("max", pixels.max(0)),
    ):
        assert np.allclose(np.ravel(found[key]), expected), key
    assert np.allclose(np.ravel(found["q50"]), np.median(pixels, axis=0), atol=1 / 255)


@pytest.mark.parametrize("count, samples", [(1, 1), (50, 50), (100, 100), (1000, 177)])
def test_as_many_images_are_sampled_as_by_lerobot(count, samples):
    chosen = sampled_image_indices(count)
    assert len(chosen) == samples and min(chosen) == 0 and max(chosen) == count - 1
