# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint on a robot: maps camera names, and converts between radians and the checkpoint's units.

LeRobot's units are used only behind this interface. Cameras, number of joints and calibration are checked at
construction, before anything moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from smolvla_ros.arrays import Float32Array, FloatArray
from smolvla_ros.feature_statistics import Values
from smolvla_ros.finding import Finding
from smolvla_ros.observation import Frame, Observation
from smolvla_ros.policy.policy import Continuation, PolicyError
from smolvla_ros.policy.preflight.camera_names import match_cameras
from smolvla_ros.policy.preflight.pose import check_pose
from smolvla_ros.policy.preflight.preflight import check_dimensions
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import (
    CalibrationError,
    MotorCalibration,
    positions_from_lerobot,
    positions_to_lerobot,
)


class ChunkModel(Protocol):
    """Interface of a loaded checkpoint (see `smolvla.SmolVLA`), here or on another computer."""

    @property
    def name(self) -> str: ...
    @property
    def image_keys(self) -> tuple[str, ...]: ...
    @property
    def state_dim(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    def predict_chunk(
        self,
        images: Mapping[str, Any],
        state: Float32Array,
        task: str,
        *,
        prefix: Float32Array | None = None,
        inference_delay: int = 0,
        execution_horizon: int | None = None,
        schedule: str | None = None,
        max_guidance_weight: float | None = None,
    ) -> Float32Array: ...
    def reset(self) -> None: ...


@runtime_checkable
class LookingModel(Protocol):
    """A `ChunkModel` that can encode images before a chunk is asked for (see `SmolVLA.look`)."""

    def look(self, images: Mapping[str, Any]) -> bool: ...


class RobotPolicy:
    """A `ChunkModel` with one robot's camera names, in radians.

    `cameras`: names of the cameras to use; by default one for each image of the checkpoint. To use fewer, name them,
    because the policy was trained with all of them. `state_statistics`: of the training data. `rate_hz`: of its
    actions; None: that of the robot file. `image_of`: what the model takes of a frame; by default its pixels.
    """

    def __init__(
        self,
        model: ChunkModel,
        robot: RobotSpec,
        calibration: Mapping[str, MotorCalibration] | None = None,
        cameras: Sequence[str] = (),
        state_statistics: Values | None = None,
        rate_hz: float | None = None,
        image_of: Callable[[Frame], Any] = attrgetter("image"),
    ) -> None:
        self._model = model
        self._robot, self._calibration = robot, calibration
        self._state_statistics = state_statistics or {}
        self._image_of = image_of
        self.rate_hz = rate_hz or robot.rate_hz
        match = match_cameras(model.name, model.image_keys, robot, cameras)
        mismatch = match.finding or check_dimensions(model.name, model.state_dim, model.action_dim, robot)
        if mismatch:
            raise PolicyError(str(mismatch))
        self._image_keys = match.image_keys
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

    @property
    def image_keys(self) -> tuple[str, ...]:
        """The checkpoint's names of the images that it will get."""
        return tuple(self._image_keys.values())

    def infer(self, observation: Observation, continuation: Continuation | None = None) -> FloatArray:
        """Positions of shape (steps, joints), rad."""
        images = self._images(observation)
        state = positions_to_lerobot(self._units, observation.joints.positions_rad)
        prefix: dict[str, Any] = {}
        if continuation is not None:
            prefix = {
                "prefix": positions_to_lerobot(self._units, continuation.positions),
                "inference_delay": continuation.inference_delay,
                "execution_horizon": continuation.execution_horizon,
                "schedule": continuation.schedule,
                "max_guidance_weight": continuation.max_guidance_weight,
            }
        actions = self._model.predict_chunk(images, state, observation.task, **prefix)
        return positions_from_lerobot(self._units, actions)

    def look(self, observation: Observation) -> bool:
        """See `LooksAhead`; a model on another computer cannot."""
        return isinstance(self._model, LookingModel) and self._model.look(self._images(observation))

    def _images(self, observation: Observation) -> dict[str, Any]:
        return {key: self._image_of(observation.frames[camera]) for camera, key in self._image_keys.items()}

    def check_pose(self, positions_rad: FloatArray, max_sigma: float) -> Finding | None:
        return check_pose(self._robot, self._calibration, self._state_statistics, positions_rad, max_sigma)

    def reset(self) -> None:
        self._model.reset()
