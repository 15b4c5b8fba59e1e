# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations by the expert as a LeRobot dataset, without ROS and faster than real time.

Each episode depends only on the seed of the run and its own index, so that episodes are made in parallel and in any
order. Finished episodes wait in a folder inside the dataset; after an interruption the rest is made. The dataset is
the same to the last bit, however often it was interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_format import INFO, dataset_features
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, add_episodes
from smolvla_ros.dataset.staging import StagingFolder, write_atomically
from smolvla_ros.dataset.video import Codec, check_encoder
from smolvla_ros.image import JPEG_QUALITY
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import Settings, setting
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.demonstration import Demonstration, demonstrate
from smolvla_ros.simulation.disturbance import DisturbanceSettings
from smolvla_ros.simulation.expert import Expert, ExpertError
from smolvla_ros.simulation.kinematics import KinematicsError
from smolvla_ros.simulation.pinhole import SceneError
from smolvla_ros.simulation.tabletop import CAMERAS, Renderer, Tabletop
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.units import MotorCalibration, positions_to_lerobot
from smolvla_ros.urdf import Urdf

WORK_FOLDER = ".demonstrations"  # inside the dataset while they are made or after an interruption
PLAN, RESULT = "plan.json", "result.json"
REPORT = "meta/demonstrations.json"
# Seeds of layouts: each run has its own range and each episode in it ten, for attempts. Those of run 0 and below are
# never used, and left for evaluation.
SEEDS_OF_RUN, ATTEMPTS = 10_000_000, 10


@dataclass(frozen=True)
class PictureSettings(Settings):
    """What the pictures of demonstrations look like."""

    appearance: float = setting(
        1.0, "how much light, colours, table and cameras vary between episodes; 0: not", bounds=(0.0, 1.0)
    )
    jpeg_quality: int = setting(
        JPEG_QUALITY,
        "quality at which pictures are compressed, as a camera node does; 0: not",
        bounds=(0, 100),
    )
    renderer: Renderer = setting(
        "opencv", "what draws: opencv, or mujoco, which needs OpenGL", choices=get_args(Renderer)
    )


@dataclass(frozen=True)
class DemonstrationRun:
    """What to demonstrate, and where to. Plain data, so that episodes can be made in other processes."""

    output: Path
    robot: RobotSpec
    calibration: Mapping[str, MotorCalibration]
    tasks: tuple[str, ...]  # names; episodes have them in turn
    episodes: int
    seed: int
    cameras: tuple[str, ...] = CAMERAS
    disturbances: DisturbanceSettings = DisturbanceSettings()
    pictures: PictureSettings = PictureSettings()
    keep_failures: bool = False
    by_name: bool = (
        False  # pictures are named by camera (top), not by the image_key of the robot file (camera1)
    )
    codec: Codec = "h264"
    robot_type: str = "so100_follower"

    def prepare(self) -> bool:
        """Start the run, or continue one that was interrupted; returns whether there is something left to do.

        Raises DatasetError when the folder contains something else or the expert cannot move this arm, InstructionError
        for an unknown task, RobotSpecError for an unknown camera, CalibrationError when a unit lacks its calibration,
        VideoError when videos cannot be encoded.
        """
        check_encoder(self.codec)
        if self.robot.rate_hz != int(self.robot.rate_hz):
            raise DatasetError(
                f"robot '{self.robot.name}': rate_hz {self.robot.rate_hz} is not a whole number"
            )
        positions_to_lerobot(self.robot.units(self.calibration), np.zeros(len(self.robot.joints)))
        try:
            Expert(Urdf.load(self.robot.urdf_path))
            for task in self.tasks:
                layout, _ = random_task(task, 0)
                Tabletop(self.robot, layout, self.cameras, renderer=self.pictures.renderer).observe()
        except (ExpertError, KinematicsError, SceneError) as error:
            raise DatasetError(f"robot '{self.robot.name}': {error}") from error
        work, plan = self.output / WORK_FOLDER, self._plan()
        if (work / PLAN).exists():
            if json.loads((work / PLAN).read_text(encoding="utf-8")) != plan:
                raise DatasetError(
                    f"'{work}' contains other demonstrations, which were interrupted; start them with the "
                    "same options, or remove the folder"
                )
            if not self._is_complete():
                return True
            shutil.rmtree(work)  # interrupted before the folder was removed
        if self._is_complete():
            return False
        if self.output.exists() and any(p for p in self.output.iterdir() if p.name != WORK_FOLDER):
            raise DatasetError(f"'{self.output}' is not empty; give another folder")
        work.mkdir(parents=True, exist_ok=True)
        write_atomically(work / PLAN, json.dumps(plan, indent=4).encode())
        return True

    def make_episode(self, index: int) -> None:
        """Make an episode, unless it is there. Raises DatasetError when the expert fails on many layouts in a row."""
        folder, result = self._folder(index), self._path(index) / RESULT
        if result.exists():
            return
        name = self.tasks[index % len(self.tasks)]
        failures: list[str] = []
        for attempt in range(ATTEMPTS):
            seed = self.seed * SEEDS_OF_RUN + index * ATTEMPTS + attempt
            layout, task = random_task(name, seed)
            demonstration = demonstrate(self.robot, layout, task, seed, self.disturbances)
            if not demonstration.failure or self.keep_failures:
                break
            failures.append(demonstration.failure)
        else:
            raise DatasetError(
                f"task '{name}': the expert failed on {ATTEMPTS} layouts in a row ({failures[-1]}); "
                "give smaller disturbances"
            )
        units = self.robot.units(self.calibration)
        folder.write_frames(
            positions_to_lerobot(units, demonstration.positions_rad),
            positions_to_lerobot(units, demonstration.targets_rad),
            [task.instruction] * len(demonstration.states),
        )
        appearance = random_appearance(seed, self.pictures.appearance)
        quality = self.pictures.jpeg_quality or None
        tabletop = Tabletop(
            self.robot,
            layout,
            self.cameras,
            appearance,
            jpeg_quality=quality,
            seed=seed,
            renderer=self.pictures.renderer,
        )
        for camera in self.cameras:
            images = _images(tabletop, camera, demonstration)
            folder.write_video(camera, images, len(demonstration.states), self._fps, self.codec)
        progress = demonstration.progress
        described = {
            "task": name,
            "seed": seed,
            "success": progress.is_success,
            "score": progress.score,
            "failed_attempts": failures or ([demonstration.failure] if demonstration.failure else []),
        }
        write_atomically(result, json.dumps(described).encode())

    def write_dataset(self) -> LeRobotDataset:
        """Write all episodes to the dataset and remove the work folder; raises DatasetError."""
        work = self.output / WORK_FOLDER
        keys = {name: name if self.by_name else self.robot.camera(name).image_key for name in self.cameras}
        results = [json.loads((self._path(index) / RESULT).read_bytes()) for index in range(self.episodes)]
        episodes = [
            self._folder(index).episode(keys, "success" if result["success"] else "failure")
            for index, result in enumerate(results)
        ]
        staging = work / "dataset"
        shutil.rmtree(staging, ignore_errors=True)
        (staging / REPORT).parent.mkdir(parents=True)
        report = {"plan": self._plan(), "episodes": results}
        (staging / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        sizes = {key: (v.height, v.width, v.codec) for key, v in episodes[0].videos.items()}
        fps = self._fps
        features = dataset_features(self.robot.joint_names, sizes, fps)
        before = DatasetBefore()
        units = {joint.name: joint.unit for joint in self.robot.joints}
        add_episodes(self.output, staging, episodes, features, fps, self.robot_type, units, before)
        shutil.rmtree(work)
        return LeRobotDataset.load(self.output)

    def failures(self) -> Counter[str]:
        """How often the expert failed while the finished dataset was made, by reason."""
        report = json.loads((self.output / REPORT).read_text(encoding="utf-8"))
        return Counter(reason for episode in report["episodes"] for reason in episode["failed_attempts"])

    @property
    def _fps(self) -> int:
        return int(self.robot.rate_hz)

    def _plan(self) -> dict[str, Any]:
        """Identifies the run: an interrupted one is continued if its plan is equal."""
        settings = {
            entry.name: repr(getattr(self, entry.name))
            for entry in fields(self)
            if entry.name not in ("output", "robot", "calibration", "disturbances", "pictures")
        }
        return {
            **settings,
            **{
                name: repr(value)
                for name, value in (asdict(self.disturbances) | asdict(self.pictures)).items()
            },
            "cameras": repr([self.robot.camera(name) for name in self.cameras]),
            "units": repr(self.robot.units(self.calibration)),
            "rate_hz": repr(self.robot.rate_hz),
        }

    def _is_complete(self) -> bool:
        """Whether the output is the dataset of this run."""
        report = self.output / REPORT
        if not (self.output / INFO).exists() or not report.exists():
            return False
        return bool(json.loads(report.read_text(encoding="utf-8"))["plan"] == self._plan())

    def _path(self, index: int) -> Path:
        return self.output / WORK_FOLDER / f"episode-{index:06d}"

    def _folder(self, index: int) -> StagingFolder:
        return StagingFolder(self._path(index))


def _images(tabletop: Tabletop, camera: str, demonstration: Demonstration) -> Iterator[ImageArray]:
    """The image of each frame."""
    for state in demonstration.states:
        tabletop.restore(state)
        yield tabletop.render(camera)
