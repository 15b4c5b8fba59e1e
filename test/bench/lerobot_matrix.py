# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which data this package and the LeRobot versions here exchange, as a table; exit code 1 if something fails.

LeRobot comes from `make lerobot` (0.4.4, and 0.6.1 where there is a Python 3.12), or from the Pythons named by
LEROBOT_PYTHON, separated by colons. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import Edits, edited_clips
from smolvla_ros.dataset.language import COLUMNS
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

ROOT = Path(__file__).parents[2]
CONTENDERS = Path(__file__).parent / "contenders"
CHECKPOINT = ROOT / "checkpoints" / "so100_tabletop"
LANGUAGE = ROOT / "test" / "data" / "lerobot_language"  # written by LeRobot 0.6.1
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
FOLDERS = ("build/lerobot", "build/lerobot-0.6")


@dataclass
class Installation:
    """A LeRobot in an environment of its own."""

    python: Path
    version: str

    def run(self, program: str, *arguments: object) -> str:
        """What a program of contenders/ prints; raises RuntimeError with the last line of its errors."""
        command = [self.python, CONTENDERS / program, *map(str, arguments)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        return done.stdout


def find_installations() -> list[Installation]:
    named = os.environ.get("LEROBOT_PYTHON", "")
    pythons = [Path(each) for each in named.split(":") if each]
    pythons = pythons or [ROOT / folder / "bin" / "python" for folder in FOLDERS]
    return [Installation(python, version_of(python)) for python in pythons if python.exists()]


def version_of(python: Path) -> str:
    show = "import importlib.metadata as m; print(m.version('lerobot'))"
    command = [python, "-c", show]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True).stdout.strip()


def write_copies(folder: Path) -> None:
    """Copies of LeRobot's dataset by our writer: with its language columns, and without."""
    theirs = LeRobotDataset.load(LANGUAGE)
    features = {name: each for name, each in theirs.features.items() if name not in COLUMNS}
    plain = replace(theirs, info={**theirs.info, "features": features})
    for name, dataset in (("language", theirs), ("made", plain)):
        write_edited({"": edited_clips([dataset], Edits())}, [dataset], Edits(), folder / name, 1)


def ours_opens_there(lerobot: Installation, folder: Path) -> None:
    dataset = LeRobotDataset.load(folder / "made")
    report = json.loads(lerobot.run("lerobot_dataset.py", dataset.root, folder / "seen.npz").splitlines()[-1])
    seen = np.load(folder / "seen.npz")
    rows = [dataset.frames(episode) for episode in range(len(dataset.episodes))]
    assert report["tasks"] == [task for each in rows for task in each.tasks]
    assert np.array_equal(seen["action"], np.concatenate([each.action for each in rows]))
    assert np.array_equal(seen["observation.state"], np.concatenate([each.state for each in rows]))


def theirs_opens_here(lerobot: Installation, folder: Path) -> None:
    if not (folder / "theirs").exists():
        lerobot.run("lerobot_roundtrip.py", "make", folder / "theirs")
    dataset = LeRobotDataset.load(folder / "theirs")
    assert [len(dataset.frames(episode).state) for episode in range(2)] == [8, 6]
    brightness = [image.mean() for image in dataset.images(1, "top")]
    assert np.allclose(brightness, 40 + 10 * np.arange(6), atol=4)


def their_edit_opens_here(lerobot: Installation, folder: Path) -> None:
    theirs_opens_here(lerobot, folder)
    lerobot.run("lerobot_roundtrip.py", "delete", folder / "theirs", folder / "rest")
    dataset = LeRobotDataset.load(folder / "rest")
    assert dataset.frames(0).state[0, 0] == 1.0 and len(list(dataset.images(0, "top"))) == 6


def their_edit_of_ours(lerobot: Installation, folder: Path) -> None:
    lerobot.run("lerobot_roundtrip.py", "delete", folder / "made", folder / "made_rest")
    assert LeRobotDataset.load(folder / "made_rest").frames(0).state[0, 0] == 1.0


def our_edit_opens_there(lerobot: Installation, folder: Path) -> None:
    theirs_opens_here(lerobot, folder)
    theirs = LeRobotDataset.load(folder / "theirs")
    edits = Edits(keep=[1], cameras={"top": "camera1"})
    write_edited({"": edited_clips([theirs], edits)}, [theirs], edits, folder / "edited", 1)
    lerobot.run("lerobot_dataset.py", folder / "edited", folder / "edited.npz")
    assert len(np.load(folder / "edited.npz")["action"]) == 6


def language_both_ways(lerobot: Installation, folder: Path) -> None:
    seen = [
        json.loads(lerobot.run("lerobot_language.py", "read", root).splitlines()[-1])
        for root in (LANGUAGE, folder / "language")
    ]
    assert seen[0] == seen[1]


def checkpoint_both_ways(lerobot: Installation, folder: Path) -> None:
    """The same actions of the shipped checkpoint, and of what LeRobot makes of it in ten updates."""
    sys.path.insert(0, str(CONTENDERS))
    from our_policy import Ours
    from worker import Stopwatch, sample_question

    trained, actions = folder / "trained", folder / "actions.npz"
    lerobot.run("lerobot_checkpoint.py", CHECKPOINT, trained, actions)
    theirs = np.load(actions)
    for checkpoint, expected in ((CHECKPOINT, theirs["before"]), (trained, theirs["after"])):
        options = argparse.Namespace(
            checkpoint=checkpoint, backbone=CHECKPOINT / "vlm", device="cpu", dtype="float32"
        )
        ours = Ours(options, Stopwatch("cpu"))
        found = ours.predict(sample_question(ours.policy.image_keys, len(expected)))
        assert np.allclose(found, expected, atol=1e-3), (
            f"actions differ by {np.abs(found - expected).max():.2g}"
        )
    assert not np.allclose(theirs["before"], theirs["after"], atol=1e-2), "ten updates changed nothing"


CHECKS: dict[str, Callable[[Installation, Path], None]] = {
    "our dataset opens there": ours_opens_there,
    "its dataset opens here": theirs_opens_here,
    "its dataset, edited there, opens here": their_edit_opens_here,
    "our dataset is edited there": their_edit_of_ours,
    "its dataset, edited here, opens there": our_edit_opens_there,
    "language columns and tools, written here, are read there as its own": language_both_ways,
    "our checkpoint acts the same there, and here after ten updates there": checkpoint_both_ways,
}
NOT_IN = {language_both_ways: "0.4", checkpoint_both_ways: "0.6"}  # the contender's loader is made for 0.4.4


def result_of(check: Callable[[Installation, Path], None], lerobot: Installation, folder: Path) -> str:
    if check in NOT_IN and lerobot.version.startswith(NOT_IN[check]):
        return "not in this version" if check is language_both_ways else "not checked"
    try:
        check(lerobot, folder)
    except (AssertionError, RuntimeError, ValueError, OSError) as error:
        return f"FAILS: {error}" if str(error) else f"FAILS: {type(error).__name__}"
    return "yes"


def main() -> int:
    installations = find_installations()
    if not installations:
        print("no LeRobot here: make lerobot, or LEROBOT_PYTHON=...")
        return 0
    table: dict[str, list[str]] = {name: [] for name in CHECKS}
    for lerobot in installations:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_copies(folder)
            for name, check in CHECKS.items():
                table[name].append(result_of(check, lerobot, folder))
    print(f"| | {' | '.join(f'LeRobot {each.version}' for each in installations)} |")
    print(f"|---|{'---|' * len(installations)}")
    for name, results in table.items():
        print(f"| {name} | {' | '.join(results)} |")
    return 1 if any(each.startswith("FAILS") for results in table.values() for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
