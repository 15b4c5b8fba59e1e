# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rosbags -> a LeRobot dataset: one bag becomes one episode.

The work is in steps that depend on few others, so that they run in parallel and none is done twice: `align` each bag
(which finds what is wrong with its streams before anything is encoded), `encode` each camera of each bag, `finish`.
What is done lies in a folder inside the dataset; after a crash the same steps find it there and go on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow
import pyarrow.parquet

from smolvla_ros.dataset.alignment import AlignmentSettings, BagTopics, Positions, align, frames
from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_reader import ACTION, INFO, STATE, LeRobotDataset
from smolvla_ros.dataset.lerobot_writer import Base, StagedEpisode, StagedVideo, add_episodes, describe
from smolvla_ros.dataset.statistics import ImageHistogram, sampled_image_indices
from smolvla_ros.dataset.video import Codec, encode_video
from smolvla_ros.image import ImageArray
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import JointUnits, MotorCalibration

WORK = ".conversion"  # inside the dataset; its presence says that a conversion is under way, or was cut off
PLAN = "plan.json"
ORDINALS = "ordinal."  # column: which of a camera's images in the bag belongs to a row

Calibration = Mapping[str, MotorCalibration]


@dataclass(frozen=True)
class Conversion:
    """Which bags become which dataset, and how. Plain data, so that its steps can run in other processes."""

    bags: tuple[Path, ...]
    output: Path
    robot: RobotSpec
    alignment: AlignmentSettings
    calibration: Calibration | None = None  # of the arm
    action_calibration: Calibration | None = (
        None  # of the leader, where the action is its pose; else the arm's
    )
    cameras: Mapping[str, str | None] | None = None  # as in BagTopics.find
    state: str = "joint_states"
    action: str = "joint_commands"
    task: str | None = None  # instead of the bags' own
    camera_names: Literal["image_key", "name"] = "image_key"
    codec: Codec = "h264"
    robot_type: str = "so100_follower"

    def prepare(self, append: bool = False) -> bool:
        """Plan the conversion, or take up one that was cut off; whether there is anything left to do.

        Raises DatasetError when the folder holds something else, CalibrationError when units need one that is missing.
        """
        self._to_lerobot(np.zeros((1, len(self.robot.joints))), self.calibration)
        work, plan = self.output / WORK, self._plan()
        if (work / PLAN).exists():
            begun = json.loads((work / PLAN).read_text(encoding="utf-8"))
            if {key: begun[key] for key in plan} == plan:
                if not (self.output / INFO).exists():
                    return True
                if self._dataset().info["total_episodes"] == begun["episodes"]:
                    return True
                shutil.rmtree(work)  # cut off after its last step but this one
                return False
            if any(work.glob("episode-*/*.json")):  # hours of encoding, perhaps
                raise DatasetError(
                    f"'{work}' holds another conversion that was cut off, of {len(begun['bags'])} bags; "
                    "repeat that one with its own bags and options, or remove the folder"
                )
            shutil.rmtree(work)  # one that a bag was refused in: now come other bags or options
        exists = (self.output / INFO).exists()
        if exists and not append:
            raise DatasetError(f"dataset '{self.output}' exists; use --append, or another folder")
        if not exists and self.output.exists() and any(p for p in self.output.iterdir() if p.name != WORK):
            raise DatasetError(f"'{self.output}' is neither empty nor a LeRobot dataset; give another folder")
        dataset = self._dataset() if exists else None
        work.mkdir(parents=True, exist_ok=True)
        base = {
            "episodes": len(dataset.episodes) if dataset else 0,
            "stats": dict(dataset.stats) if dataset else {},
        }
        _write_whole(work / PLAN, json.dumps({**plan, **base}).encode())
        return True

    def align_bag(self, index: int) -> None:
        """Put the streams of a bag on the grid, in LeRobot's units; raises BagError, EpisodeError."""
        folder = self._folder(index)
        if (folder / "frames.parquet").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with Bag(self.bags[index]) as bag:
            sources = BagTopics.find(bag, self.robot, self.cameras, self.state, self.action)
            episode = align(bag, self.robot, sources, self.alignment, self.task)
        state = self._to_lerobot(episode.state_rad, self.calibration)
        action = self._to_lerobot(episode.action_rad, self.action_calibration or self.calibration)
        columns = {STATE: _vectors(state), ACTION: _vectors(action), "task": pyarrow.array(episode.tasks)}
        for camera, ordinals in episode.ordinals.items():
            columns[ORDINALS + camera] = pyarrow.array(ordinals)
        table = pyarrow.table(columns).replace_schema_metadata(
            {"topics": json.dumps(dict(sources.cameras)), "stamps": str(int(episode.stamps_ns[0]))}
        )
        with _whole(folder / "frames.parquet") as path:
            pyarrow.parquet.write_table(table, path)

    def pending_videos(self) -> list[tuple[int, str]]:
        """What there is to encode once all bags are aligned: bag and camera. Raises DatasetError."""
        cameras = [tuple(self._topics(index)) for index in range(len(self.bags))]
        for index, names in enumerate(cameras):
            if names != cameras[0]:
                raise DatasetError(
                    f"bag '{self.bags[index]}' has the cameras {', '.join(names)}, bag '{self.bags[0]}' "
                    f"{', '.join(cameras[0])}; say with --cameras which ones to take"
                )
        return [(index, camera) for index, names in enumerate(cameras) for camera in names]

    def encode_video(self, index: int, camera: str) -> None:
        """Encode the images of a camera in a bag; raises BagError, EpisodeError, VideoError."""
        folder = self._folder(index)
        if (folder / f"{camera}.json").exists():
            return
        column = pyarrow.parquet.read_table(folder / "frames.parquet", columns=[ORDINALS + camera]).column(0)
        ordinals = column.to_numpy()
        tally, samples = ImageHistogram(), sampled_image_indices(len(ordinals))
        size: list[int] = []

        def images(bag: Bag) -> Iterator[ImageArray]:
            for tick, frame in enumerate(frames(bag, self._topics(index)[camera], camera, ordinals)):
                if tick in samples:
                    tally.add(frame.image)
                size[:] = frame.image.shape[:2]
                yield frame.image

        with Bag(self.bags[index]) as bag, _whole(folder / f"{camera}.mp4") as path:
            encode_video(path, images(bag), self.alignment.fps, self.codec)
        note = {"height": size[0], "width": size[1], "statistics": tally.statistics()}
        _write_whole(folder / f"{camera}.json", json.dumps(note).encode())

    def write_dataset(self) -> LeRobotDataset:
        """Put the episodes together and clear away the work; raises DatasetError."""
        work = self.output / WORK
        plan = json.loads((work / PLAN).read_text(encoding="utf-8"))
        episodes = [self._staged(index) for index in range(len(self.bags))]
        sizes = [
            {key: (v.height, v.width, v.codec) for key, v in episode.videos.items()} for episode in episodes
        ]
        for bag, size in zip(self.bags, sizes, strict=True):
            if size != sizes[0]:
                raise DatasetError(
                    f"bag '{bag}' has images {size}, bag '{self.bags[0]}' {sizes[0]} (height, width, codec); "
                    "a dataset has one size per camera"
                )
        dataset = self._dataset() if plan["episodes"] else None
        staging = work / "dataset"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        features = describe(self.robot.joint_names, sizes[0], self.alignment.fps)
        fps, base = self.alignment.fps, Base(dataset, plan["stats"])
        add_episodes(self.output, staging, episodes, features, fps, self.robot_type, base)
        shutil.rmtree(work)
        return self._dataset()

    def _plan(self) -> dict[str, Any]:
        """What makes a conversion the same one, in words that JSON keeps."""
        settings = {
            name: repr(value)
            for name, value in vars(self).items()
            if name not in ("bags", "output", "robot", "calibration", "action_calibration")
        }
        units = [
            repr(self.robot.units(calibration))
            for calibration in (self.calibration, self.action_calibration or self.calibration)
        ]
        keys = {camera.name: self._image_key(camera.name) for camera in self.robot.cameras}
        return {
            "bags": [str(bag.resolve()) for bag in self.bags],
            "settings": settings,
            "units": units,
            "images": keys,
        }

    def _staged(self, index: int) -> StagedEpisode:
        folder, videos = self._folder(index), {}
        for camera in self._topics(index):
            note = json.loads((folder / f"{camera}.json").read_text(encoding="utf-8"))
            videos[self._image_key(camera)] = StagedVideo(
                folder / f"{camera}.mp4", note["height"], note["width"], self.codec, note["statistics"]
            )
        return StagedEpisode(folder / "frames.parquet", videos)

    def _image_key(self, camera: str) -> str:
        return camera if self.camera_names == "name" else self.robot.camera(camera).image_key

    def _folder(self, index: int) -> Path:
        return self.output / WORK / f"episode-{index:06d}"

    def _topics(self, index: int) -> dict[str, str]:
        """The cameras of an aligned bag and their topics."""
        schema = pyarrow.parquet.read_schema(self._folder(index) / "frames.parquet")
        return dict(json.loads(schema.metadata[b"topics"]))

    def _dataset(self) -> LeRobotDataset:
        return LeRobotDataset.load(self.output)

    def _to_lerobot(self, rad: Positions, calibration: Calibration | None) -> np.ndarray[Any, Any]:
        units: tuple[JointUnits, ...] = self.robot.units(calibration)
        columns = [unit.rad_to_lerobot(rad[:, i]) for i, unit in enumerate(units)]
        return np.stack(columns, axis=1).astype(np.float32)


def _vectors(rows: np.ndarray[Any, Any]) -> pyarrow.Array:
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), rows.shape[1])


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Where to write a file that appears under its name only when it is whole."""
    part = path.with_name(f"{path.name}.part")
    yield part
    os.replace(part, path)


def _write_whole(path: Path, content: bytes) -> None:
    with _whole(path) as part:
        part.write_bytes(content)
