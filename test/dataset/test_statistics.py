# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of values, of images by counting, and of several episodes together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.dataset.global_statistics import HISTOGRAMS, StatisticsBefore
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.statistics import (
    ImageHistogram,
    combined_statistics,
    sampled_image_indices,
    value_statistics,
)

from ..sample_bags import conversion, record, run
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


def test_a_histogram_survives_json_and_sums_are_those_of_all_images():
    images = RANDOM.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    whole, parts = ImageHistogram(), [ImageHistogram() for _ in range(2)]
    for index, image in enumerate(images):
        whole.add(image)
        parts[index // 4].add(image)
    assert (
        ImageHistogram.sum(ImageHistogram.from_json(part.to_json()) for part in parts).statistics()
        == whole.statistics()
    )


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


def written(data: Path) -> dict[str, Any]:
    return json.loads((data / "meta" / "stats.json").read_text())


def test_quantiles_are_those_of_all_frames_also_after_appending(tmp_path):
    """Episodes of other lengths at other positions, whose quantiles have another mean."""
    bags = [record(tmp_path / f"bag{s}", seconds=s, cameras={"top": 10.0}) for s in (0.5, 3.0, 1.0)]
    run(conversion(bags, tmp_path / "once", fps=10))
    run(conversion(bags[:2], tmp_path / "twice", fps=10))
    run(conversion(bags[2:], tmp_path / "twice", fps=10), append=True)
    assert written(tmp_path / "once") == written(tmp_path / "twice")
    dataset = LeRobotDataset.load(tmp_path / "twice")
    rows = np.concatenate([dataset.frames(episode).state for episode in range(3)])
    assert np.allclose(dataset.stats["observation.state"]["q10"], np.quantile(rows, 0.1, axis=0), atol=1e-6)
    greys = np.concatenate([[round(k / 255, 4)] * 1 for s in (5, 30, 10) for k in range(s + 1)])
    found = dataset.stats["observation.images.camera1"]["q90"]
    assert np.allclose(np.ravel(found), np.quantile(greys, 0.9), atol=2 / 255)


def test_what_is_appended_to_lerobots_dataset_is_combined_as_lerobot_does(tmp_path):
    bags = [record(tmp_path / f"bag{s}", seconds=s, cameras={"top": 10.0}) for s in (0.5, 3.0)]
    run(conversion(bags[:1], tmp_path / "data", fps=10))
    (tmp_path / "data" / HISTOGRAMS).unlink()
    before = written(tmp_path / "data")
    run(conversion(bags[1:], tmp_path / "data", fps=10), append=True)
    dataset = LeRobotDataset.load(tmp_path / "data")
    for feature, name in (("observation.state", "state"), ("action", "action")):
        parts = [before[feature], value_statistics(getattr(dataset.frames(1), name))]
        assert dataset.stats[feature] == combined_statistics(parts)
    assert not (tmp_path / "data" / HISTOGRAMS).exists()


def test_histograms_that_miss_images_are_not_used(tmp_path):
    bag = record(tmp_path / "bag", seconds=0.5, cameras={"top": 10.0})
    run(conversion([bag], tmp_path / "data", fps=10))
    assert StatisticsBefore.load(LeRobotDataset.load(tmp_path / "data")).histograms
    stats = written(tmp_path / "data")
    stats["observation.images.camera1"]["count"] = [99]  # LeRobot has added images
    (tmp_path / "data" / "meta" / "stats.json").write_text(json.dumps(stats))
    assert not StatisticsBefore.load(LeRobotDataset.load(tmp_path / "data")).histograms
