# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What curate, standardize_views and the rule of annotate_tasks find in datasets made with the community's faults.

The datasets are rendered demonstrations of random appearance, written by this package's writer and then spoilt.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.curation.camera_views import propose_views
from smolvla_ros.curation.image_motion import camera_motion
from smolvla_ros.curation.image_quality import ImageSettings
from smolvla_ros.curation.selection import SelectionSettings, compare_datasets, survey_dataset
from smolvla_ros.dataset.checks import check_episodes
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.lerobot_format import dataset_features
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.lerobot_writer import DatasetBefore, add_episodes
from smolvla_ros.dataset.staging import StagingFolder
from smolvla_ros.dataset.task_text import suggest_task, task_problem
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.demonstration_dataset import DemonstrationRun
from smolvla_ros.simulation.tasks.instruction import TASKS
from smolvla_ros.units import load_calibration

ROOT = Path(__file__).parents[2]
FPS, BASES, SEED = 15, 8, 4_000
ROBOT = RobotSpec.load(ROOT / "config" / "so100.yaml")
ROBOT = replace(ROBOT.with_cameras(width=320, height=240), rate_hz=float(FPS))
CALIBRATION = load_calibration(ROOT / "config" / "emulated_calibration.json", ROBOT.joint_names)
PAIR = {"top": "top", "wrist": "wrist"}
Change = Callable[[list[ImageArray], int], list[ImageArray]]  # of the images of episode n


@dataclass(frozen=True)
class Made:
    """A dataset to make: of which base, what is spoilt, and the errors that curate should find."""

    base: int
    errors: tuple[str, ...] = ()
    cameras: Mapping[str, str] = field(default_factory=lambda: PAIR)  # view -> name
    tasks: tuple[str, ...] = ("Pick up the cube",)  # of the episodes in turn
    fps: int = FPS
    robot_type: str = "so100_follower"
    episodes: tuple[int, ...] = (0, 1)  # of the base
    rows: int | None = None  # of each episode; None: all
    images: Mapping[str, Change] = field(default_factory=dict)  # by view
    action: Callable[[Float32Array, Float32Array], Float32Array] = lambda state, action: action
    exchanged: int | None = None  # the episode in which the first two cameras are exchanged


def each(change: Callable[[ImageArray], ImageArray]) -> Change:
    return lambda images, _: [np.ascontiguousarray(change(image), np.uint8) for image in images]


def frozen(images: list[ImageArray], episode: int) -> list[ImageArray]:
    middle = len(images) // 3
    return images if episode else [*images[:middle], *[images[middle]] * 30, *images[middle + 30 :]]


def black(images: list[ImageArray], episode: int) -> list[ImageArray]:
    return [np.zeros_like(image) for image in images] if episode else images


LONG = "Use the robot to grab the red cube that lies on the table and then put it into the box"
KINDS = {
    **{f"good {number}": Made(number) for number in range(6)},
    "three cameras": Made(6, ("cameras",), {**PAIR, "side": "side"}),
    "'task desc'": Made(0, ("task",), tasks=("task desc",)),
    "'Move'": Made(1, ("task",), tasks=("Move",)),
    "'test'": Made(2, ("task",), tasks=("test",)),
    "'Up'": Made(3, ("task",), tasks=("Up",)),
    "a long instruction": Made(4, tasks=(LONG,)),
    "'single task' in half the episodes": Made(5, ("task",), tasks=("Pick up the cube", "single task")),
    "laptop, phone": Made(6, ("cameras",), {"top": "laptop", "wrist": "phone"}),
    "phone, laptop": Made(7, ("cameras",), {"top": "phone", "wrist": "laptop"}),
    "webcam_0, webcam_1": Made(0, ("cameras",), {"wrist": "webcam_0", "top": "webcam_1"}),
    "image, image2": Made(1, ("cameras",), {"top": "image", "wrist": "image2"}),
    "top, laptop, phone": Made(2, ("cameras",), {"top": "top", "side": "laptop", "wrist": "phone"}),
    "front, gripper_cam": Made(3, ("cameras",), {"side": "front", "wrist": "gripper_cam"}),
    "swapped views 1": Made(4, (), {"top": "wrist", "wrist": "top"}),
    "swapped views 2": Made(5, (), {"top": "wrist", "wrist": "top"}),
    "swapped views 3": Made(7, ("cameras",), {"side": "wrist", "wrist": "side"}),
    "20 fps": Made(6, ("fps",), fps=20),
    "10 fps": Made(7, ("fps",), fps=10),
    "another robot": Made(0, ("embodiment",), robot_type="koch_follower"),
    "one episode": Made(1, ("episodes",), episodes=(0,)),
    "few frames": Made(2, ("frames",), rows=20),
    "dark": Made(3, ("image quality",), images={"wrist": each(lambda image: image // 12)}),
    "overexposed": Made(4, ("image quality",), images={"top": each(lambda image: 240 + image // 17)}),
    "blurred": Made(6, ("image quality",), images={"top": each(lambda image: cv2.blur(image, (25, 25)))}),
    "a camera that freezes": Made(6, ("frozen camera",), images={"top": frozen}),
    "a black episode": Made(7, ("black images", "frozen camera"), images={"wrist": black}),
    "cameras exchanged in an episode": Made(0, ("swapped cameras",), episodes=(0, 1, 0, 1), exchanged=2),
    "a constant action": Made(1, ("action",), action=lambda _, action: np.repeat(action[:1], len(action), 0)),
    "the action after the state": Made(2, ("action lag",), action=lambda state, _: np.roll(state, 6, axis=0)),
}


def make_base(folder: Path, number: int) -> LeRobotDataset:
    names = tuple(name for name in TASKS if name != "touch")
    run = DemonstrationRun(
        folder,
        ROBOT,
        CALIBRATION,
        (names[number % len(names)],),
        2,
        SEED + number,
        cameras=("top", "wrist", "side"),
        by_name=True,
    )
    if run.prepare():
        for episode in range(2):
            run.make_episode(episode)
        run.write_dataset()
    return LeRobotDataset.load(folder)


def make(folder: Path, made: Made, base: LeRobotDataset) -> Path:
    """Write the dataset."""
    episodes = []
    for number, episode in enumerate(made.episodes):
        frames = base.frames(episode)
        count = made.rows or len(frames.state)
        state, action = frames.state[:count], frames.action[:count]
        staging = StagingFolder(folder.with_name(f"{folder.name}.{number}"))
        task = made.tasks[number % len(made.tasks)]
        staging.write_frames(state, made.action(state, action), [task] * count)
        views = list(made.cameras)
        for view, name in made.cameras.items():
            if number == made.exchanged:
                view = views[1 - views.index(view)]
            images = list(base.images(episode, view))[:count]
            if view in made.images:
                images = made.images[view](images, number)
            staging.write_video(name, images, count, made.fps, "h264")
        episodes.append(staging.episode({name: name for name in made.cameras.values()}))
    sizes = {name: (video.height, video.width, video.codec) for name, video in episodes[0].videos.items()}
    features = dataset_features(ROBOT.joint_names, sizes, made.fps)
    units = {joint.name: joint.unit for joint in ROBOT.joints}
    work = folder.with_name(f"{folder.name}.staging")
    work.mkdir(parents=True)
    add_episodes(folder, work, episodes, features, made.fps, made.robot_type, units, DatasetBefore())
    return folder


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|---|{'--:|' * (len(head) - 1)}")
    for row in rows:
        print("|", " | ".join(map(str, row)), "|", flush=True)


def measure_selection(folders: Mapping[str, Path]) -> None:
    """What curate finds."""
    settings = SelectionSettings(min_episodes=2, min_frames=60)
    units = ROBOT.units(CALIBRATION)
    surveys = []
    for path in folders.values():
        found = survey_dataset(path, ROBOT, settings, ImageSettings())
        if not found.errors:
            found = found.found(check_episodes(list(read_episodes(path, ROBOT, units)), ROBOT))
        surveys.append(found)
    counts: dict[str, Counter[str]] = {}
    for name, survey in zip(folders, compare_datasets(surveys, settings), strict=True):
        found_checks = {finding.check for finding in survey.errors}
        for check in {*found_checks, *KINDS[name].errors}:
            is_found, is_made = check in found_checks, check in KINDS[name].errors
            result = "found" if is_found and is_made else "missed" if is_made else "false alarm"
            counts.setdefault(check, Counter())[result] += 1
            if result != "found":
                print(f"{name}: {check}: {result}")
    rows = [
        (check, each["found"] + each["missed"], each["found"], each["missed"], each["false alarm"])
        for check, each in sorted(counts.items())
    ]
    print_table(("fault", "made", "found", "missed", "false alarms"), rows)


def measure_views(folders: Mapping[str, Path]) -> None:
    """What standardize_views proposes without a model; names of one view are hidden in a second measurement."""
    seen: dict[str, dict[bool, list[float]]] = {}
    rows = []
    for title, hidden in (("names and motion", False), ("motion alone", True)):
        result: Counter[str] = Counter()
        for name, path in folders.items():
            dataset = LeRobotDataset.load(path)
            views = {camera: view for view, camera in KINDS[name].cameras.items()}
            motions = {camera: camera_motion(dataset, camera) for camera in views}
            if hidden:
                for camera, view in views.items():
                    result[_judged(motions[camera].is_on_arm, view == "wrist")] += 1
                    seen.setdefault(view, {}).setdefault(True, []).append(motions[camera].changed)
                continue
            for proposal in propose_views(list(views), motions, {}):
                kind = "not known" if not proposal.view else "right"
                kind = "wrong" if proposal.view and proposal.view != views[proposal.camera] else kind
                result[kind] += 1
                if kind == "wrong":
                    print(f"{name}: {proposal}, it is {views[proposal.camera]}")
        rows.append((title, sum(result.values()), result["right"], result["wrong"], result["not known"]))
    print_table(("views told by", "cameras", "right", "wrong", "left for a person"), rows)
    changed = {view: np.array(values[True]) for view, values in seen.items()}
    print_table(
        ("view", "lowest share of changed pixels", "median", "highest"),
        [(v, *(f"{x:.2f}" for x in (c.min(), np.median(c), c.max()))) for v, c in changed.items()],
    )


def _judged(found: bool | None, truth: bool) -> str:
    return "not known" if found is None else "right" if found == truth else "wrong"


def measure_tasks() -> None:
    """Which wordings break the rule, and how many are rewritten without a model."""
    bad = {task for made in KINDS.values() for task in made.tasks if "task" in made.errors}
    bad = {*bad, LONG} - {"Pick up the cube"}
    bad |= {"task_1", "pick", "Hold", "the red cube", "cube in box", "lerobot test", "1234", "no task"}
    bad |= {"The robot should grasp the block", "picking up the cube and placing it in the box"}
    good = {text.format("red", "blue") for wordings in TASKS.values() for text in wordings}
    good = {text for text in good if len(text) <= 30}
    found = [text for text in bad if task_problem(text)]
    alarms = [text for text in good if task_problem(text)]
    print("not noticed:", sorted(bad - {*found}), "false alarms:", sorted(alarms))
    rewritten = sum(bool(suggest_task(text)) for text in found)
    row = (
        "wordings",
        len(bad),
        len(found),
        len(bad) - len(found),
        f"{len(alarms)} of {len(good)}",
        rewritten,
    )
    print_table(("", "bad", "found", "missed", "false alarms", "rewritten without a model"), [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, help="folder in which the demonstrations are kept for another run"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder, "bases")
        bases = [make_base(work / str(number), number) for number in range(BASES)]
        folders = {
            name: make(Path(folder, "made", f"{number:02d}"), made, bases[made.base])
            for number, (name, made) in enumerate(KINDS.items())
        }
        print(f"{len(folders)} datasets, {len({each.tasks for each in KINDS.values()})} wordings")
        measure_selection(folders)
        measure_views(folders)
        measure_tasks()


if __name__ == "__main__":
    main()
