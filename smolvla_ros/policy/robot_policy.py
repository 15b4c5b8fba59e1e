# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint on a robot: cameras by the checkpoint's names, joints in its units, its actions back in radians.

This is the edge where LeRobot's units begin and end. Everything that could be mismatched (cameras, joint count,
calibration) is checked when the pair is made, before anything moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from smolvla_ros.observation import Observation
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import CalibrationError, MotorCalibration


class ChunkModel(Protocol):
    """What a loaded checkpoint offers (see `smolvla.SmolVLA`)."""

    @property
    def name(self) -> str: ...
    @property
    def image_keys(self) -> tuple[str, ...]: ...
    @property
    def state_dim(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    def predict_chunk(
        self, images: Mapping[str, npt.NDArray[np.uint8]], state: npt.NDArray[np.float32], task: str
    ) -> npt.NDArray[np.float32]: ...


class RobotPolicy:
    """A `ChunkModel` that speaks of one robot's cameras and radians.

    `cameras`: names of the cameras to use; by default one for each image of the checkpoint. Fewer than the checkpoint
    has must be asked for by name, because the policy was trained with all of them.
    """

    def __init__(
        self,
        model: ChunkModel,
        robot: RobotSpec,
        calibration: Mapping[str, MotorCalibration] | None = None,
        cameras: Sequence[str] = (),
    ) -> None:
        self._model = model
        self._image_keys = _match_cameras(model, robot, cameras)
        joints = len(robot.joints)
        if model.state_dim != joints or model.action_dim != joints:
            raise PolicyError(
                f"checkpoint '{model.name}' has {model.state_dim} state and {model.action_dim} action values, robot "
                f"'{robot.name}' has {joints} joints; take a checkpoint trained on this arm, or its robot file"
            )
        self._units = robot.units(calibration)
        try:
            for joint, units in zip(robot.joints, self._units):
                units.rad_to_lerobot(joint.middle_rad)
        except CalibrationError as error:
            raise PolicyError(
                f"{error}. Give LeRobot's calibration file of this arm as `calibration`"
            ) from error

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._image_keys)

    def infer(self, observation: Observation) -> npt.NDArray[np.float64]:
        """Positions of shape (steps, joints), rad."""
        images = {key: observation.frames[camera].image for camera, key in self._image_keys.items()}
        positions = observation.joints.positions_rad
        state = np.array(
            [units.rad_to_lerobot(rad) for units, rad in zip(self._units, positions)], np.float32
        )
        actions = self._model.predict_chunk(images, state, observation.task)
        columns = [
            units.lerobot_to_rad(actions[:, i].astype(np.float64)) for i, units in enumerate(self._units)
        ]
        return np.stack(columns, axis=1)


def _match_cameras(model: ChunkModel, robot: RobotSpec, chosen: Sequence[str]) -> dict[str, str]:
    """Robot camera name -> image key, in the checkpoint's order: the order is all SmolVLA knows cameras by."""
    candidates = robot.select_cameras(chosen) if chosen else robot.cameras
    by_key = {camera.image_key: camera.name for camera in candidates}
    have = ", ".join(f"{name} ({key})" for key, name in by_key.items())
    unknown = [key for key in by_key if key not in model.image_keys] if chosen else []
    missing = [key for key in model.image_keys if key not in by_key] if not chosen else []
    if unknown or missing:
        raise PolicyError(
            f"checkpoint '{model.name}' sees {', '.join(model.image_keys)}; robot '{robot.name}' has {have}. "
            f"Without a partner: {', '.join(unknown + missing)}. Set image_key in the robot file, or name in `cameras` "
            "which cameras to use"
        )
    return {by_key[key]: key for key in model.image_keys if key in by_key}
