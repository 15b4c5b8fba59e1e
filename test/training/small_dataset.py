# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes small LeRobot datasets: a bright bar moves with the first joint, the others follow at other rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.dataset.lerobot_format import ACTION, STATE, dataset_features
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, StagedEpisode, StagedVideo, add_episodes
from smolvla_ros.dataset.statistics import ImageHistogram
from smolvla_ros.dataset.video import encode_video

TASKS = ("Move the bar 0", "Move the bar 1")
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
HEIGHT, WIDTH = 48, 64


def moving_bar(position: float, camera: int) -> ImageArray:
    """What the camera with this number sees at this position of the first joint, degrees."""
    image = np.full((HEIGHT, WIDTH, 3), 60 + 40 * camera, np.uint8)
    left = int((position + 35) / 70 * (WIDTH - 8))
    image[8:40, left : left + 8] = (230, 200 - 60 * camera, 80)
    return image


def write_small_dataset(
    folder: Path,
    lengths: Sequence[int],
    cameras: Sequence[str] = ("camera1", "camera2"),
    fps: int = 10,
    tasks: Sequence[str] = TASKS,
    image: Callable[[float, int], ImageArray] = moving_bar,
    robot_type: str = "so100_follower",
) -> Path:
    """Episodes with these numbers of frames, in degrees, with the tasks in turn."""
    staging = folder.with_name(f"{folder.name}_staging")
    staging.mkdir(parents=True)
    episodes = []
    for number, length in enumerate(lengths):
        state = _positions(number, np.arange(length))
        action = _positions(number, np.arange(length) + 1)
        frames = staging / f"{number}.parquet"
        width = pyarrow.list_(pyarrow.float32(), len(JOINTS))
        columns = {
            name: pyarrow.FixedSizeListArray.from_arrays(values.ravel(), len(JOINTS))
            for name, values in ((STATE, state), (ACTION, action))
        }
        task = pyarrow.array([tasks[number % len(tasks)]] * length)
        schema = pyarrow.schema([(STATE, width), (ACTION, width), ("task", pyarrow.string())])
        pyarrow.parquet.write_table(pyarrow.table({**columns, "task": task}, schema=schema), frames)
        videos = {}
        for index, camera in enumerate(cameras):
            path, histogram = staging / f"{number}_{camera}.mp4", ImageHistogram()
            images = [image(position, index) for position in state[:, 0]]
            for each in images:
                histogram.add(each)
            encode_video(path, images, fps, "h264")
            videos[camera] = StagedVideo(path, HEIGHT, WIDTH, "h264", histogram)
        episodes.append(StagedEpisode(frames, videos))
    features = dataset_features(JOINTS, {camera: (HEIGHT, WIDTH, "h264") for camera in cameras}, fps)
    work = folder.with_name(f"{folder.name}_work")
    work.mkdir()
    add_episodes(folder, work, episodes, features, fps, robot_type, {}, DatasetBefore())
    return folder


def _positions(episode: int, rows: Float32Array) -> Float32Array:
    phases = rows[:, None] * 2 * math.pi / 40 * np.array([1, 1, 2, 1, 3, 1]) + episode
    return (np.sin(phases) * [30, 20, 20, 15, 10, 20] + [0, 0, 0, 0, 0, 50]).astype(np.float32)
