# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert rosbags to a LeRobot dataset; each bag becomes one episode.

The steps depend on few others, so that they can run in parallel and none is repeated: `align_bag` for each bag (which
finds errors in its streams before anything is encoded), `encode_video` for each camera of each bag, `write_dataset`.
The later steps can leave out bags: damaged ones, and those whose episodes the dataset has already.
Results are kept in a folder inside the dataset; after an interruption the same steps continue from there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet

from smolvla_ros.dataset.alignment import AlignmentSettings, align_streams, camera_frames
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.episode_identity import episode_digest, episode_digests
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.global_statistics import StatisticsBefore
from smolvla_ros.dataset.language import BAG_NOTE, TOOLS, EpisodeLanguage, language_features, merged_tools
from smolvla_ros.dataset.lerobot_format import INFO, OBSERVATION, dataset_features
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, StagedEpisode, add_episodes
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.dataset.parallel_steps import FrameCount
from smolvla_ros.dataset.staging import StagingFolder, write_atomically
from smolvla_ros.dataset.video import Codec
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import MotorCalibration, positions_to_lerobot

WORK_FOLDER = ".conversion"  # inside the dataset while a conversion runs or after it was interrupted
PLAN = "plan.json"
CLOCK_WARNING, OUTCOME, VECTORS = "clock_warning", "outcome", "vectors"
ORDINALS = "ordinal."  # prefix of columns: the ordinal in the bag of the camera image of each row

Calibration = Mapping[str, MotorCalibration]


@dataclass(frozen=True)
class Conversion:
    """The bags, the dataset to write, and how. Plain data, so that the steps can run in other processes."""

    bags: tuple[Path, ...]
    output: Path
    robot: RobotSpec
    alignment: AlignmentSettings
    calibration: Calibration | None = None  # of the arm
    # of the leader if it gives the action; None: as `calibration`
    action_calibration: Calibration | None = None
    mapping: BagMapping = OWN_TOPICS
    task: str | None = None  # replaces the recorded tasks
    camera_names: Literal["image_key", "name"] = "image_key"
    codec: Codec = "h264"
    robot_type: str = "so100_follower"
    subtasks: bool = False  # write instructions that change within an episode to the language columns too

    def prepare(self, append: bool = False) -> bool:
        """Start the conversion, or continue one that was interrupted; returns whether there are steps left to run.

        Raises DatasetError when the folder contains something else, CalibrationError when a unit needs a calibration
        that is missing.
        """
        positions_to_lerobot(self.robot.units(self.calibration), np.zeros(len(self.robot.joints)))
        work, plan = self.output / WORK_FOLDER, self._plan()
        if (work / PLAN).exists():
            saved_plan = json.loads((work / PLAN).read_text(encoding="utf-8"))
            if {key: saved_plan[key] for key in plan} == plan:
                if not (self.output / INFO).exists():
                    return True
                if self._dataset().info["total_episodes"] == saved_plan["episodes"]:
                    return True
                shutil.rmtree(work)  # interrupted before the folder was removed
                return False
            if any(work.glob("episode-*/*.json")):  # it may have taken hours to encode them
                raise DatasetError(
                    f"'{work}' contains another interrupted conversion, of {len(saved_plan['bags'])} bags; "
                    "repeat it with the same bags and options, or remove the folder"
                )
            shutil.rmtree(work)  # a conversion that failed before encoding; bags or options were changed
        exists = (self.output / INFO).exists()
        if exists and not append:
            raise DatasetError(f"dataset '{self.output}' exists; use --append, or another folder")
        if (
            not exists
            and self.output.exists()
            and any(p for p in self.output.iterdir() if p.name != WORK_FOLDER)
        ):
            raise DatasetError(f"'{self.output}' is neither empty nor a LeRobot dataset; give another folder")
        dataset = self._dataset() if exists else None
        work.mkdir(parents=True, exist_ok=True)
        base = {
            "episodes": len(dataset.episodes) if dataset else 0,
            **vars(StatisticsBefore.load(dataset) if dataset else StatisticsBefore()),
        }
        write_atomically(work / PLAN, json.dumps({**plan, **base}).encode())
        return True

    def align_bag(self, index: int) -> None:
        """Resample the streams of a bag and convert them to LeRobot's units; raises BagError, EpisodeError."""
        folder = self._folder(index)
        if folder.frames.exists():
            return
        with self._open(index) as bag:
            sources, names = bag.sources(), bag.vector_names()
            episode = align_streams(bag, self.robot, sources, self.alignment, self.task)
        units = self.robot.units(self.calibration)
        action_units = self.robot.units(self.action_calibration or self.calibration)
        state = positions_to_lerobot(units, episode.state_rad)
        action = positions_to_lerobot(action_units, episode.action_rad)
        vectors = {
            # LeRobot expects a column of numbers, not of lists, for vectors of one value
            OBSERVATION + name: (values[:, 0] if values.shape[1] == 1 else values).astype(np.float32)
            for name, values in episode.vectors.items()
        }
        ordinals = {ORDINALS + camera: found for camera, found in episode.ordinals.items()}
        metadata = {
            VECTORS: json.dumps({OBSERVATION + name: axes for name, axes in names.items()}),
            "topics": json.dumps(dict(sources.cameras)),
            "stamps": str(int(episode.stamps_ns[0])),
            CLOCK_WARNING: episode.clock_warning,
            OUTCOME: bag.custom_data.get("outcome", ""),
            BAG_NOTE: bag.custom_data.get(BAG_NOTE, ""),
            TOOLS: bag.custom_data.get(TOOLS, ""),
        }
        if self.subtasks and not metadata[BAG_NOTE]:
            metadata[BAG_NOTE] = EpisodeLanguage.of_tasks(episode.tasks, self.alignment.fps).to_json()
        folder.write_frames(state, action, episode.tasks, {**vectors, **ordinals}, metadata)

    def clock_warning(self, index: int) -> str:
        """How the clocks of an aligned bag differ; empty if they agree."""
        return self._metadata(index, CLOCK_WARNING)

    def known_episodes(self, indices: Sequence[int]) -> dict[int, int]:
        """The aligned bags whose rows the dataset has already: index of the bag -> episode. Raises DatasetError."""
        plan = json.loads((self.output / WORK_FOLDER / PLAN).read_text(encoding="utf-8"))
        if not plan["episodes"]:
            return {}
        rows = {index: self._folder(index).read_frames() for index in indices}
        episodes = episode_digests(self._dataset(), (len(tasks) for _, _, tasks in rows.values()))
        found = {index: episodes.get(episode_digest(*rows[index])) for index in indices}
        return {index: episode for index, episode in found.items() if episode is not None}

    def pending_videos(self, indices: Sequence[int]) -> list[tuple[int, str]]:
        """The videos to encode of these aligned bags: index of the bag, camera. Raises DatasetError."""
        cameras = {index: tuple(self._topics(index)) for index in indices}
        for index, names in cameras.items():
            first = indices[0]
            if names != cameras[first]:
                raise DatasetError(
                    f"bag '{self.bags[index]}' has the cameras {', '.join(names)}, bag '{self.bags[first]}' "
                    f"{', '.join(cameras[first])}; select cameras with --cameras"
                )
        return [(index, camera) for index, names in cameras.items() for camera in names]

    def frames(self, index: int) -> int:
        """The rows of an aligned bag, and so the images of each of its cameras."""
        return int(pyarrow.parquet.read_metadata(self._folder(index).frames).num_rows)

    def encode_video(self, index: int, camera: str, count: FrameCount | None = None) -> None:
        """Encode the images of a camera in a bag, and count them; raises BagError, EpisodeError, VideoError."""
        folder = self._folder(index)
        if folder.has_video(camera):
            return
        column = pyarrow.parquet.read_table(folder.frames, columns=[ORDINALS + camera]).column(0)
        ordinals = column.to_numpy()
        with self._open(index) as bag:
            frames = camera_frames(bag, self._topics(index)[camera], camera, ordinals)
            images = (frame.image for frame in (count.counted(frames) if count else frames))
            folder.write_video(camera, images, len(ordinals), self.alignment.fps, self.codec)

    def write_dataset(self, indices: Sequence[int]) -> LeRobotDataset:
        """Write the episodes of these bags to the dataset and remove the work folder; raises DatasetError."""
        work = self.output / WORK_FOLDER
        plan = json.loads((work / PLAN).read_text(encoding="utf-8"))
        episodes = [self._staged(index) for index in indices]
        sizes = [
            {key: (v.height, v.width, v.codec) for key, v in episode.videos.items()} for episode in episodes
        ]
        for index, size in zip(indices, sizes, strict=True):
            if size != sizes[0]:
                raise DatasetError(
                    f"bag '{self.bags[index]}' has images {size}, bag '{self.bags[indices[0]]}' {sizes[0]} (height, "
                    "width, codec); "
                    "a dataset has one image size per camera"
                )
        vectors = json.loads(self._metadata(indices[0], VECTORS))
        for index in indices:
            if (found := json.loads(self._metadata(index, VECTORS))) != vectors:
                raise DatasetError(
                    f"bag '{self.bags[index]}' has the vectors {found}, bag '{self.bags[indices[0]]}' {vectors}; "
                    "convert them to two datasets"
                )
        dataset = self._dataset() if plan["episodes"] else None
        staging = work / "dataset"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        fps = self.alignment.fps
        features = dataset_features(self.robot.joint_names, sizes[0], fps, vectors)
        if (dataset and dataset.has_language) or any(episode.language.to_json() for episode in episodes):
            features |= language_features()
        before = DatasetBefore(dataset, StatisticsBefore(plan["stats"], plan["histograms"]))
        units = {joint.name: joint.unit for joint in self.robot.joints}
        tools = merged_tools(json.loads(self._metadata(index, TOOLS) or "[]") for index in indices)
        add_episodes(self.output, staging, episodes, features, fps, self.robot_type, units, before, tools)
        shutil.rmtree(work)
        return self._dataset()

    def remove_work(self) -> None:
        """End a conversion that adds no episode."""
        shutil.rmtree(self.output / WORK_FOLDER)

    def _plan(self) -> dict[str, Any]:
        """Identifies the conversion: an interrupted one is continued if its plan is equal."""
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
        keys = {camera: self._image_key(camera) for camera in self._topics(index)}
        language = EpisodeLanguage.from_json(self._metadata(index, BAG_NOTE))
        return self._folder(index).episode(keys, self._metadata(index, OUTCOME), language)

    def _image_key(self, camera: str) -> str:
        return camera if self.camera_names == "name" else self.robot.camera(camera).image_key

    def _open(self, index: int) -> MappedBag:
        return MappedBag(self.bags[index], self.robot, self.mapping)

    def _folder(self, index: int) -> StagingFolder:
        return StagingFolder(self.output / WORK_FOLDER / f"episode-{index:06d}")

    def _topics(self, index: int) -> dict[str, str]:
        """The cameras of an aligned bag: name -> topic."""
        return dict(json.loads(self._metadata(index, "topics")))

    def _metadata(self, index: int, name: str) -> str:
        """What `align_bag` noted about a bag."""
        metadata: Mapping[bytes, bytes] = pyarrow.parquet.read_schema(self._folder(index).frames).metadata
        return metadata[name.encode()].decode()

    def _dataset(self) -> LeRobotDataset:
        return LeRobotDataset.load(self.output)
