# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert rosbags to a LeRobot dataset; each bag becomes one episode, or one for each turn of policy or person.

The steps depend on few others, so that they can run in parallel and none is repeated: `align_bag` for each bag (which
finds errors in its streams before anything is encoded), `encode_video` for each camera of each bag, `write_dataset`.
The later steps can leave out bags: damaged ones, and those whose episodes the dataset has already.
Results are kept in a folder inside the dataset; after an interruption the same steps continue from there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet

from smolvla_ros.authority import Authority
from smolvla_ros.dataset.alignment import AlignmentSettings, align_streams, camera_frames
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.dataset.episode_identity import episode_digest, episode_digests
from smolvla_ros.dataset.errors import DatasetError, EpisodeError
from smolvla_ros.dataset.global_statistics import StatisticsBefore
from smolvla_ros.dataset.language import BAG_NOTE, TOOLS, EpisodeLanguage, language_features, merged_tools
from smolvla_ros.dataset.lerobot_format import INFO, INTERVENTION, OBSERVATION, dataset_features
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, StagedEpisode, add_episodes
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.dataset.parallel_steps import FrameCount
from smolvla_ros.dataset.pieces import Control, control_pieces
from smolvla_ros.dataset.read_ahead import read_ahead
from smolvla_ros.dataset.staging import StagingFolder, write_atomically
from smolvla_ros.dataset.video import Codec, check_encoder
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import MotorCalibration, positions_to_lerobot

WORK_FOLDER = ".conversion"  # inside the dataset while a conversion runs or after it was interrupted
PLAN = "plan.json"
CLOCK_WARNING, OUTCOME, VECTORS, PIECES = "clock_warning", "outcome", "vectors", "pieces"
DECODED_AHEAD = 4  # images that wait for the encoder, so that one long video can keep two cores busy
ORDINALS = "ordinal."  # prefix of columns: the ordinal in the bag of the camera image of each row

Calibration = Mapping[str, MotorCalibration]


@dataclass(frozen=True)
class Piece:
    """Rows of an aligned bag that become an episode."""

    bag: int
    begin: int
    end: int  # not included

    @property
    def rows(self) -> slice:
        return slice(self.begin, self.end)


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
    control: Control = "all"  # whole attempts, or the turns of person or policy
    camera_names: Literal["image_key", "name"] = "image_key"
    codec: Codec = "h264"
    robot_type: str = "so100_follower"
    subtasks: bool = False  # write instructions that change within an episode to the language columns too

    def prepare(self, append: bool = False) -> bool:
        """Start the conversion, or continue one that was interrupted; returns whether there are steps left to run.

        Raises DatasetError when the folder contains something else, CalibrationError when a unit needs a calibration
        that is missing, VideoError when videos cannot be encoded.
        """
        check_encoder(self.codec)
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
        """Resample the streams of a bag, convert them to LeRobot's units and find its pieces.

        Raises BagError, EpisodeError.
        """
        folder = self._folder(index)
        if folder.frames.exists():
            return
        with self._open(index) as bag:
            sources, names = bag.sources(), bag.vector_names()
            if self.control != "all" and sources.authority is None:
                raise EpisodeError(
                    f"bag '{bag.path}' does not tell who commanded: it has no control_authority; convert it as a whole"
                )
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
        intervention = {INTERVENTION: np.array([who == Authority.OPERATOR for who in episode.authority])}
        metadata = {
            VECTORS: json.dumps({OBSERVATION + name: axes for name, axes in names.items()}),
            "topics": json.dumps(dict(sources.cameras)),
            "stamps": str(int(episode.stamps_ns[0])),
            CLOCK_WARNING: episode.clock_warning,
            OUTCOME: bag.custom_data.get("outcome", ""),
            BAG_NOTE: bag.custom_data.get(BAG_NOTE, ""),
            TOOLS: bag.custom_data.get(TOOLS, ""),
            PIECES: json.dumps(control_pieces(episode.authority, self.control)),
        }
        if self.subtasks and not metadata[BAG_NOTE]:
            metadata[BAG_NOTE] = EpisodeLanguage.of_tasks(episode.tasks, self.alignment.fps).to_json()
        folder.write_frames(state, action, episode.tasks, {**vectors, **intervention, **ordinals}, metadata)

    def clock_warning(self, index: int) -> str:
        """How the clocks of an aligned bag differ; empty if they agree."""
        return self._metadata(index, CLOCK_WARNING)

    def pieces(self, indices: Iterable[int]) -> list[Piece]:
        """Those of these aligned bags."""
        return [
            Piece(index, *rows) for index in indices for rows in json.loads(self._metadata(index, PIECES))
        ]

    def known_episodes(self, pieces: Sequence[Piece]) -> dict[Piece, int]:
        """The pieces whose rows the dataset has already -> episode. Raises DatasetError."""
        plan = json.loads((self.output / WORK_FOLDER / PLAN).read_text(encoding="utf-8"))
        if not plan["episodes"]:
            return {}
        episodes = episode_digests(self._dataset(), (piece.end - piece.begin for piece in pieces))
        found = {piece: episodes.get(self._digest(piece)) for piece in pieces}
        return {piece: episode for piece, episode in found.items() if episode is not None}

    def pending_videos(self, pieces: Sequence[Piece]) -> list[tuple[Piece, str]]:
        """The videos to encode of these pieces: piece, camera. Raises DatasetError."""
        cameras = {piece.bag: tuple(self._topics(piece.bag)) for piece in pieces}
        for index, names in cameras.items():
            first = pieces[0].bag
            if names != cameras[first]:
                raise DatasetError(
                    f"bag '{self.bags[index]}' has the cameras {', '.join(names)}, bag '{self.bags[first]}' "
                    f"{', '.join(cameras[first])}; select cameras with --cameras"
                )
        return [(piece, camera) for piece in pieces for camera in cameras[piece.bag]]

    def encode_video(self, piece: Piece, camera: str, count: FrameCount | None = None) -> None:
        """Encode the images of a camera in a piece, and count them; raises BagError, EpisodeError, VideoError."""
        folder, name = self._folder(piece.bag), _video_name(camera, piece)
        if folder.has_video(name):
            return
        column = pyarrow.parquet.read_table(folder.frames, columns=[ORDINALS + camera]).column(0)
        ordinals = column.to_numpy()[piece.rows]
        with self._open(piece.bag) as bag:
            decoded = camera_frames(bag, self._topics(piece.bag)[camera], camera, ordinals)
            with closing(read_ahead(decoded, DECODED_AHEAD)) as frames:
                images = (frame.image for frame in (count.counted(frames) if count else frames))
                folder.write_video(name, images, len(ordinals), self.alignment.fps, self.codec)

    def write_dataset(self, pieces: Sequence[Piece]) -> LeRobotDataset:
        """Write the episodes of these pieces to the dataset and remove the work folder; raises DatasetError."""
        work = self.output / WORK_FOLDER
        plan = json.loads((work / PLAN).read_text(encoding="utf-8"))
        episodes = [self._staged(piece) for piece in pieces]
        first = self.bags[pieces[0].bag]
        sizes = [
            {key: (v.height, v.width, v.codec) for key, v in episode.videos.items()} for episode in episodes
        ]
        vectors = [json.loads(self._metadata(piece.bag, VECTORS)) for piece in pieces]
        for piece, size, found in zip(pieces, sizes, vectors, strict=True):
            bag = self.bags[piece.bag]
            if size != sizes[0]:
                raise DatasetError(
                    f"bag '{bag}' has images {size}, bag '{first}' {sizes[0]} (height, width, codec); a dataset has "
                    "one image size per camera"
                )
            if found != vectors[0]:
                raise DatasetError(
                    f"bag '{bag}' has the vectors {found}, bag '{first}' {vectors[0]}; convert them to two datasets"
                )
        dataset = self._dataset() if plan["episodes"] else None
        staging = work / "dataset"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        fps = self.alignment.fps
        has_interventions = any(map(self._has_intervention, pieces)) or (
            dataset is not None and INTERVENTION in dataset.features
        )
        features = dataset_features(self.robot.joint_names, sizes[0], fps, vectors[0], has_interventions)
        if (dataset and dataset.has_language) or any(episode.language.to_json() for episode in episodes):
            features |= language_features()
        before = DatasetBefore(dataset, StatisticsBefore(plan["stats"], plan["histograms"]))
        units = {joint.name: joint.unit for joint in self.robot.joints}
        tools = merged_tools(json.loads(self._metadata(piece.bag, TOOLS) or "[]") for piece in pieces)
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

    def _staged(self, piece: Piece) -> StagedEpisode:
        keys = {_video_name(camera, piece): self._image_key(camera) for camera in self._topics(piece.bag)}
        language = EpisodeLanguage.from_json(self._metadata(piece.bag, BAG_NOTE))
        if self.control != "all":
            language = language.cut(piece.begin / self.alignment.fps, piece.end / self.alignment.fps)
        episode = self._folder(piece.bag).episode(keys, self._metadata(piece.bag, OUTCOME), language)
        return replace(episode, rows=piece.rows)

    def _digest(self, piece: Piece) -> bytes:
        state, action, tasks = self._folder(piece.bag).read_frames()
        return episode_digest(state[piece.rows], action[piece.rows], tasks[piece.rows])

    def _has_intervention(self, piece: Piece) -> bool:
        column = pyarrow.parquet.read_table(self._folder(piece.bag).frames, columns=[INTERVENTION]).column(0)
        return bool(column.to_numpy()[piece.rows].any())

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


def _video_name(camera: str, piece: Piece) -> str:
    return f"{camera}-{piece.begin:06d}"
