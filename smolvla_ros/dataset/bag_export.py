# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write an episode of a LeRobot dataset as a rosbag with this package's topics, for `ros2 bag play` or the converter.

Frame k is stamped start + k / fps; task and control are published where they change. Converting the bag back gives the
same rows. What the language columns say, and the tools, are in the notes of the bag.
Actions are on a topic that no arm subscribes to, so that playing the bag moves none; the converter finds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smolvla_ros.arrays import Float32Array, FloatArray, ImageArray
from smolvla_ros.authority import Authority
from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.language import BAG_NOTE, TOOLS
from smolvla_ros.dataset.lerobot_format import ACTION, INTERVENTION, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.image import encode_jpeg
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import MotorCalibration

JPEG_QUALITY = 95
ACTION_TOPIC = "/dataset/joint_commands"


def write_bag(
    dataset: LeRobotDataset,
    episode: int,
    path: Path,
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    start_ns: int,
) -> int:
    """Write one episode to the bag `path`; returns its number of frames.

    A camera that the robot file does not have is named by its image key. Raises DataError, and CalibrationError if a
    unit needs a calibration.
    """
    frames = dataset.frames(episode)
    state = positions_rad(dataset, STATE, frames.state, robot, calibration)
    action = positions_rad(dataset, ACTION, frames.action, robot, calibration)
    cameras = images_by_camera(dataset, episode, robot)
    source = {"dataset": str(dataset.root.name), "episode": str(episode)}
    notes = {BAG_NOTE: dataset.language(episode).to_json(), TOOLS: json.dumps(dataset.tools)}
    source |= notes if dataset.has_language else {}
    with BagWriter(path, source) as bag:
        task: str | None = None
        authority: Authority | None = None
        for k in range(len(state)):
            stamp_ns = start_ns + k * NANOSECONDS // dataset.fps
            stamp = bag.message(
                "builtin_interfaces/msg/Time", sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS
            )
            header = bag.message("std_msgs/msg/Header", stamp=stamp, frame_id="")
            if frames.tasks[k] != task:
                task = frames.tasks[k]
                bag.write("/active_task", bag.message("std_msgs/msg/String", data=task), stamp_ns)
            by = Authority.OPERATOR if frames.intervention[k] else Authority.POLICY
            if INTERVENTION in dataset.features and by is not authority:
                authority = by
                bag.write("/control_authority", bag.message("std_msgs/msg/String", data=by.value), stamp_ns)
            for camera, images in cameras.items():
                header_of_image = bag.message(
                    "std_msgs/msg/Header", stamp=stamp, frame_id=f"{camera}_camera_optical_frame"
                )
                image = bag.message(
                    "sensor_msgs/msg/CompressedImage",
                    header=header_of_image,
                    format="rgb8; jpeg compressed bgr8",
                    data=np.frombuffer(encode_jpeg(next(images), JPEG_QUALITY), np.uint8),
                )
                bag.write(f"/{camera}/image_raw/compressed", image, stamp_ns)
            for topic, positions in (("/joint_states", state[k]), (ACTION_TOPIC, action[k])):
                joints = bag.message(
                    "sensor_msgs/msg/JointState",
                    header=header,
                    name=list(robot.joint_names),
                    position=positions,
                    velocity=np.zeros(0),
                    effort=np.zeros(0),
                )
                bag.write(topic, joints, stamp_ns)
    return len(state)


def images_by_camera(
    dataset: LeRobotDataset, episode: int, robot: RobotSpec
) -> dict[str, Iterator[ImageArray]]:
    """The RGB images of an episode by camera name, or by image key for cameras that the robot file does not have."""
    names = {camera.image_key: camera.name for camera in robot.cameras}
    return {names.get(key, key): dataset.images(episode, key) for key in dataset.image_keys}


def positions_rad(
    dataset: LeRobotDataset,
    feature: str,
    values: Float32Array,
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
) -> FloatArray:
    """Rows of a feature, converted from LeRobot's units: (n, joints) rad in the order of the robot's joints.

    Raises DatasetError if joints are missing or stated in other units, CalibrationError if a unit needs a calibration.
    """
    columns = [_joint(name) for name in _names(dataset.features[feature])]
    missing = [name for name in robot.joint_names if name not in columns]
    if missing:
        raise DatasetError(
            f"dataset '{dataset.root}': {feature} has no {', '.join(missing)}, it has {', '.join(columns)}; "
            f"was it recorded with a {robot.name}?"
        )
    if other := dataset.other_units(robot):
        raise DatasetError(
            f"dataset '{dataset.root}' states {other}; give the robot file and the --units with which it was made"
        )
    rad = [
        unit.lerobot_to_rad(values[:, columns.index(unit.name)].astype(np.float64))
        for unit in robot.units(calibration)
    ]
    return np.stack(rad, axis=1)


def _names(feature: Mapping[str, Any]) -> list[str]:
    names = feature.get("names") or []
    if isinstance(names, Mapping):  # {"motors": [...]} in datasets that were converted from v2
        names = [name for part in names.values() for name in part]
    return [str(name) for name in names]


def _joint(name: str) -> str:
    return name.removesuffix(".pos").removeprefix("main_")
